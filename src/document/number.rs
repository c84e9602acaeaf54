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

/// A number with its exponent as a power of ten, for LaTeX.
pub fn latex_number(text: &str) -> String {
    match text.split_once('e') {
        Some((digits, exponent)) => format!(r"{digits} \cdot 10^{{{exponent}}}"),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
