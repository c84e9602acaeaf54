//! Numbers as text.

/// A number in full, as short as it can be read back: `2`, `0.1`, `1e300`.
pub fn exact(x: f64) -> String {
    let text = format!("{x:?}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A number for the eye, with so many decimals; very small and very large ones with an exponent.
pub fn rounded(x: f64, digits: usize) -> String {
    let size = x.abs();
    if size != 0.0 && (size < 10f64.powi(1 - digits.min(300) as i32) * 0.1 || size >= 1e7) {
        return format!("{x:.digits$e}");
    }
    let text = format!("{x:.digits$}");
    // No sign for what is shown as zero.
    if text.starts_with('-') && text[1..].bytes().all(|b| b == b'0' || b == b'.') {
        text[1..].into()
    } else {
        text
    }
}

/// An error for the eye: two digits.
pub fn error(x: f64) -> String {
    if x == 0.0 { "0".into() } else { format!("{x:.1e}") }
}

/// The probability e^(−`loss`) for the eye: three decimals, or a digit and a power of ten, however small. `1` and `0`
/// stand for these alone.
pub fn probability(loss: f64) -> String {
    let (least, most) = (0.0005, 0.9995);
    match (-loss).exp() {
        _ if loss == 0.0 => "1".into(),
        _ if loss == f64::INFINITY => "0".into(),
        p if p < least => {
            // by logarithms: the number itself may be smaller than all others
            let power = -loss / std::f64::consts::LN_10;
            let (mut digit, mut exponent) = (10f64.powf(power - power.floor()).round(), power.floor());
            if digit >= 10.0 {
                (digit, exponent) = (1.0, exponent + 1.0);
            }
            format!("{digit}·10{}", superscript(exponent as i32))
        }
        p if (most..1.0).contains(&p) || (p == 1.0 && loss > 0.0) => "0.999".into(),
        p => format!("{p:.3}"),
    }
}

/// A number for LaTeX: its exponent as a power of ten, and signs for what is no finite number.
pub fn latex_number(text: &str) -> String {
    match text {
        "inf" => return r"\infty".into(),
        "-inf" => return r"-\infty".into(),
        "NaN" => return r"\mathrm{NaN}".into(),
        _ => {}
    }
    match text.split_once('e') {
        Some((digits, exponent)) => format!(r"{digits} \cdot 10^{{{exponent}}}"),
        None => text.into(),
    }
}

/// An exponent in superscript digits.
pub fn superscript(exponent: i32) -> String {
    let digit = |c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        _ => '⁰',
    };
    exponent.to_string().chars().map(digit).collect()
}

/// Bytes for the eye, in the largest unit of which there is at least one.
pub fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 8] = ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
    let power = ((bytes.log10() / 3.0).floor() as usize).clamp(1, UNITS.len());
    let value = bytes / 1000_f64.powi(power as i32);
    if value < 1000.0 { format!("{value:.1} {}", UNITS[power - 1]) } else { format!("{value:.1e} YB") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_a_unit_that_suits_them() {
        for (count, text) in
            [(900.0, "0.9 kB"), (1.5e3, "1.5 kB"), (2e9, "2.0 GB"), (1.25e15, "1.2 PB"), (1e40, "1.0e16 YB")]
        {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn numbers_are_rounded_for_the_eye_and_exact_for_the_machine() {
        assert_eq!(
            [rounded(2.92277, 4), rounded(-0.00001, 2), rounded(0.0, 4)],
            ["2.9228", "-1.00e-5", "0.0000"]
        );
        assert_eq!([rounded(1.5e7, 2), rounded(-1.0, 1), rounded(0.0001, 4)], ["1.50e7", "-1.0", "0.0001"]);
        assert_eq!([exact(2.0), exact(0.1), exact(1e300), exact(-0.0)], ["2", "0.1", "1e300", "-0"]);
        assert_eq!([error(0.0), error(1.234e-9)], ["0", "1.2e-9"]);
    }

    #[test]
    fn probabilities_are_short_whatever_their_size() {
        let texts = [0.25, 0.0123, 0.00096, 0.00021, 3.2e-12, 9.7e-5, 0.5].map(|p: f64| probability(-p.ln()));
        assert_eq!(texts, ["0.250", "0.012", "0.001", "2·10⁻⁴", "3·10⁻¹²", "1·10⁻⁴", "0.500"]);
        // the float32 nearest to e^-150 is 0, and so is the float64 nearest to e^-5000
        let texts = [0.0, 1e-9, 1e-20, 150.0, 5000.0, f64::INFINITY, f64::NAN].map(probability);
        assert_eq!(texts, ["1", "0.999", "0.999", "7·10⁻⁶⁶", "3·10⁻²¹⁷²", "0", "NaN"]);
    }

    #[test]
    fn numbers_at_the_edges_are_written_by_every_way_of_writing() {
        let edges = [0.0, -0.0, 5e-324, 1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        assert_eq!(edges.map(exact), ["0", "-0", "5e-324", "1", "inf", "-inf", "NaN"]);
        let rounded = edges.map(|x| rounded(x, 2));
        assert_eq!(rounded, ["0.00", "0.00", "4.94e-324", "1.00", "inf", "-inf", "NaN"]);
        assert_eq!(edges.map(error), ["0", "0", "4.9e-324", "1.0e0", "inf", "-inf", "NaN"]);
        let latex = edges.map(|x| latex_number(&exact(x)));
        let expected = ["0", "-0", r"5 \cdot 10^{-324}", "1", r"\infty", r"-\infty", r"\mathrm{NaN}"];
        assert_eq!(latex, expected);
    }
}
