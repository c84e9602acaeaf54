//! What a run tells while it goes on.

use crate::runs::Row;

/// Watches a run, and may end it.
pub trait Monitor: Send {
    /// Epoch `epoch` (from 1) of `epochs` begins, of `steps` steps.
    fn epoch_begins(&mut self, epoch: usize, epochs: usize, steps: usize);
    /// `step` steps of the epoch are done.
    fn step_done(&mut self, step: usize);
    /// An epoch is done, evaluated and on the disk.
    fn epoch_done(&mut self, row: &Row);
    /// Asked after each step: whether to end the run here.
    fn stop(&self) -> bool;
}
