//! The four kernels that the lab knows: their parameters, the shapes that they are tried on, their results in float64.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::source::{Kernel, Source};

/// What a kernel computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
pub enum Operation {
    /// C (m, n) = A (m, k) B (k, n)
    Gemm,
    /// Each row of y (rows, columns) is the softmax of x's
    Softmax,
    /// y[0], which begins as 0, is the sum of x (n)
    Reduce,
    /// y (columns, rows) is x (rows, columns) transposed
    Transpose,
}

/// A parameter: a matrix, by the numbers of the sizes that are its extents, or a size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Input([Extent; 2]),
    Output([Extent; 2]),
    Size,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    One,
    /// The size of this number, from 0.
    Size(usize),
}

use Extent::{One, Size};

impl Extent {
    pub fn of(self, sizes: &[usize]) -> usize {
        match self {
            One => 1,
            Size(index) => sizes[index],
        }
    }
}

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Self::Gemm => "gemm",
            Self::Softmax => "softmax",
            Self::Reduce => "reduce",
            Self::Transpose => "transpose",
        }
    }

    pub fn formula(self) -> &'static str {
        match self {
            Self::Gemm => {
                "C (m, n) = A (m, k) B (k, n), row-major: c[i * n + j] = sum over l of a[i * k + l] * b[l * n + j]"
            }
            Self::Softmax => "y[r * columns + c] = exp(x[r * columns + c]) / (sum of exp over the row)",
            Self::Reduce => "y[0] = sum of x[0] to x[n - 1]; y[0] is 0 before the launch",
            Self::Transpose => {
                "y (columns, rows), x (rows, columns), row-major: y[c * rows + r] = x[r * columns + c]"
            }
        }
    }

    /// The parameters in order: name and role; sizes come last.
    pub fn parameters(self) -> &'static [(&'static str, Role)] {
        match self {
            Self::Gemm => &[
                ("a", Role::Input([Size(0), Size(2)])),
                ("b", Role::Input([Size(2), Size(1)])),
                ("c", Role::Output([Size(0), Size(1)])),
                ("m", Role::Size),
                ("n", Role::Size),
                ("k", Role::Size),
            ],
            Self::Softmax => &[
                ("x", Role::Input([Size(0), Size(1)])),
                ("y", Role::Output([Size(0), Size(1)])),
                ("rows", Role::Size),
                ("columns", Role::Size),
            ],
            Self::Reduce => {
                &[("x", Role::Input([One, Size(0)])), ("y", Role::Output([One, One])), ("n", Role::Size)]
            }
            Self::Transpose => &[
                ("x", Role::Input([Size(0), Size(1)])),
                ("y", Role::Output([Size(1), Size(0)])),
                ("rows", Role::Size),
                ("columns", Role::Size),
            ],
        }
    }

    /// The shapes that a kernel is tried on: exact tiles, one size ragged at a time, tiny, one element, tall, wide. Small
    /// ones, for every thread of every block takes its turn on one processor.
    pub fn shapes(self) -> &'static [&'static [usize]] {
        match self {
            Self::Gemm => &[
                &[64, 64, 64],
                &[32, 48, 16],
                &[32, 32, 29],
                &[33, 32, 16],
                &[32, 17, 32],
                &[5, 3, 2],
                &[1, 1, 1],
                &[70, 3, 11],
                &[3, 70, 37],
            ],
            Self::Softmax => {
                &[&[8, 128], &[4, 32], &[8, 37], &[3, 64], &[2, 3], &[1, 1], &[70, 5], &[2, 1000]]
            }
            Self::Reduce => &[&[1024], &[256], &[1000], &[33], &[3], &[1], &[4097]],
            Self::Transpose => {
                &[&[64, 64], &[32, 96], &[33, 32], &[32, 17], &[5, 3], &[1, 1], &[70, 3], &[3, 70]]
            }
        }
    }

    /// Large enough that a card is busy: what times are taken of.
    pub fn timed_shape(self) -> &'static [usize] {
        match self {
            Self::Gemm => &[2048, 2048, 2048],
            Self::Softmax => &[16384, 1024],
            Self::Reduce => &[1 << 24],
            Self::Transpose => &[4096, 4096],
        }
    }

    /// The names of the sizes, and how many there are.
    pub fn sizes(self) -> impl Iterator<Item = &'static str> {
        self.parameters().iter().filter(|(_, role)| *role == Role::Size).map(|(name, _)| *name)
    }

    /// As it is written in a file.
    pub fn declaration(self) -> String {
        let parameters: Vec<String> =
            self.parameters().iter().map(|(name, role)| format!("{} {name}", role.written())).collect();
        format!("extern \"C\" __global__ void {}({})", self.name(), parameters.join(", "))
    }

    /// The kernel of a file that computes this: of its name, or the only one there is.
    ///
    /// # Errors
    /// No such kernel, or one with other parameters: both declarations.
    pub fn kernel_of(self, source: &Source) -> Result<Kernel, String> {
        let mut kernels = source.kernels();
        let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
        let expected = self.declaration();
        let shown = &source.shown;
        let index = match names.iter().position(|name| *name == self.name()) {
            Some(index) => index,
            None if names.len() == 1 => 0,
            None if names.is_empty() => {
                return Err(format!("{shown}: there is no __global__ function; expected is\n  {expected}"));
            }
            None => {
                return Err(format!(
                    "{shown}: none of the kernels ({}) is called {}; rename the one to try:\n  {expected}",
                    names.join(", "),
                    self.name()
                ));
            }
        };
        let kernel = kernels.swap_remove(index);
        let place = format!("{shown}:{}", kernel.line);
        if kernel.is_template {
            return Err(format!(
                "{place}: {} is a template, of which the lab does not know the arguments; make it a __device__ \
                 function, and call it from\n  {expected}",
                kernel.name
            ));
        }
        let parameters = self.parameters();
        let problem = if kernel.parameters.len() != parameters.len() {
            Some(format!("it has {} parameters, not {}", kernel.parameters.len(), parameters.len()))
        } else {
            let mut pairs = kernel.parameters.iter().zip(parameters).enumerate();
            pairs.find(|(_, (found, (_, role)))| !role.accepts(&found.of)).map(
                |(index, (found, (name, role)))| {
                    format!(
                        "parameter {} is `{} {}`, not `{} {name}`",
                        index + 1,
                        found.of,
                        found.name,
                        role.written()
                    )
                },
            )
        };
        let Some(problem) = problem else { return Ok(kernel) };
        let found: Vec<String> = kernel
            .parameters
            .iter()
            .map(|parameter| format!("{} {}", parameter.of, parameter.name))
            .collect();
        Err(format!(
            "{place}: this is not the signature of {}: {problem}\n  found:    {}({})\n  expected: {expected}\n  \
             which computes {}",
            self.name(),
            kernel.name,
            found.join(", "),
            self.formula()
        ))
    }
}

