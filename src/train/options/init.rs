//! `--init`: a run that starts from the weights of another.
//!
//! The weights were learnt on images of one mean and deviation, so the new run brings its images to zero and one by those of
//! the old, whatever its own data are: then the network begins as exactly the one that was saved. `config.toml` holds the
//! path of the model, its SHA-256 and that mean and deviation: what is run again runs from the same weights or is
//! refused, and a run that is gone on with from its checkpoint needs the model no more.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use super::{OptionError, whole_path};
use crate::data::Normalisation;
use crate::errors::with_causes;
use crate::model::Perceptron;
use crate::train::divergence::DIVERGED;
use crate::train::figures::network;
use crate::train::files::{CHECKPOINT, MODEL, TrainedModel, model_in, read, read_model};
use crate::train::{Learning, Summary, TrainError};

/// The model whose weights a run starts from.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Init {
    /// A `model.safetensors`; on the command line and in a configuration also the folder of a run.
    pub path: PathBuf,
    /// The file's SHA-256 in hexadecimal digits, once it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The mean and deviation of the images that it was trained on, once it was read.
    #[serde(flatten)]
    pub normalisation: Option<Normalisation>,
}

impl From<OsString> for Init {
    fn from(path: OsString) -> Self {
        Self { path: path.into(), sha256: None, normalisation: None }
    }
}

/// From a path, as hands write it, or from a table, as runs do.
impl<'de> Deserialize<'de> for Init {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            path: PathBuf,
            sha256: Option<String>,
            mean: Option<f64>,
            std: Option<f64>,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Init;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the path of a run, or a table with path, sha256, mean and std")
            }
            fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<Init, E> {
                Ok(OsString::from(path).into())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Init, A::Error> {
                let Table { path, sha256, mean, std } = Table::deserialize(MapAccessDeserializer::new(map))?;
                let normalisation = mean.zip(std).map(|(mean, std)| Normalisation { mean, std });
                Ok(Init { path, sha256, normalisation })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Init {
    /// The same by the whole path of the model's file, so that a run goes on from wherever it is called.
    pub(super) fn resolved(self) -> Result<Self, OptionError> {
        const INSTEAD: &str = "name a run's folder or its model.safetensors";
        let path = whole_path("--init", self.path.clone(), INSTEAD)?;
        if !path.is_dir() {
            return Ok(Self { path, ..self });
        }
        let summary = Summary::load(&path.join("summary.json")).ok().and_then(|summary| summary.learning);
        if path.join(DIVERGED).exists() || summary == Some(Learning::Diverged) {
            return Err(self.unusable("is a run that diverged, so its weights are of no use: name another"));
        }
        let model = path.join(MODEL);
        if !model.exists() {
            let rule = match path.join(CHECKPOINT).exists() {
                true => format!(
                    "is a run that has not come to its end: go on with it by cotangent mnist --resume {}, or name another",
                    path.display()
                ),
                false => format!("holds no {MODEL}: {INSTEAD}"),
            };
            return Err(self.unusable(rule));
        }
        Ok(Self { path: model, ..self })
    }

    /// The network to take.
    pub(super) fn model(&self) -> Result<Perceptron, OptionError> {
        let read = read_model(&self.path);
        read.map(|trained| trained.model).map_err(|error| {
            let text = with_causes(&error);
            let place = format!("{}: ", self.path.display());
            self.unusable(text.strip_prefix(&place).unwrap_or(&text))
        })
    }

    /// That no run can start from this, for the reason given.
    fn unusable(&self, rule: impl Into<String>) -> OptionError {
        OptionError { of_file: true, ..OptionError::new("--init", self.path.display(), rule) }
    }

    /// The weights to start from, and this with what `config.toml` is to hold of them.
    ///
    /// # Errors
    /// When they cannot be read, are others than those once read, or are of another network than `expected`.
    pub(in crate::train) fn read(&self, expected: &Perceptron) -> Result<(TrainedModel, Self), TrainError> {
        let bytes = read(&self.path)?;
        let trained = model_in(&self.path, &bytes)?;
        let failed = |problem: String| TrainError::Content { path: self.path.clone(), problem };
        let sha256 = digest(&bytes);
        if let Some(before) = self.sha256.as_ref().filter(|before| **before != sha256) {
            return Err(failed(format!(
                "its weights are others than those that the configuration was written for (SHA-256 {sha256}, not \
                 {before}): put those back, or start from these with --init {}",
                self.path.display()
            )));
        }
        let model = &trained.model;
        if (&model.widths, model.activation) != (&expected.widths, expected.activation) {
            return Err(failed(format!(
                "is a network {}, where options and images make it {}: with --init leave out --hidden and \
                 --activation, and name images of {} pixels in {} classes",
                network(model),
                network(expected),
                model.widths[0],
                model.widths[model.widths.len() - 1]
            )));
        }
        let normalisation = Some(trained.normalisation);
        let recorded = Self { path: self.path.clone(), sha256: Some(sha256), normalisation };
        Ok((trained, recorded))
    }
}

/// The SHA-256 of a file's content, as `sha256sum` prints it.
fn digest(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}"); // a string takes it
    }
    text
}
