//! The model that `--init` names: found in its run's folder, and read.

use super::error::{Refused, whole_path};
use super::init::Init;
use crate::digest::sha256;
use crate::errors::with_causes;
use crate::files;
use crate::names::quoted;
use crate::nn::{Model, Sequential};
use crate::runs::Learning;
use crate::runs::Summary;
use crate::runs::files::{Checkpoint, DIVERGED, MODEL, TrainedModel, model_in, read_model};
use crate::runs::reading::read;
use crate::train::TrainError;

impl Init {
    /// The same by the whole path of the model's file, so that a run goes on from wherever it is called.
    pub(super) fn resolved(self) -> Result<Self, Refused> {
        const INSTEAD: &str = "name a run's folder or its model.safetensors";
        let path = whole_path(self.path.clone(), INSTEAD)?;
        if !path.is_dir() {
            return Ok(Self { path, ..self });
        }
        let summary = Summary::load(&path.join("summary.json")).ok().and_then(|summary| summary.learning);
        if path.join(DIVERGED).exists() || summary == Some(Learning::Diverged) {
            return Err(self.unusable("is a run that diverged, so its weights are of no use: name another"));
        }
        let model = path.join(MODEL);
        if !model.exists() {
            let rule = match Checkpoint::is_in(&path).unwrap_or(false) {
                true => format!(
                    "is a run that has not come to its end: go on with it by cotangent mnist --resume {}, or name another",
                    quoted(&path.display().to_string())
                ),
                false => format!("holds no {MODEL}: {INSTEAD}"),
            };
            return Err(self.unusable(rule));
        }
        Ok(Self { path: model, ..self })
    }

    /// The network to take.
    pub(super) fn model(&self) -> Result<Sequential, Refused> {
        let read = read_model(&self.path);
        read.map(|trained| trained.model).map_err(|error| {
            let text = with_causes(&error);
            let place = format!("{}: ", self.path.display());
            self.unusable(text.strip_prefix(&place).unwrap_or(&text))
        })
    }

    /// That no run can start from this, for the reason given.
    fn unusable(&self, rule: impl Into<String>) -> Refused {
        Refused::file(&self.path, rule)
    }

    /// The weights to start from, and this with what `config.toml` is to hold of them.
    ///
    /// # Errors
    /// When they cannot be read, are others than those once read, or are of another network than `expected`.
    pub(in crate::train) fn read(&self, expected: &dyn Model) -> Result<(TrainedModel, Self), TrainError> {
        let bytes = read(&self.path, files::tensors())?;
        let trained = model_in(&self.path, &bytes)?;
        let failed = |problem: String| TrainError::Content { path: self.path.clone(), problem };
        let sha256 = sha256([&bytes[..]]);
        if let Some(before) = self.sha256.as_ref().filter(|before| **before != sha256) {
            return Err(failed(format!(
                "its weights are others than those that the configuration was written for (SHA-256 {sha256}, not \
                 {before}): put those back, or start from these with --init {}",
                self.path.display()
            )));
        }
        let model = &trained.model;
        if model.describe() != expected.describe() {
            return Err(failed(format!(
                "is a network {}, where options and images make it {}: with --init leave out --hidden and \
                 --activation, and name images of {} pixels in {} classes",
                model.describe(),
                expected.describe(),
                model.input().size(),
                model.classes()
            )));
        }
        let normalisation = Some(trained.normalisation);
        let recorded = Self { path: self.path.clone(), sha256: Some(sha256), normalisation };
        Ok((trained, recorded))
    }
}
