//! What is timed: of each kernel its operands, its work, its launch.

use cotangent::data::{Normalisation, Shifts};
use cotangent::exec::Plan;
use cotangent::exec::cuda::{
    Axes, BatchOrder, Broadcast, DeviceSplit, Epilogue, Factor, Gemm, Kernels, Logits, Operand, Product,
    StepState, Sum,
};
use cotangent::exec::instruction::{self, Instruction};
use cotangent::ops::{Binary, Builder, DropoutMask, Extents, MatMul, Rule, Unary};
use cotangent::optim::Optimizer;
use cotangent::random::{ChaCha8Rng, below, uniform};
use cudarc::driver::ValidAsZeroBits;
use half::bf16;

use crate::lab::{Lab, Launch, Outcome};
use crate::report::{Bound, Work};

type Prepare = Box<dyn Fn(&Lab, usize) -> Outcome<Launch>>;

/// One line of the results.
pub struct Case {
    pub name: String,
    pub work: Work,
    /// Makes so many sets of operands, and what launches on one of them.
    pub prepare: Prepare,
}

impl Case {
    fn new(name: String, work: Work, prepare: impl Fn(&Lab, usize) -> Outcome<Launch> + 'static) -> Self {
        Self { name, work, prepare: Box::new(prepare) }
    }
}

const SIGNED: [f64; 2] = [-1.0, 1.0];
/// Squares, of which roots are taken.
const POSITIVE: [f64; 2] = [0.01, 1.0];

// ---- Ceilings

/// Those of any card. The arithmetic ones come in waves of blocks that end together whether a multiprocessor
/// holds 4, 6 or 8 blocks of the one kernel, or 8 or 9 of the other; their traffic is a hundredth of their time.
pub fn ceilings(lab: &Lab) -> [(Bound, Case); 3] {
    let cut = |full, emulated| if lab.is_emulated() { emulated } else { full };
    let copied = cut(1 << 27, 1 << 16);
    let copy = Case::new(Bound::Copy.name().into(), Work::of_memory(8 * copied), move |lab, sets| {
        let (x, mut y) = (lab.floats(sets, copied, SIGNED)?, lab.unset(sets, copied)?);
        Ok(Box::new(move |lab, set| lab.kernels().ceiling.copy(&lab.stream, &x.of(set), &mut y.of_mut(set))))
    });

    let (n, rounds) = (lab.multiprocessors * cut(96, 2) * 2048, cut(16_384, 16));
    let work = Work { bytes: 8 * n as u64, flops: (2 * n * rounds) as u64, arithmetic: Bound::Fma };
    let fma = Case::new(Bound::Fma.name().into(), work, move |lab, sets| {
        let (x, mut y) = (lab.floats(sets, n, SIGNED)?, lab.unset(sets, n)?);
        Ok(Box::new(move |lab, set| {
            let (ceiling, y) = (&lab.kernels().ceiling, &mut y.of_mut(set));
            let flops = ceiling.fma(&lab.stream, [0.999, 1e-3], rounds, &x.of(set), y)?;
            assert_eq!(flops, work.flops);
            Ok(())
        }))
    });

    let (warps, rounds) = (lab.multiprocessors * cut(72 * 4, 4), cut(8192, 4));
    let (flops, bytes) = ((32_768 * warps * rounds) as u64, (4 * 1024 * warps) as u64);
    let work = Work { bytes, flops, arithmetic: Bound::Mma };
    let mma = Case::new(Bound::Mma.name().into(), work, move |lab, sets| {
        let integer = |random: &mut _| bf16::from_f32(below(random, 9) as f32 - 4.0);
        let (a, b) = (lab.drawn(sets, 512, integer)?, lab.drawn(sets, 512, integer)?);
        let mut c = lab.unset(sets, 1024 * warps)?;
        Ok(Box::new(move |lab, set| {
            let (ceiling, c) = (&lab.kernels().ceiling, &mut c.of_mut(set));
            let flops = ceiling.mma(&lab.stream, rounds, &a.of(set), &b.of(set), c)?;
            assert_eq!(flops, work.flops);
            Ok(())
        }))
    });
    [(Bound::Copy, copy), (Bound::Fma, fma), (Bound::Mma, mma)]
}

// ---- Elementwise operations

pub fn unary(operation: Unary, n: usize) -> Case {
    Case::new(format!("unary/{}/{n}", operation.name()), Work::of_memory(8 * n), move |lab, sets| {
        let (x, mut y) = (lab.floats(sets, n, SIGNED)?, lab.unset(sets, n)?);
        Ok(Box::new(move |lab, set| {
            lab.kernels().elementwise.unary(&lab.stream, operation, &x.of(set), &mut y.of_mut(set))
        }))
    })
}

