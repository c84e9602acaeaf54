//! What is timed: of each kernel its operands, its work, its call.

use std::hint::black_box;

use cotangent::autodiff::gradient;
use cotangent::exec::{Arena, ListSize, Lists, Nonzeros, Plan, Team, Wanted, vectorized};
use cotangent::graph::NodeId;
use cotangent::nn::Model;
use cotangent::ops::{Builder, Draw, Function, GraphError, Var};
use cotangent::optim::{Adagrad, Adam, Optimizer, Piece, RmsProp, Sgd};

use crate::materials::{BATCH, Materials, WIDTHS, model, normal};
use crate::training::Training;

/// Parameters whose update fits no cache.
const MANY: usize = 40_000_000;

/// What must be done and moved.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub multiply_adds: f64,
    pub bytes: f64,
    /// The bytes that operands and results take together.
    pub operands: f64,
}

/// Something that can be timed.
pub struct Prepared {
    pub work: Work,
    pub call: Box<dyn FnMut()>,
}

/// One line of the results.
pub struct Case {
    pub kernel: String,
    pub shape: String,
    pub variant: &'static str,
    pub threads: usize,
    pub prepare: Box<dyn Fn(&Materials) -> Prepared>,
}

/// What follows a name where there is more than one thread.
pub fn on(threads: usize) -> String {
    if threads == 1 { String::new() } else { format!("@{threads}") }
}

impl Case {
    fn new(kernel: &str, shape: String, prepare: impl Fn(&Materials) -> Prepared + 'static) -> Self {
        Self { kernel: kernel.into(), shape, variant: "", threads: 1, prepare: Box::new(prepare) }
    }

    pub fn name(&self) -> String {
        let variant = if self.variant.is_empty() { String::new() } else { format!("/{}", self.variant) };
        format!("{}/{}{variant}{}", self.kernel, self.shape, on(self.threads))
    }
}

/// All of them, on a machine with `threads` processors.
pub fn all(threads: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for layer in 0..WIDTHS.len() - 1 {
        for part in Part::ALL {
            cases.push(dense(part, layer));
            cases.extend(skipping(part, layer));
        }
    }
    cases.push(listing());
    let mut some_and_all = vec![1, threads];
    some_and_all.dedup();
    for side in [512, 1024, 2048] {
        cases.extend(some_and_all.iter().map(|&threads| square(side, threads)));
    }
    for (name, rule) in rules() {
        cases.extend([model().parameter_count(), MANY].map(|count| update(name, rule, count)));
    }
    cases.extend([10, 256, 1000].map(loss));
    let mut teams = vec![1, 2, threads];
    teams.sort_unstable();
    teams.dedup();
    cases.extend(teams.into_iter().map(step));
    cases
}

// ---- Products

/// A layer's three products.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Forward,
    WeightGradient,
    InputGradient,
}

impl Part {
    const ALL: [Self; 3] = [Self::Forward, Self::WeightGradient, Self::InputGradient];

    fn kernel(self) -> &'static str {
        match self {
            Self::Forward => "product/forward",
            Self::WeightGradient => "product/weight_gradient",
            Self::InputGradient => "product/input_gradient",
        }
    }

    /// The product, of weights (inputs, outputs) as they stand in a training step, with its operands.
    fn on(self, builder: &Builder, [inputs, outputs]: [usize; 2]) -> Operands<'_> {
        let x = || builder.input("x", [BATCH, inputs]);
        let w = || builder.input("w", [inputs, outputs]);
        let g = || builder.input("g", [BATCH, outputs]);
        let (a, b) = match self {
            Self::Forward => (x(), w()),
            Self::WeightGradient => (x(), g()),
            Self::InputGradient => (g(), w()),
        };
        let product = match self {
            Self::Forward => a.matmul(b),
            Self::WeightGradient => a.matmul_tn(b),
            Self::InputGradient => a.matmul_nt(b),
        };
        Operands { a, b, product }
    }
}

struct Operands<'b> {
    a: Var<'b>,
    b: Var<'b>,
    product: Var<'b>,
}

