//! How a layer is written by hand.

/// A formula, as text and as LaTeX.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayerFormula {
    /// `h0 W1ᵀ + b1`
    pub text: String,
    /// `h_{0} W_{1}^{\mathsf{T}} + b_{1}`
    pub latex: String,
}

impl LayerFormula {
    /// A letter with a number below it.
    pub fn symbol(letter: &str, number: usize) -> Self {
        Self { text: format!("{letter}{number}"), latex: format!("{letter}_{{{number}}}") }
    }
}
