//! `config.toml`: the options of a run, read back as choices, and what they led to.

use std::io;
use std::ops::Range;
use std::path::Path;

use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::DeTable;

use crate::data::Normalisation;
use crate::files;
use crate::nn::Model;
use crate::runs::RunFolder;
use crate::train::TrainError;
use crate::train::options::{Choices, OptimizerName, Options};

/// `config.toml`: every option as it held, and under `[about]` what they led to.
#[derive(Serialize)]
struct Configuration<'a> {
    #[serde(flatten)]
    options: &'a Options,
    about: About,
}

/// What a reader wants to know of a run, and running it again does not need: each where it is known.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The program's version.
    pub version: Option<String>,
    /// The optimizer's update rule, constants put in.
    pub update_rule: Option<String>,
    /// Widths and activation.
    pub network: Option<String>,
    /// The number of weights and biases.
    pub parameters: Option<usize>,
    /// The mean that was subtracted from the pixels.
    pub mean: Option<f64>,
    /// The standard deviation by which they were divided.
    pub std: Option<f64>,
    /// Operating system and processor.
    pub platform: Option<String>,
    /// The CUDA device's name and capability.
    pub card: Option<String>,
    /// What was done under another schedule, where a finished run was given more epochs.
    pub extended: Option<String>,
}

impl About {
    /// The widths of the network from its input to its classes, which stand in its text alone; nothing, where the text
    /// begins with something else or no memory holds such a network.
    pub fn widths(&self) -> Option<Vec<usize>> {
        let widths = self.network.as_ref()?.split(',').next()?.split('-');
        let widths: Vec<usize> = widths.map(|width| width.parse().ok()).collect::<Option<_>>()?;
        let of_layer = |pair: &[usize]| pair[0].checked_add(1)?.checked_mul(pair[1]);
        widths.windows(2).try_fold(0_usize, |sum, pair| sum.checked_add(of_layer(pair)?))?;
        (widths.len() >= 2).then_some(widths)
    }
}

/// Writes `config.toml`; of a run that was given more epochs, with what was done before.
///
/// # Errors
/// When it cannot be written.
pub fn write_configuration(
    folder: &RunFolder,
    options: &Options,
    model: &dyn Model,
    normalisation: Normalisation,
    card: Option<String>,
    extended: Option<String>,
) -> Result<(), TrainError> {
    let head = match extended {
        None => "# This run's options. Run it again: cotangent mnist --config config.toml\n\n",
        Some(_) => {
            "# This run's options. Run again, they give another result: the run was given more epochs, as said below.\n\n"
        }
    };
    let about = About {
        version: Some(env!("CARGO_PKG_VERSION").into()),
        update_rule: Some(options.optimizer().formula(options.weight_decay)),
        network: Some(model.describe()),
        parameters: Some(model.parameter_count()),
        mean: Some(normalisation.mean),
        std: Some(normalisation.std),
        platform: Some(format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        card,
        extended,
    };
    let text = toml::to_string(&Configuration { options, about }).map_err(|error| TrainError::Content {
        path: folder.file("config.toml"),
        problem: error.to_string(),
    })?;
    folder.write("config.toml", format!("{head}{text}").as_bytes())
}

/// Reads a configuration: one that a run wrote, or one by hand with any of its keys.
///
/// # Errors
/// When the file cannot be read, is no TOML, or has an unknown key or a value of the wrong kind.
pub fn read_configuration(path: &Path) -> Result<(Option<OptimizerName>, Choices), TrainError> {
    // Whoever names a file may name a pipe.
    let bytes = files::read_named(path, files::TEXT).map_err(|source| unreadable(path, source))?;
    let (opt, choices, _) = parsed(&TomlFile::of(path, bytes)?)?;
    Ok((opt, choices))
}

/// Reads the options of a run as it wrote them.
///
/// # Errors
/// As [`read_configuration`], and when the file names no optimizer or its options make no sense.
pub fn read_options(path: &Path) -> Result<Options, TrainError> {
    let (opt, choices, _) = read_configuration_with_about(path)?;
    let opt =
        opt.ok_or_else(|| content(path, "names no optimizer: add a line such as opt = \"adam\"".into()))?;
    let options = Choices { plan: None, ..choices }.resolve(opt); // how a step reached a device is not gone on with
    options.map_err(|error| content(path, error.to_string()))
}

/// As [`read_configuration`], and what the file says about the run: nothing where that cannot be read, as
/// nothing depends on it.
///
/// # Errors
/// As [`read_configuration`].
pub fn read_configuration_with_about(
    path: &Path,
) -> Result<(Option<OptimizerName>, Choices, About), TrainError> {
    parsed(&TomlFile::read(path)?)
}

fn parsed(file: &TomlFile<'_>) -> Result<(Option<OptimizerName>, Choices, About), TrainError> {
    let mut table = file.table()?;
    let about = table.get_mut().remove("about");
    let about = about.and_then(|about| About::deserialize(about.into_deserializer()).ok());
    let (opt, choices) = file.options(table)?;
    Ok((opt, choices, about.unwrap_or_default()))
}

/// A file of options. Its keys are taken apart with their places in the text, so that a mistake is named with its line.
pub(crate) struct TomlFile<'a> {
    path: &'a Path,
    text: String,
}

