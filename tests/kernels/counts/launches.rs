//! The launches that are counted: one function each, of sizes at which a kernel does all that it was made for.

use cotangent::data::{Normalisation, Shifts};
use cotangent::exec::cuda::{
    Axes, BatchOrder, Broadcast, DeviceOperand, DeviceSplit, DeviceUpdate, Logits, StepState, Sum, Tiling,
    Variant,
};
use cotangent::ops::{Binary, Extents, MatMul, Unary};
use cotangent::optim::{Adam, Optimizer};
use half::bf16;

use super::super::gemm::product::{Case, EPILOGUES, Numbers, OFFSETS};
use super::super::gemm::{Multiplied, TRANSPOSES};
use super::super::support::{Buffer, Run};
use super::{Counted, counted};

/// Float32 numbers on the device that no kernel minds.
pub fn ones(run: &Run, length: usize) -> Buffer<f32> {
    run.upload(&vec![1.0; length], 0).unwrap()
}

pub fn elementwise(run: &Run) -> [Counted; 4] {
    let (rows, columns) = (20, 256);
    let (x, other, bias) = (ones(run, rows * columns), ones(run, rows * columns), ones(run, columns));
    let mut y = ones(run, rows * columns);
    let kernels = &run.kernels().elementwise;
    let (x, other, bias) = (x.view(), other.view(), bias.view());
    let full = |view| DeviceOperand { view, broadcast: Broadcast::Full };
    let add = |b: DeviceOperand, y: &mut Buffer<f32>| {
        kernels.binary(run.stream(), Binary::Add, [rows, columns], full(&x), b, &mut y.view_mut())
    };
    let bias = DeviceOperand { view: &bias, broadcast: Broadcast::PerColumn };
    [
        counted("relu", || kernels.unary(run.stream(), Unary::Relu, &x, &mut y.view_mut())),
        counted("relu backward", || kernels.relu_backward(run.stream(), &x, &other, &mut y.view_mut())),
        counted("sum of two", || add(full(&other), &mut y)),
        counted("sum with a bias", || add(bias, &mut y)),
    ]
}