pub fn binary(operation: Binary, n: usize) -> Case {
    let name = format!("binary/{}/{n}", operation.name());
    broadcast(name, operation, [1, n], Broadcast::Full)
}

pub fn add_per_column(extents: [usize; 2]) -> Case {
    let [rows, columns] = extents;
    let name = format!("binary/add_per_column/{rows}x{columns}");
    broadcast(name, Binary::Add, extents, Broadcast::PerColumn)
}

/// The second operand may be repeated.
fn broadcast(name: String, operation: Binary, extents: [usize; 2], broadcast: Broadcast) -> Case {
    let (n, repeated) = (extents[0] * extents[1], broadcast.length(extents));
    Case::new(name, Work::of_memory(4 * (2 * n + repeated)), move |lab, sets| {
        let (a, b) = (lab.floats(sets, n, SIGNED)?, lab.floats(sets, repeated, SIGNED)?);
        let mut y = lab.unset(sets, n)?;
        Ok(Box::new(move |lab, set| {
            let (a, b) = (a.of(set), b.of(set));
            let a = Operand { view: &a, broadcast: Broadcast::Full };
            let b = Operand { view: &b, broadcast };
            lab.kernels().elementwise.binary(&lab.stream, operation, extents, a, b, &mut y.of_mut(set))
        }))
    })
}

pub fn relu_backward(n: usize) -> Case {
    Case::new(format!("relu_backward/{n}"), Work::of_memory(12 * n), move |lab, sets| {
        let (dy, y) = (lab.floats(sets, n, SIGNED)?, lab.floats(sets, n, SIGNED)?);
        let mut dx = lab.unset(sets, n)?;
        Ok(Box::new(move |lab, set| {
            let dx = &mut dx.of_mut(set);
            lab.kernels().elementwise.relu_backward(&lab.stream, &dy.of(set), &y.of(set), dx)
        }))
    })
}

/// tanh(x w + 1/2), fused: carried out by the interpreter.
pub fn program(n: usize) -> Case {
    Case::new(format!("program/mul_add_tanh/{n}"), Work::of_memory(12 * n), move |lab, sets| {
        let builder = Builder::new();
        let (x, w) = (builder.input("x", [n]), builder.input("w", [n]));
        let output = (x * w + 0.5).tanh().id().ok_or("the shapes fit")?;
        let x_node = x.id();
        let plan = Plan::new(&builder.finish()?, &[output], &[], 0);
        let [Instruction { work: instruction::Work::Elementwise(program), .. }] = plan.instructions() else {
            return Err("it is one program".into());
        };
        let (x, w, program) = (lab.floats(sets, n, SIGNED)?, lab.floats(sets, n, SIGNED)?, program.clone());
        let mut y = lab.unset(sets, n)?;
        Ok(Box::new(move |lab, set| {
            let operand = |node| if Some(node) == x_node { x.of(set) } else { w.of(set) };
            lab.kernels().program.run(&lab.stream, &program, operand, &mut y.of_mut(set))
        }))
    })
}

// ---- Elements filled in, moved

pub fn fill(n: usize) -> Case {
    Case::new(format!("fill/{n}"), Work::of_memory(4 * n), move |lab, sets| {
        let mut y = lab.unset(sets, n)?;
        Ok(Box::new(move |lab, set| lab.kernels().layout.fill(&lab.stream, 0.5, &mut y.of_mut(set))))
    })
}

pub fn transpose([rows, columns]: [usize; 2]) -> Case {
    let n = rows * columns;
    let name = format!("transpose/{rows}x{columns}");
    Case::new(name, Work::of_memory(8 * n), move |lab, sets| {
        let (x, mut y) = (lab.floats(sets, n, SIGNED)?, lab.unset(sets, n)?);
        Ok(Box::new(move |lab, set| {
            let (layout, y) = (&lab.kernels().layout, &mut y.of_mut(set));
            layout.transpose(&lab.stream, &[1, 0], &[rows, columns], &x.of(set), y)
        }))
    })
}

// ---- Sums

pub fn sum_columns([rows, columns]: [usize; 2]) -> Case {
    let axes = Axes { outer: 1, reduced: rows, inner: columns };
    sum(format!("sum/columns/{rows}x{columns}"), axes)
}

pub fn sum_rows([rows, columns]: [usize; 2]) -> Case {
    let axes = Axes { outer: rows, reduced: columns, inner: 1 };
    sum(format!("sum/rows/{rows}x{columns}"), axes)
}

