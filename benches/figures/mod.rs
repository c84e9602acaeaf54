//! What the benches share: how times are taken, and where figures go.
//!
//! [`Asked`] reads the command line, [`Stopwatch`] takes samples of a time, [`Figures`] writes a row of `kernels.csv` as soon
//! as it is measured and draws `kernels.png` at the end, [`Peer`] asks another program for its times of the same work.
//! A bench takes all of it in by `#[path = "figures/mod.rs"] mod figures;`.
//!
//! A row says what was timed and how near it comes to what the machine can do:
//!
//! | column | |
//! |---|---|
//! | `kernel` | the family and what it does: `product/forward` |
//! | `shape` | the extents, as in `128x512`; of what was measured with its operands in a cache and without, `128x512 warm`, `128x512 cold` |
//! | `precision` | `f32`, `bf16`: what the operands are |
//! | `variant` | which of several kernels for the same work; empty where there is one |
//! | `microseconds` | the median of at least seven samples; for a ceiling the best of them may stand |
//! | `rate`, `unit` | work a second: bytes (`GB/s`) or operations (`GFLOP/s`, `TFLOP/s`), whichever the ceiling that binds counts |
//! | `ceiling_share` | the rate over that ceiling: 1 is all that the machine can do |
//! | `peer_microseconds` | another program's median at the same work, in pairs with ours |
//! | `card` | the device, or the processor and its threads |
//! | `date` | of the run, UTC |
//!
//! Numbers have all their digits. What is not known is empty.

#![allow(dead_code, unused_imports, reason = "no bench needs all of it")]

mod asked;
mod chart;
mod markdown;
mod peer;
mod samples;

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

pub use asked::{Asked, Mode, PAIRS_ONLY, wants_pairs_only};
pub use chart::chart;
pub use markdown::markdown;
pub use peer::{Limits, Paired, Peer, pair};
pub use samples::{LEAST_SAMPLES, Stopwatch, median, now, seconds_of, spread};

use cotangent::draw::picture;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The variable that names the folder for figures.
pub const OUT: &str = "COTANGENT_BENCH_OUT";

/// One line of `kernels.csv`; the module's head says what the columns are.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Row {
    pub kernel: String,
    pub shape: String,
    pub precision: String,
    pub variant: String,
    pub microseconds: f64,
    pub rate: Option<f64>,
    pub unit: String,
    pub ceiling_share: Option<f64>,
    pub peer_microseconds: Option<f64>,
    pub card: String,
    pub date: String,
}

/// The names of the columns, in their order.
pub const COLUMNS: [&str; 11] = [
    "kernel",
    "shape",
    "precision",
    "variant",
    "microseconds",
    "rate",
    "unit",
    "ceiling_share",
    "peer_microseconds",
    "card",
    "date",
];

/// The figures of one run, in a folder.
pub struct Figures {
    folder: PathBuf,
    csv: csv::Writer<File>,
    rows: Vec<Row>,
}

impl Figures {
    /// In the folder that `COTANGENT_BENCH_OUT` names, or in this one. What another run left there goes.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub fn create(default: &str) -> Result<Self, Box<dyn Error>> {
        Self::create_in(&std::env::var_os(OUT).map_or_else(|| default.into(), PathBuf::from))
    }

    /// The same in a given folder.
    ///
    /// # Errors
    /// Likewise.
    pub fn create_in(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let failed = |error: &dyn Error| format!("figures: cannot write to {}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        let file = File::create(folder.join("kernels.csv")).map_err(|error| failed(&error))?;
        for other in ["kernels.png", "kernels.md"] {
            let _ = fs::remove_file(folder.join(other)); // those of other figures, if there are any
        }
        let mut csv = csv::WriterBuilder::new().has_headers(false).from_writer(file);
        csv.write_record(COLUMNS)?;
        csv.flush()?;
        Ok(Self { folder: folder.to_owned(), csv, rows: Vec::new() })
    }

    /// Writes a row, at once: what ends the run costs none that is there.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn add(&mut self, row: Row) -> Result<(), Box<dyn Error>> {
        self.csv.serialize(&row)?;
        self.csv.flush()?;
        self.rows.push(row);
        Ok(())
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Draws `kernels.png`, the rows' shares of their ceilings, below this title; and writes `kernels.md`, the rows as a
    /// table for a document. `peer` is who the marks stand for. Returns the folder.
    ///
    /// # Errors
    /// When the picture would be too high, or cannot be written.
    pub fn draw(&self, title: &str, peer: &str, notes: &[String]) -> Result<&Path, Box<dyn Error>> {
        fs::write(self.folder.join("kernels.md"), markdown(&self.rows, peer))?;
        let bytes = picture(&chart(&self.rows, title, peer, notes), 1.5)?;
        fs::write(self.folder.join("kernels.png"), bytes)?;
        Ok(&self.folder)
    }
}

/// Draws the picture of a run that is over, from its `kernels.csv`, into a file beside that of the same name with the ending
/// `.png`. Returns its table, which [`Figures::draw`] would write.
///
/// # Errors
/// When the rows cannot be read, the picture would be too high or cannot be written.
pub fn draw_again(csv: &Path, title: &str, peer: &str, notes: &[String]) -> Result<String, Box<dyn Error>> {
    let failed = |error: &dyn Error| format!("cannot read the figures in {}: {error}", csv.display());
    let rows = read(File::open(csv).map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
    let into = csv.with_extension("png");
    let bytes = picture(&chart(&rows, title, peer, notes), 1.5)?;
    fs::write(&into, bytes).map_err(|error| format!("cannot write {}: {error}", into.display()))?;
    Ok(markdown(&rows, peer))
}

/// The rows of a `kernels.csv`.
///
/// # Errors
/// When it has other columns, or is no such table.
pub fn read(csv: impl std::io::Read) -> Result<Vec<Row>, csv::Error> {
    csv::Reader::from_reader(csv).into_deserialize().collect()
}

/// Today's date, UTC, as 2026-12-31.
pub fn today() -> String {
    OffsetDateTime::now_utc().date().to_string()
}
