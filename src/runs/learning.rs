//! What a run's summary says of how it went. [`train::learning`](crate::train::learning) tells which it is.

use serde::{Deserialize, Serialize};

/// How training went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Learning {
    /// The network knows more than how frequent each class is.
    Learns,
    /// It does not, and is not much worse than at its beginning.
    Nothing,
    /// It does not, and is much worse than at its beginning.
    Diverged,
}
