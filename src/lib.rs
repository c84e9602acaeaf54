//! cotangent: a small deep-learning engine whose every line can be read.
//!
//! A program is a [`graph`] of [`ops`]; [`autodiff`] maps a graph to a graph that also computes its
//! derivatives; [`exec`] plans a graph once and runs it. On top stand networks of layers ([`nn`]),
//! [`optim`]izers, one [`step`] made of both, [`data`] and the training [`train`] that the command line drives; [`runs`] are
//! the folders it leaves.
//!
//! Graphs are written with the operators of arithmetic on copyable handles. Both modes of
//! differentiation add nodes to the same graph, so a derivative can be differentiated again:
//!
//! ```
//! use cotangent::autodiff::gradient;
//! use cotangent::ops::Builder;
//!
//! // f(x, W) = mean(tanh(x Wᵀ)²), its gradient by W, and the gradient of that gradient's square.
//! let builder = Builder::new();
//! let x = builder.input("x", [2, 3]);
//! let w = builder.input("W", [4, 3]);
//! let hidden = x.matmul_nt(w).tanh();
//! let f = (hidden * hidden).mean();
//! let [df] = gradient(f, [w]);
//! let [ddf] = gradient((df * df).sum(), [w]);
//! assert_eq!(ddf.shape(), [4, 3].into());
//!
//! // Shapes are checked as the graph is built; `finish` returns the first mistake, or a function.
//! let function = builder.finish([x, w], [f, df, ddf])?;
//! let [value, slopes, _] = function.call([&[0.5; 6], &[0.1; 12]])?;
//! let (a, n) = (0.15_f64, 8.0); // x·w, and the number of elements
//! assert!((value[0] - a.tanh().powi(2)).abs() < 1e-15);
//! let slope = 2.0 * (2.0 * a.tanh() / n * (1.0 - a.tanh().powi(2)) * 0.5); // over two rows of x
//! assert!((slopes[0] - slope).abs() < 1e-15);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The same graph runs in `f32` and in `f64`: the number type belongs to the executor.

#![warn(missing_docs)]

pub mod autodiff;
pub mod backprop;
pub mod children;
pub mod data;
mod digest;
pub mod document;
pub mod draw;
pub mod errors;
pub mod exec;
mod files;
pub mod float;
pub mod graph;
pub mod names;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod python;
pub mod random;
pub mod report;
pub mod runs;
pub mod scalar;
pub mod step;
pub mod study;
mod tensors;
pub mod train;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
