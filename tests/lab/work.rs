//! What the lab and the processes that it starts say to each other.
//!
//! Kernels run in processes of their own: a sanitizer must be in a process from its beginning, a kernel may never end,
//! and the student's file must not take the lab with it. A process reads its work from a file and writes an event a line
//! to another, so that whatever ends it, what it was doing is known.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::comparison::Mismatch;
use super::launch::Extents;
use super::reference::Precision;
use super::requests::Requests;
use super::signature::Operation;

/// The variable that holds the path of a process's work.
pub const VARIABLE: &str = "COTANGENT_LAB_WORK";

/// What a process is to do: launch one kernel on several shapes, each under several schedules.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Work {
    /// The emulated driver and its image; none of the one and a cubin for a card.
    pub library: Option<PathBuf>,
    pub image: PathBuf,
    /// Names that the kernel may have in the image.
    pub names: Vec<String>,
    pub operation: Operation,
    pub precision: Precision,
    /// The student's file, by its name alone.
    pub file: String,
    /// The name of each array in it.
    pub arrays: Vec<String>,
    pub launches: Vec<Launch>,
    pub orders: Vec<Order>,
    /// Where events go.
    pub events: PathBuf,
    /// Whether times are wanted, of this launch.
    pub timed: Option<Launch>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Launch {
    pub sizes: Vec<usize>,
    pub extents: Extents,
}

/// In which order the threads of a block advance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Order {
    FirstInFirstOut,
    LastInFirstOut,
    Random(u64),
}

/// A line of the file of events.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// A launch begins: its number, and the order's.
    Began {
        launch: usize,
        order: usize,
    },
    /// Where an array of that launch lies.
    Array {
        name: String,
        address: u64,
        elements: usize,
    },
    Right,
    Wrong(Mismatch),
    /// What ended the launch.
    Fault(String),
    /// What the launch asked of memory, where that is counted.
    Counted(Vec<Requests>),
    /// On a card: seconds of a launch of the student's kernel, and of this project's own, if that has one for the shape.
    Times {
        card: String,
        theirs: f64,
        ours: Option<f64>,
    },
    /// All is done.
    Finished,
    /// Nothing could be launched, and why.
    Failed(String),
}

impl Work {
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// # Errors
    /// A file that cannot be read, or that is no work.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Writes events, each at once.
pub struct Events(File);

impl Events {
    /// # Errors
    /// A file that cannot be opened.
    pub fn open(path: &Path) -> Result<Self, String> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.map(Self).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    pub fn say(&mut self, event: &Event) {
        let line = serde_json::to_string(event).unwrap_or_default();
        let _ = writeln!(self.0, "{line}"); // the lab finds the end of the events missing
    }
}

/// The events so far; a line that was cut off is none.
pub fn read_events(path: &Path) -> Vec<Event> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