fn layer(number: usize) -> ([usize; 2], String) {
    let [inputs, outputs] = [WIDTHS[number], WIDTHS[number + 1]];
    ([inputs, outputs], format!("{inputs}-{outputs}"))
}

fn dense(part: Part, number: usize) -> Case {
    let (widths, shape) = layer(number);
    let prepare = move |_: &Materials| {
        let builder = Builder::new();
        let Operands { a, b, product } = part.on(&builder, widths);
        dense_product(builder.finish([a, b], product))
    };
    Case { variant: "dense", ..Case::new(part.kernel(), shape, prepare) }
}

/// n×n by n×n.
fn square(side: usize, threads: usize) -> Case {
    let prepare = move |_: &Materials| {
        let builder = Builder::new();
        let (a, b) = (builder.input("a", [side, side]), builder.input("b", [side, side]));
        dense_product(builder.finish([a, b], a.matmul(b)))
    };
    Case { threads, ..Case::new("product/square", side.to_string(), prepare) }
}

fn dense_product(function: Result<Function<[NodeId; 2], NodeId>, GraphError>) -> Prepared {
    let Function { graph, inputs: [a, b], outputs: product, .. } = function.expect("the shapes fit");
    let plan = Plan::new(&graph, Wanted::outputs(&[product]));
    let mut arena = Arena::<f32>::new(plan.arena());
    for (index, operand) in [a, b].into_iter().enumerate() {
        let place = plan.place(operand);
        arena[place.clone()].copy_from_slice(&normal(index as u64, place.len()));
    }
    let [multiply_adds, _] = plan.multiplications::<f32>(&[]);
    let elements: usize = [a, b, product].map(|node| plan.shape(node).size()).iter().sum();
    let bytes = 4.0 * elements as f64;
    let work = Work { multiply_adds: multiply_adds as f64, bytes, operands: bytes };
    Prepared { work, call: Box::new(move || plan.run(black_box(&mut arena), Draw::default())) }
}

/// The product again, zeros left out, where a training step does so.
fn skipping(part: Part, number: usize) -> Option<Case> {
    let (widths, shape) = layer(number);
    // The images' gradient is not asked for, the last layer's has no zeros, and its product has few columns.
    let is_done = match part {
        Part::Forward | Part::WeightGradient => number < 2,
        Part::InputGradient => number == 1,
    };
    let prepare = move |materials: &Materials| {
        let builder = Builder::new();
        let Operands { a, b, product } = part.on(&builder, widths);
        let function = builder.finish([a, b], product).expect("the shapes fit");
        let Function { graph, inputs: [a, b], outputs: product, .. } = function;
        let plan = Plan::with_zeros(&graph, Wanted::outputs(&[product]), &[a]);
        let mut arena = Arena::<f32>::new(plan.arena());
        let place = plan.place(b);
        arena[place.clone()].copy_from_slice(&normal(1, place.len()));
        let mut nonzeros = plan.nonzeros::<f32>();
        match part {
            Part::Forward | Part::WeightGradient => nonzeros[0].fill(materials.of_layer(number)),
            Part::InputGradient => {
                let let_through = materials.of_layer(number + 1).iter();
                let gradient = normal(0, let_through.len()).into_iter().zip(let_through);
                let gradient: Vec<f32> = gradient.map(|(g, &h)| if h > 0.0 { g } else { 0.0 }).collect();
                nonzeros[0].fill(&gradient);
            }
        }
        let [_, left] = plan.multiplications(&nonzeros);
        let others = 4.0 * [b, product].map(|node| plan.shape(node).size()).iter().sum::<usize>() as f64;
        let bytes = 8.0 * nonzeros[0].count() as f64 + others;
        let work = Work { multiply_adds: left as f64, bytes, operands: bytes };
        let draw = Draw::default();
        let all = plan.instructions().len();
        Prepared {
            work,
            call: Box::new(move || plan.run_part(0..all, black_box(&mut arena), &mut nonzeros, draw)),
        }
    };
    is_done.then(|| Case { variant: "skipping", ..Case::new(part.kernel(), shape, prepare) })
}

