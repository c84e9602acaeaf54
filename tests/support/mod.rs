//! What the tests share: executors to try, random numbers, comparisons that fail on NaN, differences.

#[cfg(target_os = "linux")]
mod on_device;
pub mod random_graph;
pub mod steps;

use std::fmt::Write;

use cotangent::float::Float;
use cotangent::graph::{NodeId, Shape};
use cotangent::ops::{Draw, Function, Graph, Rule, Tree};
use cotangent::random::{ChaCha8Rng, Purpose, below, chacha, uniform};

/// Whether all is to be tested that takes more than a few minutes: `COTANGENT_TEST_ALL=1`.
pub fn everything() -> bool {
    std::env::var_os("COTANGENT_TEST_ALL").is_some_and(|value| value == "1")
}

/// Something that carries functions out. The same test bodies run on each of [`executors`].
pub struct Executor {
    pub name: &'static str,
    /// The relative error of one rounding: 2⁻⁵³ in float64.
    pub epsilon: f64,
    run: Run,
}

/// What computes a function's outputs.
type Run = fn(&Flat, &[&[f64]], Draw) -> Vec<Vec<f64>>;

/// A function of a list of inputs with a list of outputs.
type Flat = Function<Vec<NodeId>, Vec<NodeId>>;

impl Executor {
    /// A function's outputs. Numbers pass as float64, which holds every narrower type exactly.
    pub fn call<I, O>(&self, function: &Function<I, O>, inputs: I::With<&[f64]>) -> O::With<Vec<f64>>
    where
        I: Tree<NodeId> + Clone,
        O: Tree<NodeId> + Clone,
    {
        self.call_with(function, inputs, Draw::default())
    }

    /// As [`Executor::call`], with the random numbers of a given step.
    pub fn call_with<I, O>(
        &self,
        function: &Function<I, O>,
        inputs: I::With<&[f64]>,
        draw: Draw,
    ) -> O::With<Vec<f64>>
    where
        I: Tree<NodeId> + Clone,
        O: Tree<NodeId> + Clone,
    {
        let (inputs, values): (Vec<NodeId>, Vec<&[f64]>) = function.bind(inputs).unwrap().into_iter().unzip();
        let outputs = function.outputs.clone().leaves();
        let flat = Function { graph: function.graph.clone(), inputs, outputs, stores: Vec::new() };
        let mut found = (self.run)(&flat, &values, draw).into_iter();
        function.outputs.clone().map(&mut |_| found.next().unwrap())
    }
}

/// Float64 on the CPU: what others are held against.
pub const ORACLE: Executor =
    Executor { name: "cpu float64", epsilon: f64::EPSILON / 2.0, run: on_cpu::<f64> };

/// Float32 on the CPU.
const SINGLE: Executor =
    Executor { name: "cpu float32", epsilon: f32::EPSILON as f64 / 2.0, run: on_cpu::<f32> };

/// All of them, the oracle first; the others compute in float32.
pub fn executors() -> Vec<Executor> {
    let mut all = vec![ORACLE, SINGLE];
    #[cfg(target_os = "linux")]
    all.extend(on_device::executors());
    all
}

fn on_cpu<T: Float>(function: &Flat, inputs: &[&[f64]], draw: Draw) -> Vec<Vec<f64>> {
    let narrowed: Vec<Vec<T>> =
        inputs.iter().map(|values| values.iter().map(|&x| T::of(x)).collect()).collect();
    let results = function.call_with(views(&narrowed), draw).unwrap();
    results.into_iter().map(|values| values.into_iter().map(T::wide).collect()).collect()
}

/// Lists of values as a call takes them.
pub fn views<T>(lists: &[Vec<T>]) -> Vec<&[T]> {
    lists.iter().map(|values| &values[..]).collect()
}

