//! Options said again: by name, and as the command that trains with them.

use serde::Serialize;
use serde_json::{Map, Value};

use super::rows::{Choices, Decides, Options, decides, names};
use crate::names::{listed, quoted};
use crate::optim::OptimizerName;

impl Choices {
    /// What was said, under its name on the command line.
    pub fn said(&self) -> Map<String, Value> {
        by_name(self)
    }
}

/// The options of training that may stand beside --resume, with their hyphens, and --quiet: what decides no result, and
/// device and kernels, as what was trained on one that is gone can go on on another.
pub fn said_beside_resume() -> String {
    let free = names().filter(|name| decides(name) != Decides::Result).map(|name| format!("--{name}"));
    let free: Vec<String> = free.chain(["--quiet".into()]).collect();
    listed(&free.iter().map(String::as_str).collect::<Vec<_>>(), "and")
}

/// The optimizers as help lists them: `adagrad, adam or sgd`.
pub fn any_optimizer() -> String {
    listed(&OptimizerName::ALL.map(OptimizerName::name), "or")
}

/// Options that have a value, under their names.
fn by_name(options: &impl Serialize) -> Map<String, Value> {
    let mut options = match serde_json::to_value(options) {
        Ok(Value::Object(options)) => options,
        _ => Map::new(), // never: all options are numbers and words
    };
    options.retain(|_, value| !value.is_null());
    options
}

impl Options {
    /// Every option under its name on the command line.
    pub fn by_name(&self) -> Map<String, Value> {
        by_name(self)
    }

    /// Those that decide what comes out.
    pub fn deciding(&self) -> Map<String, Value> {
        let mut options = self.by_name();
        options.retain(|name, _| decides(name) != Decides::Nothing);
        options
    }

    /// The command that trains with these options: those that are not the defaults, and the seed. What decides no result is
    /// left out; the device is said unless it is the processor, which is there for all, and its kernels unless images
    /// can decide them, so the command is the run's but for rounding.
    pub fn command(&self) -> String {
        let default =
            Choices::default().resolve(self.opt).map(|options| options.by_name()).unwrap_or_default();
        let mut command = format!("cotangent mnist --opt {} --seed {}", self.opt.name(), self.seed);
        for (name, value) in self.deciding() {
            let is_said = ["opt", "seed"].contains(&&name[..]);
            let is_usual = match &name[..] {
                "device" => value == "cpu",
                "kernels" => value == "skipping" || value == "dense",
                _ => false,
            };
            if !is_said && !is_usual && default.get(&name) != Some(&value) {
                command += &format!(" --{name} {}", quoted(&said(&value)));
            }
        }
        command
    }
}

/// The value of an option as it is said on the command line.
pub(crate) fn said(value: &Value) -> String {
    // Of a model to start from, its path.
    let value = value.get("path").unwrap_or(value);
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_says_what_is_no_default_and_decides_the_result() {
        let command = |choices: Choices| choices.resolve(OptimizerName::Adam).unwrap().command();
        let elsewhere = Choices { threads: Some(3), device: Some("cpu".into()), ..Choices::default() };
        assert_eq!(command(elsewhere), "cotangent mnist --opt adam --seed 0");
        let other = Choices {
            lr: Some(0.01.into()),
            hidden: Some("30,20".parse().unwrap()),
            seed: Some(4),
            data: Some("/a folder's".into()),
            device: Some("cuda:1".into()),
            ..Choices::default()
        };
        let expected = "cotangent mnist --opt adam --seed 4 --data '/a folder'\\''s' --device cuda:1 --hidden 30,20 --lr 0.01";
        assert_eq!(command(other), expected);
    }
}
