//! Options said again: by name, and as the command that trains with them.

use serde_json::{Map, Value};

use super::{Choices, Options};

impl Options {
    /// Every option under its name on the command line.
    pub fn by_name(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(options)) => options,
            _ => Map::new(), // never: all options are numbers and words
        }
    }

    /// The command that trains with these options: those that are not the defaults, and the seed. Threads, and how work
    /// reaches a device, decide no result and are left out.
    pub fn command(&self) -> String {
        let default =
            Choices::default().resolve(self.opt).map(|options| options.by_name()).unwrap_or_default();
        let mut command = format!("cotangent mnist --opt {} --seed {}", self.opt.name(), self.seed);
        for (name, value) in self.by_name() {
            let is_said = ["opt", "seed", "threads", "plan"].contains(&&name[..]);
            let is_processor = name == "device" && value == "cpu";
            if !is_said && !is_processor && default.get(&name) != Some(&value) {
                let value = said(&value);
                let value = if value.contains(' ') { format!("'{value}'") } else { value };
                command += &format!(" --{name} {value}");
            }
        }
        command
    }
}

/// The value of an option as it is said on the command line.
pub(in crate::train) fn said(value: &Value) -> String {
    // Of a model to start from, its path.
    let value = value.get("path").unwrap_or(value);
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::OptimizerName;

    #[test]
    fn the_command_says_what_is_no_default_and_decides_the_result() {
        let command = |choices: Choices| choices.resolve(OptimizerName::Adam).unwrap().command();
        let elsewhere = Choices { threads: Some(3), device: Some("cpu".into()), ..Choices::default() };
        assert_eq!(command(elsewhere), "cotangent mnist --opt adam --seed 0");
        let other = Choices {
            lr: Some(0.01.into()),
            hidden: Some("30,20".parse().unwrap()),
            seed: Some(4),
            data: Some("/a folder".into()),
            device: Some("cuda:1".into()),
            ..Choices::default()
        };
        let expected =
            "cotangent mnist --opt adam --seed 4 --data '/a folder' --device cuda:1 --hidden 30,20 --lr 0.01";
        assert_eq!(command(other), expected);
    }
}
