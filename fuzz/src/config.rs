//! `config.toml`, by hand or as a run wrote it: the input is the file.

use std::cell::RefCell;

use cotangent::errors::with_causes;
use cotangent::runs::files::read_configuration_with_about;
use cotangent::train::{OptimizerName, Options};

use super::scratch::Scratch;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Reads the file, and asserts that options which hold are the same once they are written and read again.
pub fn run(data: &[u8]) {
    let Some(options) = options(data) else { return };
    let written = toml::to_string(&options).expect("options can be written");
    let again = self::options(written.as_bytes());
    assert_eq!(again.as_ref(), Some(&options), "{written}");
    assert!(!options.optimizer().formula(options.weight_decay).is_empty());
    assert!(!options.command().is_empty());
    let steps = 1000;
    for step in [0, 1, steps / 5, steps / 2, steps - 1] {
        let rate = options.schedule.learning_rate(options.lr, step, steps);
        assert!((0.0..=options.lr).contains(&rate), "{rate} of {}", options.lr);
    }
}

/// The options that hold, if they do.
fn options(content: &[u8]) -> Option<Options> {
    let path = SCRATCH.with_borrow_mut(|scratch| scratch.file("config.toml", content));
    let read = read_configuration_with_about(&path);
    let (opt, mut choices, about) = read.inspect_err(|error| assert!(!with_causes(error).is_empty())).ok()?;
    about.widths();
    choices.init = None; // it names a file, and mutations must not choose which ones are read
    let resolved = choices.resolve(opt.unwrap_or(OptimizerName::Adam));
    resolved.inspect_err(|error| assert!(!with_causes(error).is_empty())).ok()
}