pub fn sum_all(n: usize) -> Case {
    sum(format!("sum/all/{n}"), Axes { outer: 1, reduced: n, inner: 1 })
}

fn sum(name: String, axes: Axes) -> Case {
    let Axes { outer, reduced, inner } = axes;
    let (from, to) = (outer * reduced * inner, outer * inner);
    Case::new(name, Work::of_memory(4 * (from + to)), move |lab, sets| {
        let (x, mut y) = (lab.floats(sets, from, SIGNED)?, lab.unset(sets, to)?);
        let mut workspace = lab.unset(1, Sum::workspace(axes))?;
        Ok(Box::new(move |lab, set| {
            let (y, workspace) = (&mut y.of_mut(set), &mut workspace.of_mut(0));
            lab.kernels().sum.run(&lab.stream, axes, &x.of(set), y, workspace)
        }))
    })
}

// ---- The loss, and what is counted of a batch

pub fn cross_entropy([rows, classes]: [usize; 2]) -> Case {
    let name = format!("softmax_cross_entropy/{rows}x{classes}");
    Case::new(name, Work::of_memory(8 * rows * classes + 8 * rows), move |lab, sets| {
        let z = lab.floats(sets, rows * classes, [-4.0, 4.0])?;
        let labels = lab.drawn(sets, rows, |random| below(random, classes as u32) as f32)?;
        let (mut loss, mut gradient) = (lab.unset(sets, rows)?, lab.unset(sets, rows * classes)?);
        Ok(Box::new(move |lab, set| {
            let logits = Logits { view: &z.of(set), rows, classes };
            let (loss, mut gradient) = (&mut loss.of_mut(set), gradient.of_mut(set));
            let (kernels, scale) = (&lab.kernels().softmax_cross_entropy, 1.0 / rows as f32);
            kernels.cross_entropy(&lab.stream, logits, &labels.of(set), scale, loss, Some(&mut gradient))
        }))
    })
}

pub fn softmax([rows, classes]: [usize; 2]) -> Case {
    let name = format!("softmax/{rows}x{classes}");
    Case::new(name, Work::of_memory(8 * rows * classes), move |lab, sets| {
        let (z, mut y) = (lab.floats(sets, rows * classes, [-4.0, 4.0])?, lab.unset(sets, rows * classes)?);
        Ok(Box::new(move |lab, set| {
            let logits = Logits { view: &z.of(set), rows, classes };
            lab.kernels().softmax_cross_entropy.softmax(&lab.stream, logits, &mut y.of_mut(set))
        }))
    })
}

pub fn one_hot([rows, classes]: [usize; 2]) -> Case {
    let name = format!("one_hot/{rows}x{classes}");
    Case::new(name, Work::of_memory(4 * rows * classes + 4 * rows), move |lab, sets| {
        let labels = lab.drawn(sets, rows, |random| below(random, classes as u32) as f32)?;
        let mut y = lab.unset(sets, rows * classes)?;
        Ok(Box::new(move |lab, set| {
            let kernels = &lab.kernels().softmax_cross_entropy;
            kernels.one_hot(&lab.stream, &labels.of(set), classes, &mut y.of_mut(set))
        }))
    })
}

pub fn count_confusions([rows, classes]: [usize; 2]) -> Case {
    let name = format!("count_confusions/{rows}x{classes}");
    Case::new(name, Work::of_memory(4 * rows * classes + 4 * rows), move |lab, sets| {
        let logits = lab.floats(sets, rows * classes, SIGNED)?;
        let labels = lab.drawn(sets, rows, |random| below(random, classes as u32) as f32)?;
        let mut counts = lab.unset(1, classes * classes)?;
        Ok(Box::new(move |lab, set| {
            let (accuracy, counts) = (&lab.kernels().accuracy, &mut counts.of_mut(0));
            accuracy.count_confusions(&lab.stream, classes, &logits.of(set), &labels.of(set), counts)
        }))
    })
}

pub fn count_correct([rows, classes]: [usize; 2]) -> Case {
    let name = format!("count_correct/{rows}x{classes}");
    Case::new(name, Work::of_memory(4 * rows * classes + 4 * rows), move |lab, sets| {
        let logits = lab.floats(sets, rows * classes, SIGNED)?;
        let labels = lab.drawn(sets, rows, |random| below(random, classes as u32) as f32)?;
        let mut correct = lab.unset(1, 1)?;
        Ok(Box::new(move |lab, set| {
            let (accuracy, correct) = (&lab.kernels().accuracy, &mut correct.of_mut(0));
            accuracy.count_correct(&lab.stream, classes, &logits.of(set), &labels.of(set), correct)
        }))
    })
}

