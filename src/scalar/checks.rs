//! What a trace's derivatives are held against, and whether they agree: central differences, and forward against
//! reverse mode. `verify.rs` computes it.

/// What was compared.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// A line for each input whose derivative exists; where there are too many, one for all that move.
    pub differences: Vec<Difference>,
    /// ⟨ȳ, ẏ⟩ = ⟨x̄, ẋ⟩.
    pub inner_product: InnerProduct,
}

/// A derivative by reverse mode beside its central difference.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// The input that moves; nothing where all do, by 1 each, or as the direction of the trace says.
    pub input: Option<usize>,
    /// From the gradient.
    pub reverse: f64,
    /// From values on both sides; nothing where no step tells anything.
    pub central: Option<f64>,
    /// About how wrong `central` is, from its change with the step and from rounding.
    pub uncertainty: f64,
    /// Why it cannot be told whether both agree; nothing where it can.
    pub note: Option<String>,
    /// Slopes that one of 0 is small beside: those of longer steps, and those that cancel in the derivative.
    pub(super) beside: f64,
    /// How large a derivative may be that would be 0 without rounding.
    pub(super) rounded: f64,
}

impl Difference {
    /// How far they are apart.
    pub fn error(&self) -> Option<f64> {
        self.central.map(|central| (central - self.reverse).abs())
    }

    /// Whether that is within what differences can tell; nothing where they tell nothing, and [`Self::note`] says why.
    pub fn agrees(&self) -> Option<bool> {
        let (error, central) = (self.error()?, self.central?);
        let size = central.abs().max(self.reverse.abs());
        let tolerance = 10.0 * self.uncertainty + 1e-8 * size;
        if tolerance <= KNOWN * size {
            return Some(error <= tolerance);
        }
        // Nothing is small beside a slope of 0, but much is beside slopes farther off.
        let is_zero =
            tolerance <= FLAT * self.beside && size <= tolerance && self.reverse.abs() <= self.rounded;
        is_zero.then_some(true)
    }
}

/// Forward and reverse mode against each other, with ȳ = 1 and the tangents ẋ of the trace's direction, or 1 for
/// all inputs where each moves alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct InnerProduct {
    /// ⟨ȳ, ẏ⟩, from forward mode.
    pub forward: f64,
    /// ⟨x̄, ẋ⟩, from reverse mode.
    pub reverse: f64,
    /// The sum of the absolute values of what was added up: what rounding errors are relative to.
    pub magnitude: f64,
}

impl InnerProduct {
    /// How far they are apart.
    pub fn error(&self) -> f64 {
        (self.forward - self.reverse).abs()
    }

    /// Whether that is no more than rounding; nothing where the sum overflows.
    pub fn agrees(&self) -> Option<bool> {
        self.error().is_finite().then_some(self.error() <= 1e-9 * self.magnitude.max(1.0))
    }
}

/// How exactly a slope must be known, as a share of it.
const KNOWN: f64 = 0.01;

/// A slope that is so much smaller than those of longer steps is 0 as far as can be told.
const FLAT: f64 = 1e-6;