impl Role {
    fn written(self) -> &'static str {
        match self {
            Self::Input(_) => "const float*",
            Self::Output(_) => "float*",
            Self::Size => "int",
        }
    }

    /// An input need not be const.
    fn accepts(self, of: &str) -> bool {
        of == self.written() || matches!(self, Self::Input(_)) && of == "float*"
    }

    pub fn extents(self) -> Option<[Extent; 2]> {
        match self {
            Self::Input(extents) | Self::Output(extents) => Some(extents),
            Self::Size => None,
        }
    }
}

#[test]
fn a_signature_is_held_against_the_expected_one() {
    let kernel = |text: &str| Operation::Transpose.kernel_of(&super::source::of_text(text));
    let found =
        kernel("__global__ void anything(float* __restrict__ X, float *Y, const int M, int N) {}").unwrap();
    assert_eq!(found.name, "anything");
    let error = |text| kernel(text).unwrap_err();
    let wide = error("\n__global__ void transpose(const float* x, float* y, size_t rows, int columns) {}");
    let expected = "a.cu:2: this is not the signature of transpose: parameter 3 is `size_t rows`, not `int rows`\n  \
                    found:    transpose(const float* x, float* y, size_t rows, int columns)\n  \
                    expected: extern \"C\" __global__ void transpose(const float* x, float* y, int rows, int columns)\n";
    assert!(wide.starts_with(expected), "{wide}");
    assert!(error("__global__ void f(float* x, float* y, int n) {}").contains("it has 3 parameters, not 4"));
    assert!(error("int f();").contains("there is no __global__ function"));
    assert!(
        error("__global__ void f(int n) {} __global__ void g(int n) {}")
            .contains("none of the kernels (f, g)")
    );
    let template =
        error("template <int T>\n__global__ void transpose(const float* x, float* y, int r, int c) {}");
    assert!(template.contains("a.cu:2: transpose is a template"), "{template}");
}
