//! What can go wrong before there is a gradient.

use std::io;
use std::path::PathBuf;

use crate::exec::cuda::CudaError;
use crate::ops::GraphError;
use crate::python::TorchError;

/// Why there is no gradient, or no comparison.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields hold")]
pub enum BackpropError {
    #[error("{name} ({extents}) does not fit {other} ({other_extents}): {rule}")]
    Chain { name: String, extents: String, other: String, other_extents: String, rule: String },

    #[error("there is no weight: a problem has X, Y and W1 to Wn")]
    NoWeights,

    #[error("{name} is empty ({extents}): every extent is at least 1")]
    Empty { name: String, extents: String },

    #[error(
        "--shape needs two widths or more, each at least 1, and --columns at least 1, such as --shape 5,4,3,2 --columns 50"
    )]
    Widths,

    #[error("{name} holds {value} in row {row}, column {column}: every number must be finite")]
    NotFinite { name: String, row: usize, column: usize, value: f64 },

    #[error(
        "{numbers} numbers and {work} multiplications are too many to keep and print, at most {most_numbers} and \
         {most_work}: take smaller widths or fewer columns"
    )]
    TooLarge { numbers: usize, work: usize, most_numbers: usize, most_work: usize },

    #[error(
        "{numbers} numbers take {bytes} of memory to compute, check and print, which the machine does not give: take smaller \
         widths or fewer columns"
    )]
    Memory { numbers: usize, bytes: String },

    #[error("{node} overflows float64: take smaller numbers")]
    Overflow { node: String },

    #[error("the graph cannot be built")]
    Graph(#[from] GraphError),

    #[error("cannot {action} {} ({source}): check the path and the permission", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },

    #[error("{}: {problem}", path.display())]
    Content { path: PathBuf, problem: String },

    #[error("the numbers for PyTorch cannot be written: {0}")]
    Numbers(String),

    #[error(transparent)]
    Torch(#[from] TorchError),

    #[error("the work on {device} failed")]
    Device { device: String, source: CudaError },
}
