//! The matrices in safetensors files: a problem read, values and gradients written.

use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;
use std::path::Path;

use bytemuck::cast_slice;
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{Backprop, BackpropError, Matrix, Problem};
use crate::files;
use crate::tensors;

/// The most bytes that a file may have: more numbers than a problem may.
const MOST_BYTES: u64 = 1 << 28;

impl Problem {
    /// Reads X, Y, W1, W2, … from a safetensors file of float64, or of float32, float16 or bfloat16, whose numbers
    /// float64 holds as they are. A file that [`Backprop::tensors`] wrote will do, too: there the names
    /// are X.v, Y.v, W1.v, …, and what else it holds is passed over.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged; when a name, a shape or a number type is another; when the matrices
    /// do not fit together.
    pub fn read(path: &Path) -> Result<Self, BackpropError> {
        let bytes = files::read(path, MOST_BYTES).map_err(|source| match source.kind() {
            ErrorKind::InvalidInput | ErrorKind::FileTooLarge => BackpropError::Content {
                path: path.into(),
                problem: format!("{source}: name a safetensors file of matrices"),
            },
            _ => BackpropError::File { action: "read", path: path.into(), source },
        })?;
        Self::from_bytes(&bytes).map_err(|problem| match problem {
            BackpropError::Content { problem, .. } => BackpropError::Content { path: path.into(), problem },
            other => BackpropError::Content { path: path.into(), problem: other.to_string() },
        })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, BackpropError> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| {
            content(format!("is not a complete safetensors file ({error}): write it again, or name another"))
        })?;
        let names: Vec<&str> = file.names();
        let suffix = match (names.contains(&"X"), names.contains(&"X.v")) {
            (true, true) => return Err(content("holds both X and X.v: leave one set of names out".into())),
            (false, true) => ".v",
            (_, false) => "",
        };
        let matrix = |name: &str| {
            let view = file.tensor(&format!("{name}{suffix}")).map_err(|_| missing(name, suffix, &names))?;
            matrix(&format!("{name}{suffix}"), &view)
        };
        let known: HashSet<&str> = names.iter().copied().collect();
        let is_weight = |layer: usize| known.contains(&format!("W{layer}{suffix}")[..]);
        let weights = (1..).take_while(|&layer| is_weight(layer)).count();
        let (x, y) = (matrix("X")?, matrix("Y")?);
        if weights == 0 {
            return Err(missing("W1", suffix, &names));
        }
        let expected = expected(weights, suffix);
        if let Some(name) = names.iter().filter(|name| !expected.contains(**name)).min() {
            let rule = match suffix {
                "" => "a file holds X, Y, W1, W2, … without a gap, and nothing else",
                _ => {
                    "a file of results holds X.v and Y.v, and .v and .g of W1, W2, … without a gap and of the nodes"
                }
            };
            return Err(content(format!("the tensor {name:?} does not belong here: {rule}")));
        }
        let weights: Result<Vec<Matrix>, _> =
            (1..=weights).map(|layer| matrix(&format!("W{layer}"))).collect();
        Self::new(x, y, weights?)
    }
}

/// The names that a file with so many weights may hold: a problem's, or those of results, which end in `.v` and `.g`.
fn expected(weights: usize, suffix: &str) -> HashSet<String> {
    let data = ["X".to_string(), "Y".into()].into_iter();
    let layers = (1..=weights).map(|layer| format!("W{layer}"));
    if suffix.is_empty() {
        return data.chain(layers).collect();
    }
    let nodes = (1..2 * weights).map(|node| format!("V{node}")).chain(["D".into(), "z".into()]);
    let with_gradient = layers.chain(nodes).flat_map(|name| [format!("{name}.v"), format!("{name}.g")]);
    data.map(|name| name + ".v").chain(with_gradient).collect()
}

/// An error whose path is put in where it is known.
fn content(problem: String) -> BackpropError {
    BackpropError::Content { path: Default::default(), problem }
}

