//! What a terminal may be sent.

use std::ffi::OsStr;

use clap::ColorChoice;

/// Whether escapes, colours and movements of the cursor alike, may go to a terminal: not where `NO_COLOR` is set to
/// anything (no-color.org), nor to one that knows none.
pub fn takes_escapes() -> bool {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    // Without a name, a terminal of Windows has them all the same.
    let knows_some = of("TERM").map_or(cfg!(windows), |term| term != OsStr::new("dumb"));
    of("NO_COLOR").is_none() && knows_some
}

/// The same for help and messages about the command line, which look at their own stream besides.
pub fn colour_choice() -> ColorChoice {
    if takes_escapes() { ColorChoice::Auto } else { ColorChoice::Never }
}