impl<'a> TomlFile<'a> {
    pub fn read(path: &'a Path) -> Result<Self, TrainError> {
        Self::of(path, files::read(path, files::TEXT).map_err(|source| unreadable(path, source))?)
    }

    /// That of this content.
    pub fn of(path: &'a Path, bytes: Vec<u8>) -> Result<Self, TrainError> {
        let text = String::from_utf8(bytes);
        let text = text.map_err(|error| content(path, format!("is not UTF-8 ({error})")))?;
        Ok(Self { path, text })
    }

    pub fn table(&self) -> Result<Spanned<DeTable<'_>>, TrainError> {
        DeTable::parse(&self.text).map_err(|error| self.failed(None, error))
    }

    /// A table, or what is left of it, as something of known keys.
    pub fn rest<T: DeserializeOwned>(&self, table: Spanned<DeTable<'_>>) -> Result<T, TrainError> {
        let place = table.span();
        T::deserialize(toml::Deserializer::from(table)).map_err(|error| self.failed(Some(place), error))
    }

    /// A table of options, and the optimizer that it names.
    pub fn options(
        &self,
        mut table: Spanned<DeTable<'_>>,
    ) -> Result<(Option<OptimizerName>, Choices), TrainError> {
        let opt = table.get_mut().remove("opt").map(|opt| {
            let place = opt.span();
            OptimizerName::deserialize(opt.into_deserializer())
                .map_err(|error| self.failed(Some(place), error))
        });
        Ok((opt.transpose()?, self.rest(table)?))
    }

    fn failed(&self, place: Option<Range<usize>>, error: toml::de::Error) -> TrainError {
        let line = error.span().or(place).map(|span| self.text[..span.start].matches('\n').count() + 1);
        let line = line.map_or(String::new(), |line| format!("line {line}: "));
        content(self.path, format!("{line}{}", error.message().trim_end().replace('\n', "; ")))
    }
}

fn unreadable(path: &Path, source: io::Error) -> TrainError {
    TrainError::File { action: "read the configuration", path: path.into(), source }
}

fn content(path: &Path, problem: String) -> TrainError {
    TrainError::Content { path: path.into(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_a_configuration_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let problem = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let error = read_configuration(&path).unwrap_err().to_string();
            error.strip_prefix(&format!("{}: ", path.display())).unwrap().to_string()
        };
        let unknown = problem("seed = 1\n\nlearning-rate = 2\n");
        assert!(unknown.starts_with("line 3: unknown field `learning-rate`, expected"), "{unknown}");
        let kind = problem("seed = 1\nepochs = \"two\"\n");
        assert_eq!(kind, "line 2: invalid type: string \"two\", expected usize");
        let name = problem("# mine\nopt = \"sdg\"\n");
        assert!(name.starts_with("line 2: \"sdg\": did you mean sgd?"), "{name}");
        assert!(problem("lr = \n").starts_with("line 1: "), "{}", problem("lr = \n"));
        assert!(!problem("a = [1,\n\n").contains('\n'));
    }
}
