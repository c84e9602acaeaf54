//! Numbers in tables: text with a true minus sign, which aligns better than mathematics and takes less of the page.

/// A text that is nothing but a number.
pub(super) struct Number {
    /// Its value.
    pub value: f64,
    /// How it stands on the page.
    pub html: String,
}

/// Reads `-1.25`, `1.5e-5`, LaTeX's `1.5 \cdot 10^{-5}`, and what is no finite number in either way of writing.
pub(super) fn read(text: &str) -> Option<Number> {
    let text = match text {
        r"\infty" => "inf",
        r"-\infty" => "-inf",
        r"\mathrm{NaN}" => "NaN",
        finite => finite,
    };
    let power = text.strip_suffix('}').and_then(|text| text.split_once(r" \cdot 10^{"));
    let (digits, exponent) = match power.or_else(|| text.split_once('e')) {
        Some((digits, exponent)) => (digits, Some(exponent.parse::<i32>().ok()?)),
        None => (text, None),
    };
    let value: f64 = format!("{digits}e{}", exponent.unwrap_or(0)).parse().or_else(|_| text.parse()).ok()?;
    let minus = |text: &str| text.replace('-', "−").replace("inf", "∞");
    let html = match exponent {
        Some(exponent) => format!("{}·10<sup>{}</sup>", minus(digits), minus(&exponent.to_string())),
        None => minus(digits),
    };
    Some(Number { value, html })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(text: &str) -> Option<(f64, String)> {
        read(text).map(|number| (number.value, number.html))
    }

    #[test]
    fn numbers_of_every_notation_have_their_value_and_a_true_minus_sign() {
        assert_eq!(both("-1.250"), Some((-1.25, "−1.250".into())));
        assert_eq!(both("-1.5e-5"), Some((-1.5e-5, "−1.5·10<sup>−5</sup>".into())));
        assert_eq!(both(r"-1.5 \cdot 10^{7}"), Some((-1.5e7, "−1.5·10<sup>7</sup>".into())));
        for infinite in ["-inf", r"-\infty"] {
            assert_eq!(both(infinite), Some((f64::NEG_INFINITY, "−∞".into())));
        }
        assert_eq!(both(r"\infty"), Some((f64::INFINITY, "∞".into())));
        assert!(both(r"\mathrm{NaN}").is_some_and(|(value, html)| value.is_nan() && html == "NaN"));
        assert!(both("NaN").is_some_and(|(value, html)| value.is_nan() && html == "NaN"));
    }

    #[test]
    fn what_is_more_than_a_number_is_none() {
        for text in ["", "e", "v_{1}", "= 2", "1 + 2", r"2 \cdot 10^{x}", r"2 \cdot 3", "-"] {
            assert_eq!(both(text), None, "{text}");
        }
    }
}
