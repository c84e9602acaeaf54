//! Copies of the team's protocol with a line wrong in each, for the tests that must find them (`src/exec/cpu/team/model.rs`).
//!
//! They are made here, as text, so that the protocol itself holds no switches. Only tests compile them.

use std::fs;
use std::path::Path;

/// A name for a mistake, and what it puts in place of what.
struct Mistake {
    name: &'static str,
    edits: &'static [(&'static str, &'static str)],
}

const PROTOCOL: &str = "src/exec/cpu/team/protocol.rs";

const OPENING: &str = "self.state.store(number.wrapping_mul(ROUND) | OPEN, SeqCst);";
const DEALING: &str = "self.deal(count);";
const HANDING_OUT: &str = "*locked(&self.work) = work;";
const WAITING: &str = "wait(|| (self.state.load(SeqCst) & WORKERS == 0).then_some(()), || false);";
const PASSING_ON: &str = "let panic = locked(&self.panic).take();";

const MISTAKES: [Mistake; 10] = [
    Mistake { name: "workers_are_not_waited_for", edits: &[(WAITING, "")] },
    Mistake {
        name: "the_round_stays_open_while_the_caller_waits",
        edits: &[("self.state.fetch_and(!OPEN, SeqCst);", "")],
    },
    Mistake {
        name: "a_closed_round_is_joined",
        edits: &[(
            "let is_new = state & OPEN != 0 && state / ROUND != seen;",
            "let is_new = state / ROUND != seen;",
        )],
    },
    Mistake {
        name: "a_round_is_joined_that_may_have_closed_since",
        edits: &[(
            "self.state.compare_exchange(state, state + 1, SeqCst, SeqCst).is_ok()",
            "{ self.state.fetch_add(1, SeqCst); true }",
        )],
    },
    Mistake {
        name: "shares_are_dealt_after_the_round_is_open",
        edits: &[
            (DEALING, ""),
            (OPENING, "self.state.store(number.wrapping_mul(ROUND) | OPEN, SeqCst); self.deal(count);"),
        ],
    },
    Mistake {
        name: "work_is_handed_out_after_the_round_is_open",
        edits: &[
            (HANDING_OUT, ""),
            (
                OPENING,
                "self.state.store(number.wrapping_mul(ROUND) | OPEN, SeqCst); *locked(&self.work) = work;",
            ),
        ],
    },
    Mistake {
        name: "a_panic_is_asked_for_before_workers_are_waited_for",
        edits: &[
            (PASSING_ON, ""),
            (
                WAITING,
                "let panic = locked(&self.panic).take(); wait(|| (self.state.load(SeqCst) & WORKERS == 0).then_some(()), || false);",
            ),
        ],
    },
    Mistake {
        name: "a_sleeper_is_counted_after_it_looked",
        edits: &[
            ("self.asleep.fetch_add(1, SeqCst);\n", ""),
            (
                "drop(condition.wait_while(guard, nothing));",
                "if nothing(&mut ()) { self.asleep.fetch_add(1, SeqCst); drop(condition.wait(guard)); } else { self.asleep.fetch_add(1, SeqCst); drop(guard); }",
            ),
        ],
    },
    Mistake {
        name: "sleepers_are_woken_up_without_the_lock",
        edits: &[("let _guard = locked(&self.bed.0);\n", "")],
    },
    Mistake { name: "an_open_round_counts_as_seen", edits: &[("if state & OPEN == 0 {", "{")] },
];

/// Writes the copies and a list of them into `out`; returns the lines to print for cargo, or why the build fails.
pub fn plant(root: &Path, out: &Path) -> Result<Vec<String>, String> {
    let folder = out.join("planted");
    let failed = |error| format!("the team's protocol, {PROTOCOL}: {error}");
    fs::create_dir_all(&folder).map_err(failed)?;
    let protocol = fs::read_to_string(root.join(PROTOCOL)).map_err(failed)?;
    // What is said of the file itself has no place within another.
    let body: String =
        protocol.lines().filter(|line| !line.starts_with("//!")).flat_map(|line| [line, "\n"]).collect();
    for Mistake { name, edits } in &MISTAKES {
        fs::write(folder.join(format!("{name}.rs")), edited(&body, edits)).map_err(failed)?;
    }
    let names = MISTAKES.map(|mistake| mistake.name).join(" ");
    fs::write(folder.join("all.rs"), format!("planted! {{ {names} }}\n")).map_err(failed)?;
    Ok(vec![format!("cargo::rerun-if-changed={PROTOCOL}")])
}

/// The text with each edit made; where one does not fit, an error that whoever compiles the tests gets to see.
fn edited(text: &str, edits: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (before, after) in edits {
        if text.matches(before).count() != 1 {
            let message = format!("build/planted.rs replaces what {PROTOCOL} does not hold once: {before}");
            return format!("compile_error!({message:?});\n");
        }
        text = text.replace(before, after);
    }
    text
}