fn missing(name: &str, suffix: &str, names: &[&str]) -> BackpropError {
    let mut names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(8);
    names.truncate(8);
    let held = match (names.is_empty(), more) {
        (true, _) => "none".into(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    };
    content(format!(
        "there is no tensor {name}{suffix}: a file holds X, Y, W1, W2, …, and the tensors of this one are {held}"
    ))
}

fn matrix(name: &str, view: &TensorView<'_>) -> Result<Matrix, BackpropError> {
    let &[rows, columns] = view.shape() else {
        let rule = "it must be a matrix; a single column has the shape [n, 1]";
        return Err(content(format!("{name} has the shape {:?}: {rule}", view.shape())));
    };
    let bytes = view.data();
    // The file's bytes need not be aligned.
    let values = match view.dtype() {
        Dtype::F64 => bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect(),
        Dtype::F32 => bytes.chunks_exact(4).map(|b| bytemuck::pod_read_unaligned::<f32>(b).into()).collect(),
        Dtype::F16 => bytes.chunks_exact(2).map(|b| bytemuck::pod_read_unaligned::<f16>(b).into()).collect(),
        Dtype::BF16 => {
            bytes.chunks_exact(2).map(|b| bytemuck::pod_read_unaligned::<bf16>(b).into()).collect()
        }
        other => {
            return Err(content(format!(
                "{name} is {other:?}: numbers must be F64, or F32, F16 or BF16; convert it, in PyTorch by .double()"
            )));
        }
    };
    Ok(Matrix { rows, columns, values })
}

impl Backprop {
    /// The bytes of a safetensors file with float64 tensors `X.v`, `Y.v`, `W1.v`, `W1.g`, …, `z.v`, `z.g`. The names are
    /// sorted; z has the shape of a scalar.
    ///
    /// # Errors
    /// Never: shapes and numbers belong together.
    pub fn tensors(&self) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let mut all: BTreeMap<String, (Vec<usize>, &[f64])> = BTreeMap::new();
        for variable in &self.variables {
            let shape = self.graph[variable.node].shape.to_vec();
            all.insert(format!("{}.v", variable.name), (shape.clone(), &variable.value.values));
            if let Some(gradient) = &variable.gradient {
                all.insert(format!("{}.g", variable.name), (shape, &gradient.values));
            }
        }
        let tensors =
            all.into_iter().map(|(name, (shape, values))| (name, Dtype::F64, shape, cast_slice(values)));
        tensors::serialize(tensors, [("format", "pt".to_owned())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tensors: &[(&str, Dtype, &[usize])]) -> Vec<u8> {
        let tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = tensors
            .iter()
            .map(|&(name, dtype, shape)| {
                let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
                (name.to_string(), dtype, shape.to_vec(), vec![0; bytes])
            })
            .collect();
        let tensors = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| (name.clone(), *dtype, shape.clone(), &bytes[..]));
        tensors::serialize(tensors, []).unwrap()
    }

    fn problem(bytes: &[u8]) -> Result<Problem, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.safetensors");
        std::fs::write(&path, bytes).unwrap();
        let error = |error: BackpropError| error.to_string().replace(&format!("{}: ", path.display()), "");
        Problem::read(&path).map_err(error)
    }

    const X: (&str, Dtype, &[usize]) = ("X", Dtype::F64, &[5, 7]);
    const Y: (&str, Dtype, &[usize]) = ("Y", Dtype::F64, &[2, 7]);
    const W1: (&str, Dtype, &[usize]) = ("W1", Dtype::F64, &[2, 5]);

    #[test]
    fn what_was_written_is_read_back_as_a_problem() {
        let problem = Problem::random(&[5, 4, 2], 3, 1).unwrap();
        let bytes = Backprop::of(&problem).unwrap().tensors().unwrap();
        assert_eq!(Problem::from_bytes(&bytes).unwrap(), problem);
        assert_eq!(Backprop::of(&problem).unwrap().tensors().unwrap(), bytes);
    }

    #[test]
    fn narrower_numbers_are_taken_as_they_are() {
        for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
            let found = problem(&file(&[X, Y, ("W1", dtype, &[2, 5])])).unwrap();
            assert_eq!(found.weights()[0].extents(), "2×5");
        }
        let values: Vec<u8> = [1.5_f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, vec![1, 2], &values).unwrap();
        assert_eq!(matrix("W1", &view).unwrap().values, [1.5, -2.0]);
    }

    #[test]
    fn wrong_names_shapes_and_types_are_named() {
        let refused = |tensors: &[(&str, Dtype, &[usize])]| problem(&file(tensors)).unwrap_err();
        assert!(
            refused(&[X, W1]).starts_with(
                "there is no tensor Y: a file holds X, Y, W1, W2, …, and the tensors of this one are \"W1\", \"X\""
            )
        );
        assert!(refused(&[X, Y]).starts_with("there is no tensor W1"));
        assert!(
            refused(&[X, Y, W1, ("W3", Dtype::F64, &[2, 2])])
                .starts_with("the tensor \"W3\" does not belong here")
        );
        assert!(refused(&[X, Y, W1, ("b", Dtype::F64, &[2])]).starts_with("the tensor \"b\""));
        assert!(refused(&[X, Y, W1, ("X.v", Dtype::F64, &[5, 7])]).starts_with("holds both X and X.v"));
        assert!(
            refused(&[X, ("Y", Dtype::F64, &[2]), W1])
                .starts_with("Y has the shape [2]: it must be a matrix")
        );
        assert!(refused(&[X, Y, ("W1", Dtype::I64, &[2, 5])]).starts_with("W1 is I64: numbers must be F64"));
        assert!(refused(&[X, Y, ("W1", Dtype::F64, &[2, 4])]).starts_with("W1 (2×4) does not fit X (5×7)"));
        assert!(refused(&[X, Y, ("W1", Dtype::F64, &[0, 5])]).starts_with("W1 is empty (0×5)"));
    }

    #[test]
    fn a_file_that_is_missing_or_damaged_is_said_to_be() {
        let whole = file(&[X, Y, W1]);
        for bytes in [&whole[..whole.len() - 1], &whole[..20], b"not safetensors at all", b""] {
            let error = problem(bytes).unwrap_err();
            assert!(error.starts_with("is not a complete safetensors file ("), "{error}");
        }
        let error = Problem::read(Path::new("/nowhere/in.safetensors")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nowhere/in.safetensors (No such file"), "{error}");
    }
}
