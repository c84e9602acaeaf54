//! `backprop`: value and gradient of every node of a chain of matrices, checked in several ways.

use std::io::{IsTerminal, Write};

use cotangent::backprop::format::{self, Findings};
use cotangent::backprop::{self as matrices, BackpropError, MatrixNotation, Problem, torch};
use cotangent::document::{self, Block, Paper, TextPage};
use cotangent::exec::cuda::Device;
use cotangent::train::hardware::first;
use cotangent::train::options::DeviceChoice as Asked;

use super::Failure;
use super::console::{colour, print, width};
use super::drawing::{GraphFormat, in_characters};
use super::output::Output;
use crate::cli::{BackpropArgs, PageFormat};

pub fn run(arguments: BackpropArgs) -> Result<(), Failure> {
    let on_page = matches!(arguments.page.format, PageFormat::Text | PageFormat::Markdown);
    let drawn = arguments.graph.as_deref().map(|graph| GraphFormat::of(graph, on_page)).transpose()?;
    // Whatever can be known to fail is found before the work.
    let results_file = arguments.out.as_deref().map(|folder| folder.join("values.safetensors"));
    let results_file = results_file.map(|path| Output::wanted("--out", path, arguments.force)).transpose()?;
    let graph_file = arguments.graph.clone().filter(|_| drawn != Some(GraphFormat::Characters));
    let graph_file = graph_file
        .map(|path| Output::wanted("--graph", path, arguments.force)?.apart_from(results_file.as_ref()));
    let graph_file = graph_file.transpose()?;
    let (problem, origin) = problem(&arguments)?;
    let device = open(arguments.device)?;
    let found = matrices::Backprop::of(&problem).map_err(Failure::work)?;

    // What was found is shown also where a comparison cannot be made.
    let torch = arguments.check_torch.as_deref().map(|python| torch::compare(&found, python));
    let device = device.as_ref().map(|device| matrices::device::compare(&found, device));
    let results = Findings {
        found: &found,
        origin: &origin,
        torch: torch.as_ref().and_then(|torch| torch.as_ref().ok()),
        device: device.as_ref().and_then(|device| device.as_ref().ok()),
    };
    let digits = usize::from(arguments.page.digits);
    let nodes = found.variables.len();
    let drawing = in_characters(drawn, on_page, nodes, || format::diagram_in_characters(&results, digits));
    let page = |notation| format::page(&results, notation, digits, drawing.as_deref());
    let in_text = |page: &[Block]| {
        // A terminal shows the ends of a wide matrix; what is kept shows all of it.
        let elide = std::io::stdout().is_terminal();
        document::text(page, TextPage { width: width(), colour: colour(), elide })
    };
    print(&match arguments.page.format {
        PageFormat::Text => in_text(&page(MatrixNotation::Text)),
        PageFormat::Markdown => document::markdown(&page(MatrixNotation::Text)),
        PageFormat::Latex => document::latex(&page(MatrixNotation::Latex), Paper::Portrait),
        PageFormat::Csv => format::csv(&found).map_err(Failure::work)?,
        PageFormat::Json => format::json(&results).map_err(Failure::work)?,
    })?;
    if arguments.page.format == PageFormat::Csv {
        // The table has no place for it.
        let agreement =
            document::text(&format::agreement(&results, MatrixNotation::Text, digits), TextPage::PLAIN);
        let _ = std::io::stderr().lock().write_all(agreement.as_bytes()); // with stderr gone, the status says it
    }
    if let (Some(file), Some(drawing)) = (&graph_file, drawn) {
        file.write(&drawing.bytes(file.path(), nodes, || format::diagram(&results, digits))?)?;
    }
    if let Some(file) = &results_file {
        file.write(&found.tensors().map_err(Failure::work)?)?;
    }
    if found.checks.agree() == Some(false) {
        return Err(Failure::work(
            "a gradient differs from forward mode or from central differences: see Checks",
        ));
    }
    let torch = torch.transpose().map_err(Failure::work)?;
    device.transpose().map_err(Failure::work)?;
    match torch.and_then(|torch| torch.agrees()) {
        Some(false) => Err(Failure::work("a value or gradient differs from PyTorch's: see the table")),
        _ => Ok(()),
    }
}

/// The matrices, and where they are from.
fn problem(arguments: &BackpropArgs) -> Result<(Problem, String), Failure> {
    if let Some(path) = &arguments.input {
        let problem = Problem::read(path).map_err(|error| Failure::work(format!("--input: {error}")))?;
        let name: String =
            path.display().to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        return Ok((problem, format!("from {name}")));
    }
    let shape = arguments.shape.as_ref().map_or(&Problem::SHAPE[..], |widths| &widths.0);
    let seed = arguments.seed.unwrap_or(0);
    let problem = Problem::random(shape, arguments.columns.unwrap_or(Problem::COLUMNS), seed);
    let problem = problem.map_err(|error| match error {
        BackpropError::Memory { .. } => Failure::work(error),
        error => Failure::usage(error),
    })?;
    Ok((problem, Problem::origin(seed)))
}

/// The device to compare with, if one was asked for.
fn open(asked: Asked) -> Result<Option<Device>, Failure> {
    match asked {
        Asked::Cpu => Ok(None),
        Asked::Auto => match first(Device::open) {
            Ok(device) => Ok(Some(device)),
            Err(error) => {
                let line = format!("no CUDA device to compare with: {}", error.reason());
                let _ = writeln!(std::io::stderr(), "{line}"); // with stderr gone, nobody reads it
                Ok(None)
            }
        },
        Asked::Cuda(ordinal) => match Device::open(ordinal) {
            Ok(device) => Ok(Some(device)),
            Err(source) => {
                Err(cotangent::train::TrainError::Unusable { asked: asked.to_string(), source }.into())
            }
        },
    }
}
