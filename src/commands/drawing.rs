//! The computational graph that a command draws beside what it prints.

use std::path::Path;

use cotangent::draw::{Diagram, png};

use super::Failure;
use super::console::width;

/// A text shows the graph of at most so many nodes without being asked.
const SMALL: usize = 24;

/// More nodes than anybody looks at take too long to lay out.
const LARGEST: usize = 1000;

/// Pixels of a PNG picture to one of the drawing.
const SCALE: f32 = 2.0;

/// How the graph is drawn.
#[derive(Clone, Copy, PartialEq)]
pub enum Drawing {
    /// On the page.
    Characters,
    Svg,
    Png,
    Dot,
}

impl Drawing {
    /// What the file's name asks for; `on_page` says whether the format can hold a drawing in characters.
    pub fn of(path: &Path, on_page: bool) -> Result<Self, Failure> {
        let extension =
            path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
        match extension.as_deref() {
            _ if path.as_os_str() == "-" && on_page => Ok(Self::Characters),
            _ if path.as_os_str() == "-" => Err(Failure::usage(
                "--graph - draws into text or markdown; with this --format name a file, such as graph.svg",
            )),
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            Some("dot" | "gv") => Ok(Self::Dot),
            _ => {
                let problem =
                    format!("--graph {}: the name must end in .svg, .png or .dot, or be -", path.display());
                Err(Failure::usage(problem))
            }
        }
    }

    /// Writes the drawing of a graph of so many nodes into its file, if it has one.
    pub fn write(self, path: &Path, nodes: usize, diagram: impl Fn() -> Diagram) -> Result<(), Failure> {
        if matches!(self, Self::Svg | Self::Png) && nodes > LARGEST {
            return Err(Failure::work(format!(
                "--graph {}: {nodes} nodes are too many to lay out, at most {LARGEST} are drawn; a .dot file takes any number",
                path.display()
            )));
        }
        let bytes = match self {
            Self::Characters => return Ok(()), // it stands on the page
            Self::Svg => diagram().svg().into_bytes(),
            Self::Png => png(&diagram().svg(), SCALE).map_err(Failure::work)?,
            Self::Dot => diagram().dot().into_bytes(),
        };
        std::fs::write(path, bytes)
            .map_err(|error| Failure::work(format!("--graph: cannot write {}: {error}", path.display())))
    }
}

/// The drawing in characters, if there is to be one: where it was asked for, or where the page has room and
/// the graph is small.
pub fn in_characters(
    asked: Option<Drawing>,
    on_page: bool,
    nodes: usize,
    diagram: impl Fn() -> Diagram,
) -> Option<String> {
    let is_asked = asked == Some(Drawing::Characters);
    if !is_asked && !(on_page && nodes <= SMALL) {
        return None;
    }
    let boxes = if nodes <= LARGEST { diagram().boxes(width()) } else { None };
    Some(boxes.unwrap_or_else(|| diagram().lifelines()))
}