pub fn adam(run: &Run) -> Counted {
    let optimizer = Optimizer::Adam(Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
    let length = 5000;
    let step = run.upload(&[StepState::new(0)], 0).unwrap();
    let (scalars, gradients) = (ones(run, optimizer.scalars().len()), ones(run, length));
    let (mut theta, mut m, mut v) = (ones(run, length), ones(run, length), ones(run, length));
    let scalars = scalars.view();
    let update = DeviceUpdate {
        scalars: &(0..scalars.len()).map(|k| scalars.slice(k..k + 1)).collect::<Vec<_>>(),
        parameters: &mut theta.view_mut(),
        gradients: &gradients.view(),
        state: &mut [&mut m.view_mut(), &mut v.view_mut()],
    };
    counted("Adam", || run.kernels().optimizers.update(run.stream(), &optimizer, &step.view(), update))
}

/// Softmax cross-entropy with its gradient.
pub fn cross_entropy(run: &Run, rows: usize, classes: usize) -> Counted {
    let (logits, labels) = (ones(run, rows * classes), ones(run, rows));
    let (mut loss, mut gradient) = (ones(run, rows), ones(run, rows * classes));
    let logits = Logits { view: &logits.view(), rows, classes };
    let (loss, gradient) = (&mut loss.view_mut(), &mut gradient.view_mut());
    counted(&format!("cross-entropy of {rows} rows of {classes}"), || {
        let kernels = &run.kernels().softmax_cross_entropy;
        kernels.cross_entropy(run.stream(), logits, &labels.view(), 1.0, loss, Some(gradient))
    })
}

pub fn sum(run: &Run, axes: Axes) -> Counted {
    let Axes { outer, reduced, inner } = axes;
    let (x, mut y) = (ones(run, outer * reduced * inner), ones(run, outer * inner));
    let mut workspace = ones(run, Sum::workspace(axes));
    counted(&format!("sum of {axes:?}"), || {
        let workspace = &mut workspace.view_mut();
        run.kernels().sum.run(run.stream(), axes, &x.view(), &mut y.view_mut(), workspace)
    })
}

pub fn transpose(run: &Run, permutation: &[usize], shape: &[usize]) -> Counted {
    let length = shape.iter().product();
    let (x, mut y) = (ones(run, length), ones(run, length));
    counted(&format!("transpose of {shape:?} by {permutation:?}"), || {
        let layout = &run.kernels().layout;
        layout.transpose(run.stream(), permutation, shape, &x.view(), &mut y.view_mut())
    })
}

pub fn gather(run: &Run, shifts: Option<Shifts>) -> Counted {
    let (count, rows, columns, batch_size) = (40, 28, 28, 16);
    let (bytes, classes) = (vec![3_u8; count * rows * columns], vec![1_u8; count]);
    let order: Vec<u32> = (0..count as u32).rev().collect();
    let upload = |bytes: &[u8]| run.upload(bytes, 0).unwrap();
    let (bytes, classes, order) = (upload(&bytes), upload(&classes), run.upload(&order, 0).unwrap());
    let step = run.upload(&[StepState { number: 1, ..StepState::new(0) }], 0).unwrap();
    let (mut images, mut labels) = (ones(run, batch_size * rows * columns), ones(run, batch_size));
    let split = DeviceSplit { images: bytes.view(), labels: classes.view(), rows, columns };
    let which = BatchOrder { step: step.view(), order: order.view(), batch_size };
    let (images, labels) = (&mut images.view_mut(), &mut labels.view_mut());
    let how = (Normalisation { mean: 0.1, std: 0.3 }, shifts);
    counted(&format!("a batch of images, {shifts:?}"), || {
        run.kernels().gather.batch(run.stream(), &split, how, &which, images, labels)
    })
}

/// A product whose extents are multiples of the tiles', by a variant; `offset` elements off an aligned address.
pub fn product<T: Multiplied>(
    run: &Run,
    variant: &'static Variant,
    matmul: MatMul,
    offset: usize,
) -> Counted {
    let extents = Extents { m: 128, n: 128, k: 64 };
    let numbers = Numbers::<T>::draw(&mut run.random(), extents, (1.0, 1.0));
    let case = Case { matmul, extents, epilogue: EPILOGUES[0], offsets: [offset; 4] };
    let ways = |transposed| if transposed { 't' } else { 'n' };
    let (a, b) = (ways(matmul.transpose_a), ways(matmul.transpose_b));
    let name = variant.name();
    counted(&format!("{} {a}{b} {name}, {offset} off", T::FILE), || {
        numbers.compute(run, &case, Some(Tiling { variant, splits: 1 }))
    })
}

/// The sum of the parts of a product that several blocks share.
pub fn split_product(run: &Run, variant: &'static Variant) -> Counted {
    let extents = Extents { m: 64, n: 64, k: 512 };
    let numbers = Numbers::<f32>::draw(&mut run.random(), extents, (1.0, 1.0));
    let case = Case { matmul: TRANSPOSES[0], extents, epilogue: EPILOGUES[6], offsets: OFFSETS[0] };
    counted("a product in three parts, with its whole epilogue", || {
        numbers.compute(run, &case, Some(Tiling { variant, splits: 3 }))
    })
}

/// To bfloat16 and back.
pub fn conversions(run: &Run) -> [Counted; 2] {
    let mut x = ones(run, 5120);
    let mut y = run.upload(&vec![bf16::ONE; 5120], 0).unwrap();
    let convert = &run.kernels().convert;
    [
        counted("to bfloat16", || convert.f32_to_bf16(run.stream(), &x.view(), &mut y.view_mut())),
        counted("from bfloat16", || convert.bf16_to_f32(run.stream(), &y.view(), &mut x.view_mut())),
    ]
}

pub fn accuracy(run: &Run, rows: usize, classes: usize) -> Counted {
    let (logits, labels) = (ones(run, rows * classes), ones(run, rows));
    let mut correct = run.upload(&[0_u64], 0).unwrap();
    counted(&format!("accuracy of {rows} rows of {classes}"), || {
        let (logits, labels) = (logits.view(), labels.view());
        let accuracy = &run.kernels().accuracy;
        accuracy.count_correct(run.stream(), classes, &logits, &labels, &mut correct.view_mut())
    })
}
