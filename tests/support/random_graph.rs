//! Random programs over all operations, safe to differentiate: no logarithm, root, quotient or power
//! comes near the edge of its domain, and values stay below a bound that is carried along.

use cotangent::graph::Shape;
use cotangent::ops::{Builder, Var};

use super::{Random, sets_of_axes};

/// A program that ends in a scalar, with values for its inputs.
pub struct RandomGraph<'g> {
    /// The inputs that are real numbers.
    pub variables: Vec<(Var<'g>, Vec<f64>)>,
    /// The other inputs.
    pub labels: Vec<(Var<'g>, Vec<f64>)>,
    pub loss: Var<'g>,
}

/// Above this, values are scaled down.
const BOUND: f64 = 4.0;

/// No value has more elements.
const LARGEST: usize = 40_000;

struct Generator<'g> {
    random: Random,
    builder: &'g Builder,
    extents: &'static [usize],
    /// What has been built, each with a bound on its elements' absolute values.
    pool: Vec<(Var<'g>, f64)>,
    variables: Vec<(Var<'g>, Vec<f64>)>,
    labels: Vec<(Var<'g>, Vec<f64>)>,
    streams: u32,
}

/// Writes the program of a seed, the same for ever, into a new graph.
pub fn random_graph(builder: &Builder, seed: u64) -> RandomGraph<'_> {
    let mut random = Random::new(seed);
    let nodes = 5 + random.below(36);
    let extents: &[usize] = match seed % 8 {
        0 => &[0, 1, 2, 3],
        1 => &[1, 3, 17, 129, 300],
        _ => &[1, 2, 3, 4, 5],
    };
    let mut generator = Generator {
        random,
        builder,
        extents,
        pool: Vec::new(),
        variables: Vec::new(),
        labels: Vec::new(),
        streams: 0,
    };
    for _ in 0..3 {
        let shape = generator.shape();
        let x = generator.input(shape);
        generator.pool.push((x, 2.0));
    }
    while builder.graph().len() < nodes {
        let (result, bound) = generator.operation();
        let result = if bound > BOUND { result * (BOUND / bound) } else { result };
        generator.pool.push((result, bound.min(BOUND)));
    }
    let loss = generator.loss();
    RandomGraph { variables: generator.variables, labels: generator.labels, loss }
}

impl<'g> Generator<'g> {
    fn shape(&mut self) -> Shape {
        loop {
            let rank = self.random.below(4);
            let shape: Shape = (0..rank).map(|_| self.random.pick(self.extents)).collect::<Vec<_>>().into();
            if shape.size() <= LARGEST {
                return shape;
            }
        }
    }

    fn input(&mut self, shape: Shape) -> Var<'g> {
        let values = self.random.values(shape.size(), -2.0, 2.0);
        let x = self.builder.input("x", shape);
        self.variables.push((x, values));
        x
    }

    fn labels(&mut self, count: usize, classes: usize) -> Var<'g> {
        let values = (0..count).map(|_| self.random.below(classes) as f64).collect();
        let labels = self.builder.input("labels", [count]);
        self.labels.push((labels, values));
        labels
    }

    /// Any value so far, rather a late one.
    fn operand(&mut self) -> (Var<'g>, f64) {
        let (i, j) = (self.random.below(self.pool.len()), self.random.below(self.pool.len()));
        self.pool[i.max(j)]
    }

    /// A value that can stand beside `x`: the same one, one that broadcasts, or the mean of any.
    fn partner(&mut self, x: Var<'g>) -> (Var<'g>, f64) {
        let (shape, (y, bound)) = (x.shape(), self.operand());
        let other = y.shape();
        let fits = other.iter().rev().zip(shape.iter().rev()).all(|(a, b)| a == b || *a == 1 || *b == 1);
        let size: usize = (0..shape.len().max(other.len()))
            .map(|axis| {
                let extent = |shape: &Shape| shape.len().checked_sub(axis + 1).map_or(1, |i| shape[i]);
                extent(&shape).max(extent(&other))
            })
            .product();
        if fits && size <= LARGEST { (y, bound) } else { (average(y), bound) }
    }

    /// A value as a matrix.
    fn matrix(&mut self) -> (Var<'g>, f64) {
        let (x, bound) = self.operand();
        let (rows, columns) = x.shape().rows_and_columns();
        (x.reshape([rows, columns]), bound)
    }

    /// One operation on what there is, with what keeps it in its domain, and a bound on the result.
    fn operation(&mut self) -> (Var<'g>, f64) {
        let (x, b) = self.operand();
        let shape = x.shape();
        match self.random.below(32) {
            0 => (-x, b),
            1 => (x.tanh().exp(), 3.0),
            2 => ((1.0 + x * x).ln(), (1.0 + b * b).ln()),
            3 => (x.sin(), 1.0),
            4 => (x.cos(), 1.0),
            5 => ((0.5 * x.sin()).tan(), 0.6),
            6 => ((1.0 + x * x).sqrt(), 1.0 + b),
            7 => (x.tanh(), 1.0),
            8 => (x.sigmoid(), 1.0),
            9 | 10 => (x.relu(), b),
            11 => (x.abs(), b),
            12 => (x.step() * x, b),
            13..=18 => {
                let (y, c) = self.partner(x);
                match self.random.below(6) {
                    0 => (x + y, b + c),
                    1 => (x - y, b + c),
                    2 => (x * y, b * c),
                    3 => (x / (1.0 + y * y), b),
                    4 => ((1.0 + x * x).pow(y.sin()), 1.0 + b * b),
                    _ => (x * x - y, b * b + c),
                }
            }
            19 | 20 if !shape.is_empty() => {
                let sets = sets_of_axes(&shape);
                let axes = &sets[self.random.below(sets.len())];
                let count: usize = axes.iter().map(|&axis| shape[axis]).product();
                if self.random.below(2) == 0 {
                    (x.sum_axes(axes) * (1.0 / count.max(1) as f64), b)
                } else {
                    // The sum put back where it came from.
                    let sum = x.sum_axes(axes) * (1.0 / count.max(1) as f64);
                    (x - sum.broadcast_along(axes, shape), 2.0 * b)
                }
            }
            21 if shape.len() < 3 => {
                let axis = self.random.below(shape.len() + 1);
                let mut longer = shape.to_vec();
                longer.insert(axis, self.random.pick(self.extents));
                let fits = longer.iter().product::<usize>() <= LARGEST;
                if fits { (x.broadcast_along(&[axis], longer), b) } else { (x.cos(), 1.0) }
            }
            22 => match self.random.below(3) {
                0 => (x.reshape([shape.size()]), b),
                1 => (x.reshape([1, shape.size()]), b),
                _ => (x.reshape([shape.size(), 1]), b),
            },
            23 if shape.len() > 1 => {
                let mut axes: Vec<usize> = (0..shape.len()).collect();
                for last in (1..axes.len()).rev() {
                    axes.swap(last, self.random.below(last + 1));
                }
                (x.transpose(&axes), b)
            }
            24 | 25 => self.product(),
            26 if shape.last().is_some_and(|&classes| classes > 0) => (x.softmax(), 1.0),
            27 => {
                let (x, b) = self.matrix();
                let (rows, classes) = x.shape().rows_and_columns();
                if classes == 0 {
                    return (x, b);
                }
                let labels = self.labels(rows, classes);
                match self.random.below(3) {
                    0 => (x * labels.one_hot(classes), b),
                    _ => (x.softmax_cross_entropy(labels), 2.0 * b + (classes as f64).ln()),
                }
            }
            28 => match self.random.below(8) {
                0 => ((0.9 * x.sin()).asin(), 1.2),
                1 => ((0.9 * x.cos()).acos(), 3.0),
                2 => (x.atan(), 1.6),
                3 => (x.tanh().sinh(), 1.2),
                4 => (x.sin().cosh(), 1.6),
                5 => ((1.0 + x * x).log10(), (1.0 + b * b).log10()),
                6 => (x.sign() * x, b),
                _ => (x.step() * x.abs(), b),
            },
            29 => {
                let (y, c) = self.partner(x);
                match self.random.below(3) {
                    0 => (x.max(y), b.max(c)),
                    1 => (x.min(y), b.max(c)),
                    _ => (x.above(y) * (x - y), b + c), // without a jump
                }
            }
            30 => self.function(x, b),
            _ => {
                self.streams += 1;
                (x.dropout(0.25, self.streams), b / 0.75)
            }
        }
    }

    /// A function of mathematical libraries, where it has a value and no pole is near.
    fn function(&mut self, x: Var<'g>, b: f64) -> (Var<'g>, f64) {
        match self.random.below(25) {
            0 => ((1.0 + x * x).log2(), (1.0 + b * b).log2()),
            1 => ((x * x).log1p(), (b * b).ln_1p()),
            2 => (x.tanh().expm1(), 2.0),
            3 => ((1.0 + x * x).cbrt(), 1.0 + b),
            4 => (x.softplus(), b + 0.7),
            5 => (x.asinh(), b),
            6 => ((2.0 + x * x).acosh(), (2.0 + b * b).acosh()),
            7 => ((0.8 * x.sin()).atanh(), 1.1),
            8 => (x.sin().sec(), 1.9),
            9 => ((1.5 + 0.5 * x.sin()).csc(), 1.2),
            10 => ((1.5 + 0.5 * x.sin()).cot(), 0.7),
            11 => (x.erf(), 1.0),
            12 => (x.gaussian(), 1.0),
            13 => (x.sech2(), 1.0),
            14 => (x.one_minus_square(), 1.0 + b * b),
            15 => ((1.0 + x * x).cbrt_slope(), 1.0),
            16 => (x.sigmoid_slope(), 0.25),
            kind => {
                let (y, c) = self.partner(x);
                let (y, c) = (1.0 + y * y, 1.0 + c * c);
                let exponent = x.sin();
                match kind {
                    17 => (x.hypot(y), b + c),
                    18 => (x.atan2(y), 1.6),
                    19 => (x.direction(y), 1.0),
                    20 => (x.inversion(y), 1.0),
                    21 => (y.power_below(exponent), 1.0),
                    22 => (y.power_below2(exponent), 1.0),
                    23 => (y.power_log(exponent), c * c),
                    _ => (x.xlogy(y), b * c),
                }
            }
        }
    }

    /// A matrix product in any of the four cases, divided by the length of its sums.
    fn product(&mut self) -> (Var<'g>, f64) {
        let (a, b) = self.matrix();
        let (rows, columns) = a.shape().rows_and_columns();
        let (ta, tb) = (self.random.below(2) == 1, self.random.below(2) == 1);
        let (m, k) = if ta { (columns, rows) } else { (rows, columns) };
        let inner_of = |y: Var<'g>| if tb { y.shape().get(1).copied() } else { y.shape().first().copied() };
        let fitting: Vec<(Var<'g>, f64)> = self
            .pool
            .iter()
            .copied()
            .filter(|(y, _)| y.shape().len() == 2 && inner_of(*y) == Some(k))
            .collect();
        let (y, c) = if fitting.is_empty() {
            let n = self.random.pick(self.extents);
            (self.input(if tb { [n, k] } else { [k, n] }.into()), 2.0)
        } else {
            self.random.pick(&fitting)
        };
        let n = y.shape()[usize::from(!tb)];
        if m * n > LARGEST {
            return (a.sin(), 1.0);
        }
        let product = match (ta, tb) {
            (false, false) => a.matmul(y),
            (false, true) => a.matmul_nt(y),
            (true, false) => a.matmul_tn(y),
            (true, true) => a.matmul_tt(y),
        };
        (product * (1.0 / k.max(1) as f64), b * c)
    }

    /// A scalar that everything built so far takes part in.
    fn loss(&mut self) -> Var<'g> {
        let operands =
            self.builder.graph().iter().flat_map(|(_, node)| node.inputs.clone()).collect::<Vec<_>>();
        let used: Vec<Var<'g>> = operands.into_iter().map(|id| self.builder.var(id)).collect();
        let ends = self.pool.iter().filter(|(x, _)| !used.contains(x));
        let terms: Vec<Var<'g>> = ends.map(|&(x, _)| average(0.3 * (x * x) - 0.7 * x)).collect();
        let last = self.pool[self.pool.len() - 1].0;
        terms.into_iter().fold(average(last.sin()), |sum, term| sum + term)
    }
}

/// The mean; 0 where there are no elements.
fn average(x: Var<'_>) -> Var<'_> {
    x.sum() * (1.0 / x.shape().size().max(1) as f64)
}
