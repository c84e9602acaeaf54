//! Safetensors files that are the same whenever their content is.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

/// Named tensors and metadata as the bytes of a file.
///
/// # Errors
/// When bytes are not as many as a shape and number type say.
pub fn serialize<'a>(
    tensors: impl IntoIterator<Item = (String, Dtype, Vec<usize>, &'a [u8])>,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<Vec<u8>, SafeTensorError> {
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        views.push((name, TensorView::new(dtype, shape, bytes)?));
    }
    let metadata: HashMap<String, String> = metadata.into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    let mut bytes = safetensors::serialize(views, Some(metadata))?;
    // The library writes metadata as a hash map yields them, in another order in each process: the header is written
    // again with its keys in order.
    let (length, _) = SafeTensors::read_metadata(&bytes)?;
    let header = 8..8 + length; // behind its length, 8 bytes
    let entries: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
        serde_json::from_slice(&bytes[header.clone()])?;
    let mut ordered = serde_json::to_vec(&entries)?;
    ordered.resize(ordered.len().next_multiple_of(8), b' '); // tensors begin at a multiple of 8
    if ordered.len() == length {
        bytes[header].copy_from_slice(&ordered); // as it is whenever only the order differs: no second copy of the tensors
        return Ok(bytes);
    }
    Ok([&(ordered.len() as u64).to_le_bytes()[..], &ordered, &bytes[header.end..]].concat())
}
