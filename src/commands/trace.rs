//! `trace`: forward and reverse mode over a formula, step by step.

use std::io::{BufWriter, Read, Write};

use cotangent::document::{self, Paper, TextPage};
use cotangent::scalar::format::{self, Notation};
use cotangent::scalar::{
    Directions, LONGEST, TextError, TraceError, TraceRequest, check_text, mistake_about, parse, parse_points,
    trace,
};

use super::Failure;
use super::console::{colour, width, written};
use super::drawing::{GraphFormat, in_characters};
use super::output::Output;
use crate::cli::{PageFormat, TraceArgs, TraceNotation};

pub fn run(arguments: TraceArgs) -> Result<(), Failure> {
    let formula = match &arguments.formula[..] {
        "-" => standard_input()?,
        "-h" if arguments.at.is_empty() => {
            return Err(Failure::usage("-h is read as a formula here; for help: cotangent trace --help"));
        }
        formula => formula.to_owned(),
    };
    check_text(&formula).map_err(Failure::work)?;
    let formula = parse(&formula).map_err(|error| mistake("the formula", error))?;
    let entries = |option: &'static str, texts: &[String]| {
        parse_points(texts.iter().map(String::as_str)).map_err(|error| mistake(option, error))
    };
    let point = entries("--at", &arguments.at)?;
    let directions = match &arguments.wrt {
        Some(input) => Directions::Along(vec![(input.trim().into(), 1.0)]),
        None if arguments.direction.is_empty() => Directions::Each,
        None => match entries("--direction", &arguments.direction)? {
            none if none.is_empty() => {
                return Err(Failure::usage("--direction names no input; write it as x1=1,x2=0.5"));
            }
            along => Directions::Along(along),
        },
    };
    let on_page = matches!(arguments.page.format, PageFormat::Text | PageFormat::Markdown);
    let drawn = arguments.graph.as_deref().map(|graph| GraphFormat::of(graph, on_page)).transpose()?;
    let graph = arguments.graph.clone().filter(|_| drawn != Some(GraphFormat::Characters));
    let graph = graph.map(|path| Output::wanted("--graph", path, arguments.force)).transpose()?;
    let request = TraceRequest { directions, hessian: arguments.hessian };
    let trace = trace(&formula, &point, &request).map_err(|error| failure(error, &arguments))?;

    let notation = match arguments.notation {
        TraceNotation::Griewank => Notation::Griewank,
        TraceNotation::Plain => Notation::Plain,
    };
    let digits = usize::from(arguments.page.digits);
    let diagram = || format::diagram(&trace, notation, digits);
    let rows = trace.rows.len();
    let in_characters = in_characters(drawn, on_page, rows, diagram);
    if let (Some(file), Some(drawing)) = (&graph, drawn) {
        file.write(&drawing.bytes(file.path(), rows, diagram)?)?;
    }
    drop(formula); // a trace holds all that is shown
    let out = &mut BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let drawing = in_characters.as_deref();
    let done = match arguments.page.format {
        PageFormat::Text => format::with_page(&trace, notation, digits, drawing, |page| {
            document::write_text(&page, TextPage { width: width(), colour: colour(), elide: false }, out)
        }),
        PageFormat::Markdown => {
            format::with_page(&trace, notation, digits, drawing, |page| document::write_markdown(&page, out))
        }
        PageFormat::Latex => {
            // Long numbers need a wide page.
            let paper = if digits > 6 { Paper::Landscape } else { Paper::Portrait };
            format::with_page(&trace, Notation::Latex, digits, drawing, |page| {
                document::write_latex(&page, paper, out)
            })
        }
        PageFormat::Csv => format::write_csv(&trace, out).map_err(Into::into),
        PageFormat::Json => format::write_json(&trace, out),
    };
    written(done.and_then(|()| out.flush()))
}

/// The formula that is read from standard input.
fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    // One byte more than is taken, so that the length tells.
    let read = std::io::stdin().lock().take(LONGEST as u64 + 1).read_to_string(&mut text);
    match read {
        // Some editors begin a text with a mark of its encoding.
        Ok(_) => Ok(text.trim_start_matches('\u{feff}').to_owned()),
        Err(error) => {
            let message = format!("cannot read the formula from standard input: {error}");
            let is_no_text = error.kind() == std::io::ErrorKind::InvalidData;
            Err(if is_no_text { Failure::usage(message) } else { Failure::work(message) })
        }
    }
}

fn mistake(place: &str, error: TextError) -> Failure {
    Failure::usage(format!("in {place}: {error}"))
}

fn failure(error: TraceError, arguments: &TraceArgs) -> Failure {
    match error {
        TraceError::Lacking(error) => mistake("the formula", error),
        TraceError::Unknown { ref name, ref problem } => {
            // The point is looked at first.
            let places = [
                ("--at", &arguments.at[..]),
                ("--direction", &arguments.direction[..]),
                ("--wrt", arguments.wrt.as_slice()),
            ];
            let texts = places.iter().flat_map(|(place, texts)| texts.iter().map(move |text| (*place, text)));
            let mut found =
                texts.filter_map(|(place, text)| Some((place, mistake_about(text, name, problem)?)));
            match found.next() {
                Some((place, error)) => mistake(place, error),
                None => Failure::usage(error),
            }
        }
        TraceError::Domain(_) | TraceError::TooLarge { .. } | TraceError::Memory { .. } => {
            Failure::work(error)
        }
    }
}
