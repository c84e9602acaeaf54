//! Compute capabilities: which machine code a device runs.

use std::fmt;

/// What the kernels of `kernels/hopper/` are compiled for.
pub const HOPPER: &str = "sm_90a";

/// A compute capability, such as 9.0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Capability {
    /// The generation.
    pub major: i32,
    /// Within the generation.
    pub minor: i32,
}

impl Capability {
    /// The least that the kernels are written for.
    pub const OLDEST: Self = Self { major: 7, minor: 5 };

    /// As architectures are numbered: 90 for 9.0.
    pub fn number(self) -> i32 {
        10 * self.major + self.minor
    }

    /// Whether code for an architecture, such as `sm_80` or `compute_120`, runs on this device:
    /// machine code within its generation, PTX on everything newer too (CUDA C++ Programming Guide,
    /// "Binary compatibility" and "PTX compatibility"); that for `sm_90a` on 9.0 alone ("Feature Set Compiler Targets").
    pub fn runs(self, architecture: &str) -> bool {
        if architecture == HOPPER {
            return self.number() == 90;
        }
        let Some((kind, number)) = architecture.split_once('_') else { return false };
        let Ok(number) = number.parse::<i32>() else { return false };
        match kind {
            "sm" => number / 10 == self.major && number <= self.number(),
            "compute" => number <= self.number(),
            _ => false,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_code_runs_within_its_generation_and_ptx_on_everything_newer() {
        let capability = |major, minor| Capability { major, minor };
        assert!(capability(8, 6).runs("sm_80") && capability(8, 6).runs("sm_86"));
        assert!(!capability(8, 0).runs("sm_86"), "made for a newer one of the generation");
        assert!(!capability(9, 0).runs("sm_80") && !capability(7, 5).runs("sm_80"));
        assert!(capability(12, 1).runs("sm_120") && capability(12, 1).runs("compute_90"));
        assert!(!capability(8, 9).runs("compute_90"));
    }

    #[test]
    fn code_for_sm_90a_runs_on_9_0_alone() {
        let running = [(7, 5), (8, 9), (9, 0), (10, 0), (12, 0)]
            .map(|(major, minor)| Capability { major, minor }.runs(HOPPER));
        assert_eq!(running, [false, false, true, false, false]);
    }
}
