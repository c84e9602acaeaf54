//! `trace`: forward and reverse mode over a formula, step by step.

use std::io::{IsTerminal, Read, Write};

use cotangent::scalar::format::{self, Notation, TextStyle};
use cotangent::scalar::{Directions, LONGEST, Request, TextError, TraceError, parse, parse_point, trace};

use super::Failure;
use crate::cli::{Trace, TraceFormat, TraceNotation};

/// Columns of a page of text.
const WIDTH: usize = 100;

pub fn run(arguments: Trace) -> Result<(), Failure> {
    let formula = match &arguments.formula[..] {
        "-" => standard_input()?,
        "-h" if arguments.at.is_none() => {
            return Err(Failure::usage("-h is read as a formula here; for help: cotangent trace --help"));
        }
        formula => formula.to_owned(),
    };
    let formula = parse(&formula).map_err(|error| mistake("the formula", error))?;
    let point = arguments.at.as_deref().unwrap_or_default();
    let point = parse_point(point).map_err(|error| mistake("--at", error))?;
    let directions = match (&arguments.wrt, &arguments.direction) {
        (Some(input), _) => Directions::Along(vec![(input.clone(), 1.0)]),
        (None, Some(direction)) => {
            Directions::Along(parse_point(direction).map_err(|error| mistake("--direction", error))?)
        }
        (None, None) => Directions::Each,
    };
    let request = Request { directions, hessian: arguments.hessian };
    let trace = trace(&formula, &point, &request)?;

    let notation = match arguments.notation {
        TraceNotation::Griewank => Notation::Griewank,
        TraceNotation::Plain => Notation::Plain,
    };
    let digits = usize::from(arguments.digits);
    let stdout = std::io::stdout();
    let text = match arguments.format {
        TraceFormat::Text => {
            let colour =
                stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            format::text(&trace, TextStyle { notation, digits, width: WIDTH, colour }, None)
        }
        TraceFormat::Markdown => format::markdown(&trace, notation, digits, None),
        TraceFormat::Latex => format::latex(&trace, digits),
        TraceFormat::Csv => format::csv(&trace).map_err(Failure::work)?,
        TraceFormat::Json => format::json(&trace).map_err(Failure::work)?,
    };
    match stdout.lock().write_all(text.as_bytes()) {
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => {
            written.map_err(|error| Failure::work(format!("cannot write to standard output: {error}")))
        }
    }
}

/// The formula that is read from standard input.
fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    // One byte more than is taken, so that the length tells.
    let read = std::io::stdin().lock().take(LONGEST as u64 + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::work(format!("cannot read the formula from standard input: {error}")))?;
    Ok(text)
}

fn mistake(place: &str, error: TextError) -> Failure {
    Failure::usage(format!("in {place}: {error}"))
}

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        match error {
            TraceError::Usage(_) => Self::usage(error),
            TraceError::Domain(_) | TraceError::TooLarge { .. } => Self::work(error),
        }
    }
}
