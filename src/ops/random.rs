//! The dropout mask: random numbers as an operation without operands.
//!
//! The numbers are Philox's, a function of (seed, stream; step, element). So the same graph gives
//! the same mask on every executor, whatever the order or the number of threads, and drawing again
//! for the same step repeats it.

use super::{At, Op, Real, Rule, Tensor, Var};
use crate::float::Float;
use crate::graph::Shape;
use crate::random::{Philox, Purpose};

/// Where in the random stream an evaluation stands.
#[derive(Clone, Copy, Default, Debug)]
pub struct Draw {
    /// The run's seed.
    pub seed: u64,
    /// The training step, from 0.
    pub step: u64,
}

/// Each element 0 with probability p, else 1/(1−p), so that the expectation is 1 (inverted dropout;
/// Srivastava et al. 2014, section 10).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DropoutMask {
    /// p, in [0, 1).
    pub probability: Real,
    /// Tells the masks of one network apart.
    pub stream: u32,
    /// The shape of the mask.
    pub shape: Shape,
}

impl DropoutMask {
    /// The mask's elements from `first` on, for one step.
    #[inline(always)]
    pub fn fill<T: Float>(&self, draw: Draw, first: u64, output: &mut [T]) {
        const CHUNK: usize = 256;
        let probability = self.probability.get();
        let threshold = (probability * 2f64.powi(32)) as u32;
        let kept = T::of(1.0 / (1.0 - probability));
        let philox = Philox::new(draw.seed, Purpose::Dropout, self.stream);
        let mut words = [0_u32; CHUNK];
        for (chunk, out) in output.chunks_mut(CHUNK).enumerate() {
            let words = &mut words[..out.len()];
            philox.fill(draw.step, first + (chunk * CHUNK) as u64, words);
            for (out, &word) in out.iter_mut().zip(&*words) {
                *out = if word < threshold { T::zero() } else { kept };
            }
        }
    }
}

impl Rule for DropoutMask {
    fn name(&self) -> &'static str {
        "dropout_mask"
    }

    fn arity(&self) -> usize {
        0
    }

    fn shape(&self, _: &[&Shape]) -> Result<Shape, String> {
        let probability = self.probability.get();
        if !(0.0..1.0).contains(&probability) {
            return Err(format!("the probability {probability} is not in [0, 1)"));
        }
        Ok(self.shape.clone())
    }

    fn jvp<'g>(&self, _: usize, _: Var<'g>, _: At<'_, 'g>) -> Option<Var<'g>> {
        None
    }

    fn evaluate<T: Float>(&self, _: &[Tensor<'_, T>], draw: Draw, output: &mut [T]) {
        self.fill(draw, 0, output);
    }
}

impl<'g> Var<'g> {
    /// Dropout: each element is set to 0 with probability `p`, the others are scaled by 1/(1−p).
    /// `stream` tells this mask from the network's other ones.
    #[track_caller]
    pub fn dropout(self, p: f64, stream: u32) -> Var<'g> {
        let mask = DropoutMask { probability: p.into(), stream, shape: self.shape() };
        self * self.builder().apply(Op::DropoutMask(mask), &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(p: f64, size: usize, seed: u64, step: u64) -> Vec<f64> {
        let rule = DropoutMask { probability: p.into(), stream: 1, shape: [size].into() };
        let mut output = vec![f64::NAN; size];
        rule.evaluate(&[], Draw { seed, step }, &mut output);
        output
    }

    #[test]
    fn a_mask_drops_the_asked_share_and_keeps_the_expectation() {
        let mask = mask(0.25, 100_000, 7, 3);
        let dropped = mask.iter().filter(|&&x| x == 0.0).count() as f64 / 1e5;
        assert!((dropped - 0.25).abs() < 0.01, "{dropped} dropped");
        assert!(mask.iter().all(|&x| x == 0.0 || x == 4.0 / 3.0));
    }

    #[test]
    fn a_mask_depends_on_seed_and_step_and_is_the_same_in_pieces() {
        let whole = mask(0.5, 1000, 7, 3);
        assert_eq!(whole, mask(0.5, 1000, 7, 3));
        assert_ne!(whole, mask(0.5, 1000, 8, 3));
        assert_ne!(whole, mask(0.5, 1000, 7, 4));
        let rule = DropoutMask { probability: 0.5.into(), stream: 1, shape: [1000].into() };
        let mut piece = vec![f64::NAN; 300];
        rule.fill(Draw { seed: 7, step: 3 }, 401, &mut piece);
        assert_eq!(piece, whole[401..701]);
    }
}
