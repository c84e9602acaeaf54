//! Streams of random numbers by what they are drawn for.

/// What random numbers are drawn for.
///
/// The numbers are part of the key of every stream, hence of every result ever published with a
/// seed: add new ones at the end, never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial weights; index: the layer.
    Weights = 1,
    /// The order of the training images; index: the epoch.
    Permutation = 2,
    /// Which training images are held out for validation.
    Validation = 3,
    /// Offsets of shifted images; step: the training step, element: see [`crate::data::Shifts`].
    Shifts = 4,
    /// Dropout masks; stream: the layer, step: the training step, element: the flat index.
    Dropout = 5,
    /// Data of an exercise; index: 0 for what goes in, 1 for the targets.
    Exercise = 6,
    /// Directions in which derivatives are checked; index: the variable.
    Directions = 7,
    /// Small changes that show what rounding can do; index: the variable.
    Changes = 8,
}

impl Purpose {
    /// The fixed number that enters the key.
    pub const fn number(self) -> u32 {
        self as u32
    }
}
