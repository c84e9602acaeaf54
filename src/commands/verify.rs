//! `verify`: whether run folders are as the runs left them.

use cotangent::errors::printable;
use cotangent::runs::search::folders;
use cotangent::runs::verify::{Verified, verify};
use cotangent::train::{Options, TrainError};

use super::console::{count, print};
use super::{Failure, data};
use crate::cli::{Format, VerifyArgs};

pub fn run(arguments: VerifyArgs) -> Result<(), Failure> {
    let images = |options: &Options| {
        let folder = arguments.data.as_deref().or(options.data.as_deref());
        data::load(folder, true).map_err(TrainError::from)
    };
    let mut all = Vec::new();
    for path in &arguments.runs {
        all.extend(folders(path)?.iter().map(|folder| verify(folder, &images)));
    }
    print(&match arguments.said.format {
        Format::Text => all.iter().map(shown).collect::<String>(),
        Format::Json => serde_json::to_string_pretty(&all).map_err(Failure::work)? + "\n",
    })?;
    match all.iter().filter(|verified| !verified.holds()).count() {
        0 => Ok(()),
        wrong => Err(Failure::work(format!(
            "{} of {} changed since its run left it: put back what has changed, or train anew",
            wrong,
            count(all.len(), "folder")
        ))),
    }
}

fn shown(verified: &Verified) -> String {
    let width = verified.checks.iter().map(|check| check.what.len()).max().unwrap_or(0);
    let mut text = format!("{}\n", verified.path.display());
    for check in &verified.checks {
        let verdict = match check.holds {
            Some(true) => "ok",
            Some(false) => "WRONG",
            None => "-",
        };
        text += &format!("  {verdict:5}  {:width$}  {}\n", check.what, check.found);
    }
    printable(&text).into_owned()
}
