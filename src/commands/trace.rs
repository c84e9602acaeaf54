//! `trace`: forward and reverse mode over a formula, step by step.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use cotangent::document::{self, Paper, TextStyle};
use cotangent::draw::png;
use cotangent::scalar::format::{self, Notation};
use cotangent::scalar::{
    Directions, LONGEST, Request, TextError, TraceError, mistake_about, parse, parse_point, trace,
};

use super::Failure;
use crate::cli::{Trace, TraceFormat, TraceNotation};

/// Columns of a page of text.
const WIDTH: usize = 100;

/// A text shows the graph of at most so many nodes without being asked.
const SMALL: usize = 24;

/// More nodes than anybody looks at take too long to lay out.
const LARGEST_DRAWING: usize = 1000;

/// Pixels of a PNG picture to one of the drawing.
const SCALE: f32 = 2.0;

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
        (None, Some(direction)) if direction.trim().is_empty() => {
            return Err(Failure::usage("--direction names no input; write it as x1=1,x2=0.5"));
        }
        (None, Some(direction)) => {
            Directions::Along(parse_point(direction).map_err(|error| mistake("--direction", error))?)
        }
        (None, None) => Directions::Each,
    };
    let on_page = matches!(arguments.format, TraceFormat::Text | TraceFormat::Markdown);
    let drawn = arguments.graph.as_deref().map(|graph| drawing_format(graph, on_page)).transpose()?;
    let request = Request { directions, hessian: arguments.hessian };
    let trace = trace(&formula, &point, &request).map_err(|error| failure(error, &arguments))?;

    let notation = match arguments.notation {
        TraceNotation::Griewank => Notation::Griewank,
        TraceNotation::Plain => Notation::Plain,
    };
    let digits = usize::from(arguments.digits);
    let diagram = || format::diagram(&trace, notation, digits);
    let in_characters = match drawn {
        Some(Drawing::Characters) if trace.rows.len() <= LARGEST_DRAWING => {
            Some(diagram().boxes(WIDTH).unwrap_or_else(|| diagram().lifelines()))
        }
        Some(Drawing::Characters) => Some(diagram().lifelines()),
        _ if on_page && trace.rows.len() <= SMALL => diagram().boxes(WIDTH),
        _ => None,
    };
    let in_characters = in_characters.as_deref();
    if let (Some(path), Some(drawing)) = (&arguments.graph, drawn) {
        write_drawing(path, drawing, &trace, diagram)?;
    }
    let page = |notation| format::page(&trace, notation, digits, in_characters);
    let stdout = std::io::stdout();
    let text = match arguments.format {
        TraceFormat::Text => {
            let colour =
                stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            document::text(&page(notation), TextStyle { width: WIDTH, colour, elide: false })
        }
        TraceFormat::Markdown => document::markdown(&page(notation)),
        TraceFormat::Latex => {
            // Long numbers need a wide page.
            let paper = if digits > 6 { Paper::Landscape } else { Paper::Portrait };
            document::latex(&page(Notation::Latex), paper)
        }
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

/// How the graph is drawn.
#[derive(Clone, Copy, PartialEq)]
enum Drawing {
    Characters,
    Svg,
    Png,
    Dot,
}

/// What the file's name asks for.
fn drawing_format(path: &Path, on_page: bool) -> Result<Drawing, Failure> {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        _ if path.as_os_str() == "-" && on_page => Ok(Drawing::Characters),
        _ if path.as_os_str() == "-" => Err(Failure::usage(
            "--graph - draws into text or markdown; with this --format name a file, such as graph.svg",
        )),
        Some("svg") => Ok(Drawing::Svg),
        Some("png") => Ok(Drawing::Png),
        Some("dot" | "gv") => Ok(Drawing::Dot),
        _ => {
            let problem =
                format!("--graph {}: the name must end in .svg, .png or .dot, or be -", path.display());
            Err(Failure::usage(problem))
        }
    }
}

fn write_drawing(
    path: &Path,
    drawing: Drawing,
    trace: &cotangent::scalar::Trace,
    diagram: impl Fn() -> cotangent::draw::Diagram,
) -> Result<(), Failure> {
    let rows = trace.rows.len();
    if matches!(drawing, Drawing::Svg | Drawing::Png) && rows > LARGEST_DRAWING {
        return Err(Failure::work(format!(
            "--graph {}: {rows} nodes are too many to lay out, at most {LARGEST_DRAWING} are drawn; a .dot file takes any number",
            path.display()
        )));
    }
    let bytes = match drawing {
        Drawing::Characters => return Ok(()), // it stands on the page
        Drawing::Svg => diagram().svg().into_bytes(),
        Drawing::Png => png(&diagram().svg(), SCALE).map_err(Failure::work)?,
        Drawing::Dot => diagram().dot().into_bytes(),
    };
    std::fs::write(path, bytes)
        .map_err(|error| Failure::work(format!("--graph: cannot write {}: {error}", path.display())))
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

fn failure(error: TraceError, arguments: &Trace) -> Failure {
    match error {
        TraceError::Lacking(error) => mistake("the formula", error),
        TraceError::Unknown { ref name, ref problem } => {
            // The point is looked at first.
            let places =
                [("--at", &arguments.at), ("--direction", &arguments.direction), ("--wrt", &arguments.wrt)];
            let found = places
                .into_iter()
                .find_map(|(place, text)| Some((place, mistake_about(text.as_deref()?, name, problem)?)));
            match found {
                Some((place, error)) => mistake(place, error),
                None => Failure::usage(error),
            }
        }
        TraceError::Domain(_) | TraceError::TooLarge { .. } => Failure::work(error),
    }
}