pub fn accumulate_losses(n: usize) -> Case {
    Case::new(format!("accumulate_losses/{n}"), Work::of_memory(4 * n), move |lab, sets| {
        let losses = lab.floats(sets, n, POSITIVE)?;
        let mut step = lab.stream.clone_htod(&[StepState::new(0)])?;
        let mut total = lab.unset(1, 1)?;
        Ok(Box::new(move |lab, set| {
            let (step, total) = (&mut step.as_view_mut(), &mut total.of_mut(0));
            lab.kernels().accuracy.accumulate_losses(&lab.stream, &losses.of(set), step, total)
        }))
    })
}

// ---- Optimizers

pub fn update(name: &str, rule: Optimizer, n: usize) -> Case {
    let states = rule.state_per_parameter();
    let work = Work::of_memory(4 * n * (3 + 2 * states));
    Case::new(format!("{name}/{n}"), work, move |lab, sets| {
        let (mut theta, g) = (lab.floats(sets, n, SIGNED)?, lab.floats(sets, n, SIGNED)?);
        let mut first = lab.floats(sets, n, POSITIVE)?;
        let mut second = if states == 2 { Some(lab.floats(sets, n, POSITIVE)?) } else { None };
        let mut step = lab.stream.clone_htod(&[StepState::new(0)])?;
        let rates = lab.stream.clone_htod(&[1e-3])?;
        let optimizers = &lab.kernels().optimizers;
        optimizers.begin_step(&lab.stream, &rule, 0.0, &rates.as_view(), &mut step.as_view_mut())?;
        Ok(Box::new(move |lab, set| {
            let (theta, first) = (&mut theta.of_mut(set), &mut first.of_mut(set));
            let mut second = second.as_mut().map(|second| second.of_mut(set));
            let (optimizers, step) = (&lab.kernels().optimizers, &step.as_view());
            optimizers.update(&lab.stream, &rule, step, theta, &g.of(set), first, second.as_mut())
        }))
    })
}

// ---- Batches and masks

/// Of images as MNIST has them, in a split of as many.
pub fn gather(shifts: Option<u16>, rows: usize) -> Case {
    const COUNT: usize = 60_000;
    const SIDE: usize = 28;
    const PIXELS: usize = SIDE * SIDE;
    let kind = if shifts.is_some() { "shifted" } else { "plain" };
    let work = Work::of_memory(rows * (5 * PIXELS + 9)); // an index, a label as byte and as float
    Case::new(format!("gather/{kind}/{rows}x{PIXELS}"), work, move |lab, sets| {
        let bytes = lab.drawn(1, COUNT * PIXELS, |random| below(random, 256) as u8)?;
        let classes = lab.drawn(1, COUNT, |random| below(random, 10) as u8)?;
        let order = lab.drawn(sets, rows, |random| below(random, COUNT as u32))?;
        let step = lab.stream.clone_htod(&[StepState { number: 1, ..StepState::new(0) }])?;
        let (mut images, mut labels) = (lab.unset(sets, rows * PIXELS)?, lab.unset(sets, rows)?);
        let how = (Normalisation { mean: 0.1307, std: 0.3081 }, shifts.map(|pixels| Shifts::new(0, pixels)));
        Ok(Box::new(move |lab, set| {
            let (bytes, classes) = (bytes.of(0), classes.of(0));
            let split = DeviceSplit { images: bytes, labels: classes, rows: SIDE, columns: SIDE };
            let which = BatchOrder { step: step.as_view(), order: order.of(set), batch_size: rows };
            let (images, labels) = (&mut images.of_mut(set), &mut labels.of_mut(set));
            lab.kernels().gather.batch(&lab.stream, &split, how, &which, images, labels)
        }))
    })
}

pub fn dropout(n: usize) -> Case {
    Case::new(format!("dropout/{n}"), Work::of_memory(4 * n), move |lab, sets| {
        let rule = DropoutMask { probability: 0.1.into(), stream: 0, shape: [n].into() };
        let step = lab.stream.clone_htod(&[StepState { number: 1, ..StepState::new(0) }])?;
        let mut mask = lab.unset(sets, n)?;
        Ok(Box::new(move |lab, set| {
            lab.kernels().dropout.mask(&lab.stream, &rule, 0, &step.as_view(), &mut mask.of_mut(set))
        }))
    })
}

// ---- Conversions