/// Finds what is not zero in a batch of images, and lists it by rows and by columns.
fn listing() -> Case {
    let prepare = |materials: &Materials| {
        let images = materials.of_layer(0).to_vec();
        let mut nonzeros = Nonzeros::new(ListSize { rows: BATCH, columns: WIDTHS[0], lists: Lists::Both });
        nonzeros.fill(&images);
        let bytes = (4 * images.len() + 16 * nonzeros.count()) as f64;
        let call = Box::new(move || nonzeros.fill(black_box(&images)));
        Prepared { work: Work { multiply_adds: 0.0, bytes, operands: bytes }, call }
    };
    Case::new("nonzeros/images", format!("{BATCH}x{}", WIDTHS[0]), prepare)
}

// ---- All else

fn rules() -> [(&'static str, Optimizer); 4] {
    [
        ("update/sgd", Optimizer::Sgd(Sgd::default())),
        ("update/adagrad", Optimizer::Adagrad(Adagrad::default())),
        ("update/rmsprop", Optimizer::RmsProp(RmsProp::default())),
        ("update/adam", Optimizer::Adam(Adam::default())),
    ]
}

/// One update of `count` parameters.
fn update(kernel: &str, rule: Optimizer, count: usize) -> Case {
    let prepare = move |_: &Materials| {
        let states = rule.states();
        let (mut theta, g) = (normal(0, count), normal(1, count));
        let mut first = vec![0.0; count];
        let mut second = if states == 2 { vec![0.0; count] } else { Vec::new() };
        let scalars = rule.at::<f32>(1000, 1e-3, 0.0);
        let call = move || {
            let piece = Piece::new(&mut theta, black_box(&g), &mut first, &mut second);
            vectorized(
                #[inline(always)]
                || rule.run(&scalars, [piece]),
            );
        };
        let arrays = 2 + states;
        // all are read, all but the gradients written
        let bytes = (4 * (2 * arrays - 1) * count) as f64;
        let work = Work { multiply_adds: 0.0, bytes, operands: (4 * arrays * count) as f64 };
        Prepared { work, call: Box::new(call) }
    };
    Case::new(kernel, count.to_string(), prepare)
}

/// Softmax cross-entropy with its gradient.
fn loss(classes: usize) -> Case {
    let prepare = move |_: &Materials| {
        let builder = Builder::new();
        let (z, y) = (builder.input("logits", [BATCH, classes]), builder.input("labels", [BATCH]));
        let losses = z.softmax_cross_entropy(y);
        let [gradient] = gradient(losses.mean(), [z]);
        let function = builder.finish([z, y], [losses, gradient]).expect("the shapes fit");
        let [z, y] = function.inputs;
        let plan = Plan::new(&function.graph, Wanted::outputs(&function.outputs));
        let mut arena = Arena::<f32>::new(plan.arena());
        arena[plan.place(z)].copy_from_slice(&normal(0, BATCH * classes));
        for (row, label) in arena[plan.place(y)].iter_mut().enumerate() {
            *label = (row * 7 % classes) as f32;
        }
        let bytes = (8 * BATCH * classes + 8 * BATCH) as f64;
        let call = Box::new(move || plan.run(black_box(&mut arena), Draw::default()));
        Prepared { work: Work { multiply_adds: 0.0, bytes, operands: bytes }, call }
    };
    Case::new("softmax_cross_entropy", format!("{BATCH}x{classes}"), prepare)
}

/// A whole training step of the default network: gather, forwards, backwards, update.
fn step(threads: usize) -> Case {
    let prepare = move |materials: &Materials| {
        let data = materials.data();
        let team = Team::new(threads).expect("as many threads as the machine has processors");
        let mut training = Training::new(team, &model(), &data, BATCH);
        // zeros become more as it learns, most of all at first
        (0..50).for_each(|_| training.step());
        let [_, left] = training.multiplications();
        let parameters = model().parameter_count() as f64;
        // θ, m and v, each read and written
        let work = Work { multiply_adds: left as f64, bytes: 24.0 * parameters, operands: 12.0 * parameters };
        Prepared { work, call: Box::new(move || training.step()) }
    };
    let shape = model().outline();
    Case { threads, ..Case::new("training_step/adam", shape, prepare) }
}
