//! The kinds of values that options have, and how they are read from text.

use std::num::IntErrorKind;
use std::str::FromStr;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::names::named;

/// How training images are varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Augment {
    /// As they are.
    None,
    /// Each moved by −1, 0 or 1 pixel in both directions.
    Shifts,
}

named! { Augment { None = "none", Shifts = "shifts" } }

/// How often a run writes a checkpoint within an epoch.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Every {
    /// So many steps.
    Steps(usize),
    /// So many seconds.
    Seconds(f64),
}

impl FromStr for Every {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const RULE: &str = "must be a number of steps, such as 100, or of seconds, such as 30s";
        let every = match text.strip_suffix('s') {
            Some(seconds) => {
                seconds.parse().ok().filter(|seconds| *seconds > 0.0 && *seconds <= 1e9).map(Self::Seconds)
            }
            None => text.parse().ok().filter(|&steps| steps > 0).map(Self::Steps),
        };
        every.ok_or(RULE)
    }
}

impl std::fmt::Display for Every {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Steps(steps) => write!(f, "{steps}"),
            Self::Seconds(seconds) => write!(f, "{seconds}s"),
        }
    }
}

impl Serialize for Every {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From a number or text, as either may stand in a file by hand.
impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Said;
        impl Visitor<'_> for Said {
            type Value = Every;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of steps, or text such as \"30s\"")
            }
            fn visit_i64<E: serde::de::Error>(self, steps: i64) -> Result<Every, E> {
                self.visit_str(&steps.to_string())
            }
            fn visit_u64<E: serde::de::Error>(self, steps: u64) -> Result<Every, E> {
                self.visit_str(&steps.to_string())
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Every, E> {
                text.parse().map_err(|rule| E::custom(format!("{text:?}: {rule}")))
            }
        }
        deserializer.deserialize_any(Said)
    }
}

/// Where the run computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceChoice {
    /// On a CUDA device where one works, else on the processor.
    Auto,
    /// The processor.
    Cpu,
    /// The CUDA device of this number, from 0.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let number = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit()); // no sign
            let number = text.parse().ok().filter(|_| is_number);
            number.map(Self::Cuda).ok_or("must be auto, cpu, cuda or cuda:N")
        };
        match &text.to_ascii_lowercase()[..] {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => number(other.strip_prefix("cuda:").unwrap_or("")),
        }
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl Serialize for DeviceChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How the kernels of a step reach a CUDA device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LaunchPlan {
    /// As a graph.
    Auto,
    /// Captured once as a CUDA graph, and launched as a whole.
    Graph,
    /// One at a time, each waited for, so that an error names its kernel.
    Launches,
}

named! { LaunchPlan { Auto = "auto", Graph = "graph", Launches = "launches" } }

/// The number format of products and activations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the formats'")]
pub enum Precision {
    F32,
    Tf32,
    Bf16,
}

named! {
    Precision { F32 = "f32", Tf32 = "tf32", Bf16 = "bf16" }
    instead of {
        "float32" | "fp32" | "single" => "that is called f32 here",
        "bfloat16" => "that is called bf16 here",
        "float16" | "fp16" | "f16" | "half" => "of 16 bits there is bf16 alone",
    }
}

/// What computes products on the CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kernels {
    /// What fits precision, images and processor.
    Auto,
    /// float32, without the zeros of images.
    Skipping,
    /// float32, with all pixels.
    Dense,
    /// bfloat16, by Intel's tile unit.
    Amx,
    /// bfloat16, by AVX512_BF16.
    Avx512Bf16,
}

named! {
    Kernels {
        Auto = "auto", Skipping = "skipping", Dense = "dense", Amx = "amx", Avx512Bf16 = "avx512-bf16"
    }
}

/// The widths of the hidden layers, written `512,256`, or `none`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hidden(pub Vec<usize>);

impl FromStr for Hidden {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("none") {
            return Ok(Self(Vec::new()));
        }
        let width = |part: &str| match part.trim().parse::<usize>() {
            Ok(width) => Ok(width),
            Err(error) if *error.kind() == IntErrorKind::PosOverflow => {
                Err(format!("a layer of {} units fits no memory", part.trim()))
            }
            Err(_) => Err("expected widths such as 512,256, or none".into()),
        };
        text.split(',').map(width).collect::<Result<_, _>>().map(Self)
    }
}

impl std::fmt::Display for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.0.iter().map(usize::to_string).collect::<Vec<_>>().join(","))
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From `"512,256"`, as runs write it, or from `[512, 256]`, as hands do.
impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Widths;
        impl<'de> Visitor<'de> for Widths {
            type Value = Hidden;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("widths such as \"512,256\", \"none\" or [512, 256]")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Hidden, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Hidden, A::Error> {
                let mut widths = Vec::new();
                while let Some(width) = sequence.next_element()? {
                    widths.push(width);
                }
                Ok(Hidden(widths))
            }
        }
        deserializer.deserialize_any(Widths)
    }
}

/// A number of things on the command line.
pub(super) fn whole_number<N: FromStr<Err = std::num::ParseIntError>>(text: &str) -> Result<N, String> {
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => "the number is too large".into(),
        _ => "expected a whole number without a sign, such as 10".into(),
    })
}

/// A quantity on the command line. What makes no sense is refused later, with its rule.
pub(super) fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "expected a number, such as 0.001 or 1e-3".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_widths_are_read_as_they_are_written() {
        assert_eq!("None".parse::<Hidden>(), Ok(Hidden(Vec::new())));
        for text in ["512,256", "7", "none"] {
            assert_eq!(text.parse::<Hidden>().unwrap().to_string(), text);
        }
        assert_eq!(serde_json::from_str::<Hidden>("[512, 256]").unwrap(), Hidden(vec![512, 256]));
        assert!("512,".parse::<Hidden>().is_err());
        assert!("".parse::<Hidden>().is_err());
        assert!("-1".parse::<Hidden>().is_err());
    }
}
