//! Files of tensors that hold their own digest, so that whoever reads one notices what has changed in it since.
//!
//! The digest stands in the metadata, under `sha256`. It is that of the whole file with zeros in the place of its own
//! digits: every byte is covered, the header's and the digest's own among them.

use std::collections::HashMap;
use std::path::Path;

use bytemuck::cast_slice;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError};

use crate::digest::{DIGITS, sha256};
use crate::tensors;
use crate::train::TrainError;

const KEY: &str = "sha256";

/// The bytes of such a file; the path is for messages.
///
/// # Errors
/// When the tensors do not hold together.
pub(super) fn serialized<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (String, Vec<usize>, &'a [f32])>,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<Vec<u8>, TrainError> {
    let failed =
        |error: SafeTensorError| TrainError::Content { path: path.into(), problem: error.to_string() };
    let tensors = tensors.into_iter();
    let tensors = tensors.map(|(name, shape, values)| (name, Dtype::F32, shape, cast_slice(values)));
    let unsealed = [(KEY, "0".repeat(DIGITS))];
    let mut bytes = tensors::serialize(tensors, metadata.into_iter().chain(unsealed)).map_err(failed)?;
    seal(&mut bytes);
    Ok(bytes)
}

/// Puts the digest of a file in its place, as whoever means to change one does; one without a place for it is left as it is.
pub fn seal(bytes: &mut [u8]) {
    let Some(place) = place(bytes, None) else { return };
    let digest = digest(bytes, place);
    bytes[place..][..DIGITS].copy_from_slice(digest.as_bytes());
}

/// Compares a file with the digest in its metadata; returns whether there is one.
///
/// # Errors
/// That its content has changed since it was written.
pub(super) fn check(bytes: &[u8], metadata: Option<&HashMap<String, String>>) -> Result<bool, String> {
    let Some(claimed) = metadata.and_then(|metadata| metadata.get(KEY)) else { return Ok(false) };
    let found = place(bytes, Some(claimed)).map(|place| digest(bytes, place));
    match found.is_some_and(|found| found == *claimed) {
        true => Ok(true),
        false => Err("has changed since it was written, as its content and its SHA-256 differ".into()),
    }
}

/// Where a digest's digits begin: in the header, which is text without a break, so the key stands there as it is written.
fn place(bytes: &[u8], digest: Option<&str>) -> Option<usize> {
    let length = u64::from_le_bytes(bytes.first_chunk().copied()?);
    let header = &bytes[8..][..usize::try_from(length).ok().filter(|&length| length <= bytes.len() - 8)?];
    let key = format!("\"{KEY}\":\"");
    let begin = 8 + header.windows(key.len()).position(|window| window == key.as_bytes())? + key.len();
    let digits = bytes.get(begin..begin + DIGITS)?;
    digest.is_none_or(|digest| digits == digest.as_bytes()).then_some(begin)
}

/// The digest of a file whose own digits begin here.
fn digest(bytes: &[u8], place: usize) -> String {
    sha256([&bytes[..place], "0".repeat(DIGITS).as_bytes(), &bytes[place + DIGITS..]])
}

/// A tensor's numbers, if they are float32 and of this shape; otherwise what it is.
pub(super) fn floats(view: &TensorView<'_>, shape: &[usize]) -> Result<Vec<f32>, String> {
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        return Err(format!("{:?} {:?}", view.dtype(), view.shape()));
    }
    // The file's bytes need not be aligned for f32.
    Ok(view.data().chunks_exact(4).map(bytemuck::pod_read_unaligned).collect())
}
