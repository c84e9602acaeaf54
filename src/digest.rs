//! Digests by which content is known again: SHA-256 (FIPS 180-4), as `sha256sum` prints it.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Digits of a digest.
pub const DIGITS: usize = 64;

/// The digest of these bytes, one piece after the other.
pub fn sha256<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    pieces.into_iter().for_each(|piece| hash.update(piece));
    let mut text = String::with_capacity(DIGITS);
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02x}"); // a string takes it
    }
    text
}
