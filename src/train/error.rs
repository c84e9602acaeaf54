//! Why a run ended before its time, or never began.

use std::io;
use std::path::PathBuf;

use crate::data::DataError;
use crate::draw::DrawError;
use crate::exec::cuda::CudaError;
use crate::ops::GraphError;
use crate::python::TorchError;
use crate::runs::Divergence;
use crate::train::options::OptionError;

/// Why a run ended before its time, or never began.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields hold")]
pub enum TrainError {
    #[error("the objective is no longer finite {0}")]
    NotFinite(Divergence),

    #[error(transparent)]
    Option(#[from] OptionError),

    #[error(transparent)]
    Data(#[from] DataError),

    #[error("the network cannot be built")]
    Graph(#[from] GraphError),

    #[error(
        "{network} with batches of {batch_size} images takes {bytes} of memory ({parts}), which this machine does not \
         give: make --hidden{} smaller",
        if *.batch_size > 1 { " or --batch-size" } else { "" }
    )]
    Memory { network: String, batch_size: usize, bytes: String, parts: String },

    #[error("{} exists already and is left as it is: choose another --out", .0.display())]
    Exists(PathBuf),

    #[error("{holder} is writing into {}: wait for it to end, or end it", .path.display())]
    InUse { path: PathBuf, holder: String },

    #[error("could not {action} {} ({})", path.display(), what_to_do(.action))]
    File { action: &'static str, path: PathBuf, source: io::Error },

    #[error("{}: {problem}", path.display())]
    Content { path: PathBuf, problem: String },

    #[error("could not draw {}", path.display())]
    Draw { path: PathBuf, source: DrawError },

    #[error("--device {asked} cannot be used")]
    Unusable { asked: String, source: CudaError },

    #[error("the work on {device} failed")]
    OnDevice { device: String, source: CudaError },

    #[error(
        "a kernel or a copy on {device} failed; with --plan launches each kernel is waited for, and the one \
         that fails is named. What earlier epochs logged is kept"
    )]
    DeviceFailed { device: String, source: CudaError },

    #[error(transparent)]
    Torch(#[from] TorchError),

    #[error("could not start {threads} threads: try fewer --threads")]
    Threads { threads: usize, source: std::io::Error },
}

/// What to look at when a file cannot be read, made or written.
fn what_to_do(action: &str) -> &'static str {
    match action {
        action if action.starts_with("read") => "check the path and the permission to read it",
        action if action.starts_with("make") => "name another --out, or give permission to write there",
        _ => "check the free space and the permission to write there",
    }
}