/// Random numbers for tests: the same for ever.
pub struct Random(ChaCha8Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(chacha(seed, Purpose::Weights, u64::MAX))
    }

    pub fn below(&mut self, bound: usize) -> usize {
        below(&mut self.0, bound as u32) as usize
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A number between the bounds that float32 holds exactly, so that every executor gets the same.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        f64::from((low + (high - low) * uniform(&mut self.0)) as f32)
    }

    pub fn values(&mut self, count: usize, low: f64, high: f64) -> Vec<f64> {
        (0..count).map(|_| self.between(low, high)).collect()
    }
}

/// Whether all elements agree to `tolerance` times the largest expected one, or times 1.
pub fn compare(what: &str, found: &[f64], expected: &[f64], tolerance: f64) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("{what}: {} elements, not {}", found.len(), expected.len()));
    }
    let largest = expected.iter().fold(1.0, |largest: f64, x| largest.max(x.abs()));
    if largest.is_infinite() {
        return Err(format!("{what}: infinite where a finite number was expected"));
    }
    for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
        // NaN on either side is not "at most" anything, so it fails.
        let agree = (found - expected).abs() <= tolerance * largest;
        if !agree {
            return Err(format!("{what}: element {position} is {found}, not {expected} (largest {largest})"));
        }
    }
    Ok(())
}

/// As [`compare`], as an assertion.
#[track_caller]
pub fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    if let Err(difference) = compare(what, found, expected, tolerance) {
        panic!("{difference}");
    }
}

/// The inner product of two lists of vectors, each vector against its partner.
pub fn inner_product(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| a * b).sum()
}

/// How far [`slope`] goes from where it is asked: twice this.
pub const STEP: f64 = 2e-4;

/// The derivative of a curve at 0 by central differences of fourth order: the error is STEP⁴/30 times
/// the fifth derivative, and about 10⁻¹² times the values from rounding.
pub fn slope(curve: impl Fn(f64) -> Vec<f64>) -> Vec<f64> {
    let [a, b, c, d] = [-2.0, -1.0, 1.0, 2.0].map(|steps| curve(steps * STEP));
    (0..a.len()).map(|i| ((a[i] - d[i]) + 8.0 * (c[i] - b[i])) / (12.0 * STEP)).collect()
}

/// `x` moved by `t` times the given direction.
pub fn moved(x: &[f64], direction: &[f64], t: f64) -> Vec<f64> {
    x.iter().zip(direction).map(|(x, dx)| x + t * dx).collect()
}

/// Every index of a shape, in row-major order.
pub fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![Vec::new()], |prefixes, &extent| {
        let longer = |prefix: &Vec<usize>| {
            let prefix = prefix.clone();
            (0..extent).map(move |i| prefix.iter().copied().chain([i]).collect())
        };
        prefixes.iter().flat_map(longer).collect()
    })
}

/// Where an index lies in a row-major tensor.
pub fn offset(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |offset, (extent, i)| offset * extent + i)
}

/// A list's elements at the positions that are not in `axes`.
pub fn without(list: &[usize], axes: &[usize]) -> Vec<usize> {
    (0..list.len()).filter(|axis| !axes.contains(axis)).map(|axis| list[axis]).collect()
}

/// All subsets of the axes of a shape but the empty one.
pub fn sets_of_axes(shape: &[usize]) -> Vec<Vec<usize>> {
    let rank = shape.len();
    (1..1_usize << rank).map(|set| (0..rank).filter(|axis| set >> axis & 1 == 1).collect()).collect()
}

/// A graph as text, a node a line.
pub fn listing(graph: &Graph) -> String {
    let mut text = String::new();
    for (id, node) in graph.iter() {
        let inputs: Vec<usize> = node.inputs.iter().map(|input| input.index()).collect();
        let _ = writeln!(
            text,
            "  {}: {} {inputs:?} -> {}  {:?}",
            id.index(),
            node.op.name(),
            node.shape,
            node.op
        );
    }
    text
}

/// A shape from a list of extents.
pub fn shape(extents: &[usize]) -> Shape {
    extents.into()
}