pub fn f32_to_bf16(n: usize) -> Case {
    Case::new(format!("convert/f32_to_bf16/{n}"), Work::of_memory(6 * n), move |lab, sets| {
        let (x, mut y) = (lab.floats(sets, n, SIGNED)?, lab.unset(sets, n)?);
        Ok(Box::new(move |lab, set| {
            lab.kernels().convert.f32_to_bf16(&lab.stream, &x.of(set), &mut y.of_mut(set))
        }))
    })
}

pub fn bf16_to_f32(n: usize) -> Case {
    Case::new(format!("convert/bf16_to_f32/{n}"), Work::of_memory(6 * n), move |lab, sets| {
        let (y, mut x) = (lab.drawn(sets, n, bf16::drawn)?, lab.unset(sets, n)?);
        Ok(Box::new(move |lab, set| {
            lab.kernels().convert.bf16_to_f32(&lab.stream, &y.of(set), &mut x.of_mut(set))
        }))
    })
}

// ---- Matrix products

/// A number type whose products are timed.
pub trait Timed: Factor + ValidAsZeroBits + Sized + 'static {
    const NAME: &'static str;
    const ARITHMETIC: Bound;
    fn kernels(all: &Kernels) -> &Gemm<Self>;
    /// Between -1 and 1.
    fn drawn(random: &mut ChaCha8Rng) -> Self;
}

impl Timed for f32 {
    const NAME: &'static str = "gemm_f32";
    const ARITHMETIC: Bound = Bound::Fma;

    fn kernels(all: &Kernels) -> &Gemm<Self> {
        &all.gemm
    }

    fn drawn(random: &mut ChaCha8Rng) -> Self {
        (2.0 * uniform(random) - 1.0) as f32
    }
}

impl Timed for bf16 {
    const NAME: &'static str = "gemm_bf16";
    const ARITHMETIC: Bound = Bound::Mma;

    fn kernels(all: &Kernels) -> &Gemm<Self> {
        &all.gemm_bf16
    }

    fn drawn(random: &mut ChaCha8Rng) -> Self {
        bf16::from_f64(2.0 * uniform(random) - 1.0)
    }
}

/// The products of a linear layer y = x Wᵀ, for x (batch, inputs) and W (outputs, inputs).
#[derive(Clone, Copy)]
pub enum Layer {
    /// x Wᵀ.
    Forward,
    /// dyᵀ x.
    WeightGradient,
    /// dy W.
    InputGradient,
}

impl Layer {
    pub const ALL: [Self; 3] = [Self::Forward, Self::WeightGradient, Self::InputGradient];
}

/// `widths`: inputs and outputs.
pub fn layer<T: Timed>(part: Layer, batch: usize, widths: &[usize]) -> Case {
    let (inputs, outputs) = (widths[0], widths[1]);
    let (name, transpose_a, transpose_b, [m, n, k]) = match part {
        Layer::Forward => ("forward", false, true, [batch, outputs, inputs]),
        Layer::WeightGradient => ("weight_gradient", true, false, [outputs, inputs, batch]),
        Layer::InputGradient => ("input_gradient", false, false, [batch, inputs, outputs]),
    };
    let matmul = MatMul { transpose_a, transpose_b };
    product::<T>(format!("{}/{name}/{inputs}-{outputs}", T::NAME), matmul, Extents { m, n, k })
}

pub fn square<T: Timed>(n: usize) -> Case {
    let matmul = MatMul { transpose_a: false, transpose_b: false };
    product::<T>(format!("{}/square/{n}", T::NAME), matmul, Extents { m: n, n, k: n })
}

fn product<T: Timed>(name: String, matmul: MatMul, extents: Extents) -> Case {
    let Extents { m, n, k } = extents;
    let bytes = size_of::<T>() * (m * k + k * n) + 4 * m * n;
    let work = Work { bytes: bytes as u64, flops: (2 * m * n * k) as u64, arithmetic: T::ARITHMETIC };
    Case::new(name, work, move |lab, sets| {
        let (a, b) = (lab.drawn(sets, m * k, T::drawn)?, lab.drawn(sets, k * n, T::drawn)?);
        let (mut c, mut workspace) = (lab.unset(sets, m * n)?, lab.unset(1, Gemm::<T>::workspace(extents))?);
        Ok(Box::new(move |lab, set| {
            let product = Product { matmul, extents, a: &a.of(set), b: &b.of(set) };
            let (c, workspace) = (&mut c.of_mut(set), &mut workspace.of_mut(0));
            T::kernels(lab.kernels()).run(&lab.stream, &product, c, &Epilogue::default(), workspace)
        }))
    })
}
