//! How the processor computes products: what a run may choose, and what fits its data and its processor.

use super::bf16::Bf16Unit;

/// How products are computed. Each way sums in an order of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpuProducts {
    /// In float32. What an image deviates from its background is listed, and multiplied alone.
    Skipping,
    /// In float32. All pixels are multiplied; what ReLU left at zero is not, here either.
    Dense,
    /// Of operands rounded to bfloat16, zeros and all, by this unit; sums are float32.
    Bf16(Bf16Unit),
}

/// The share of pixels that deviate from the background up to which listing them is worth it (`scripts/choose-kernels` sets both
/// ways side by side; docs/performance.md has the figures).
const DENSEST: f64 = 0.55;

impl CpuProducts {
    /// What is fastest in float32 for images of which this share of pixels is not background.
    pub fn in_float32(density: f64) -> Self {
        if density <= DENSEST { Self::Skipping } else { Self::Dense }
    }

    /// The unit for bfloat16.
    pub(super) fn bf16(self) -> Option<Bf16Unit> {
        match self {
            Self::Bf16(unit) => Some(unit),
            Self::Skipping | Self::Dense => None,
        }
    }
}
