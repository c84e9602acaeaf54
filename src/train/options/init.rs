//! `--init`: a run that starts from the weights of another.
//!
//! The weights were learnt on images of one mean and deviation, so the new run brings its images to zero and one by those of
//! the old, whatever its own data are: then the network begins as exactly the one that was saved. `config.toml` holds the
//! path of the model, its SHA-256 and that mean and deviation: what is run again runs from the same weights or is
//! refused, and a run that is gone on with from its checkpoint needs the model no more. The model is read in `start.rs`.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::data::Normalisation;

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
