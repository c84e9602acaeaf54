//! What the study is made of.

use crate::backprop::format::Findings;
use crate::runs::{Mistake, Record};
use crate::scalar::Trace;

/// What was found.
#[derive(Clone, Copy, Debug)]
pub struct Study<'s> {
    /// The formula's traces.
    pub trace: &'s Trace,
    /// The chain of matrices.
    pub matrices: Findings<'s>,
    /// The trained networks.
    pub records: &'s [Record],
    /// What some of them get most wrong.
    pub worst: &'s [Worst],
    /// What a reader must know beside that, such as a run without its model.
    pub notes: &'s [String],
    /// The machine: `linux x86_64, 2 processors`.
    pub machine: &'s str,
    /// When, in UTC.
    pub date: &'s str,
}

/// What a network gets most wrong.
#[derive(Clone, Debug)]
pub struct Worst {
    /// The run, by position in [`Study::records`].
    pub record: usize,
    /// Its mistakes of largest loss, the largest first.
    pub mistakes: Vec<Mistake>,
}
