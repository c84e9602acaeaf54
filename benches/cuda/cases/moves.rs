//! Elements filled in, moved, converted: little arithmetic or none.

use cotangent::data::{Normalisation, Shifts};
use cotangent::exec::cuda::{BatchOrder, DeviceSplit, StepState};
use cotangent::ops::DropoutMask;
use cotangent::random::below;
use half::bf16;

use super::{Case, Scale};
use crate::report::Work;

pub fn fill(scale: Scale, n: usize) -> Case {
    let length = scale.length(n);
    Case::new("fill", n.to_string(), Work::of_memory(4 * n), move |lab, sets| {
        let mut y = lab.unset(sets, length)?;
        Ok(Box::new(move |lab, set| lab.kernels().layout.fill(&lab.stream, 0.5, &mut y.of_mut(set))))
    })
}

pub fn transpose(scale: Scale, size: [usize; 2]) -> Case {
    let work = Work::of_memory(8 * size[0] * size[1]);
    let [rows, columns] = scale.matrix(size);
    Case::new("transpose", format!("{}x{}", size[0], size[1]), work, move |lab, sets| {
        let (x, mut y) = (lab.floats(sets, rows * columns)?, lab.unset(sets, rows * columns)?);
        Ok(Box::new(move |lab, set| {
            let (layout, y) = (&lab.kernels().layout, &mut y.of_mut(set));
            layout.transpose(&lab.stream, &[1, 0], &[rows, columns], &x.of(set), y)
        }))
    })
}

/// Of labels that are all as likely.
pub fn one_hot(scale: Scale, size: [usize; 2]) -> Case {
    let work = Work::of_memory(4 * size[0] * size[1] + 4 * size[0]);
    let [rows, classes] = scale.matrix(size);
    Case::new("one_hot", format!("{}x{}", size[0], size[1]), work, move |lab, sets| {
        let labels = lab.drawn(sets, rows, |random| below(random, classes as u32) as f32)?;
        let mut y = lab.unset(sets, rows * classes)?;
        Ok(Box::new(move |lab, set| {
            let kernels = &lab.kernels().softmax_cross_entropy;
            kernels.one_hot(&lab.stream, &labels.of(set), classes, &mut y.of_mut(set))
        }))
    })
}

/// Of images as MNIST has them, in a split of as many: bytes, labels and their order, all as likely. The split
/// is one for all sets, and about as large as a cache: batches meet some of it there, as in training.
pub fn gather(scale: Scale, shifts: Option<u16>, rows: usize) -> Case {
    const SIDE: usize = 28;
    const PIXELS: usize = SIDE * SIDE;
    let kind = if shifts.is_some() { "gather/shifted" } else { "gather/plain" };
    let work = Work::of_memory(rows * (5 * PIXELS + 9)); // an index, a label as byte and as float
    let (count, batch) = (scale.at_most(99, 60_000), scale.at_most(9, rows));
    Case::new(kind, format!("{rows}x{PIXELS}"), work, move |lab, sets| {
        let bytes = lab.drawn(1, count * PIXELS, |random| below(random, 256) as u8)?;
        let classes = lab.drawn(1, count, |random| below(random, 10) as u8)?;
        let order = lab.drawn(sets, batch, |random| below(random, count as u32))?;
        let step = lab.stream.clone_htod(&[StepState { number: 1, ..StepState::new(0) }])?;
        let (mut images, mut labels) = (lab.unset(sets, batch * PIXELS)?, lab.unset(sets, batch)?);
        let how = (Normalisation { mean: 0.1307, std: 0.3081 }, shifts.map(|pixels| Shifts::new(0, pixels)));
        Ok(Box::new(move |lab, set| {
            let (bytes, classes) = (bytes.of(0), classes.of(0));
            let split = DeviceSplit { images: bytes, labels: classes, rows: SIDE, columns: SIDE };
            let which = BatchOrder { step: step.as_view(), order: order.of(set), batch_size: batch };
            let (images, labels) = (&mut images.of_mut(set), &mut labels.of_mut(set));
            lab.kernels().gather.batch(&lab.stream, &split, how, &which, images, labels)
        }))
    })
}

pub fn dropout(scale: Scale, n: usize) -> Case {
    let length = scale.length(n);
    Case::new("dropout", n.to_string(), Work::of_memory(4 * n), move |lab, sets| {
        let rule = DropoutMask { probability: 0.1.into(), stream: 0, shape: [length].into() };
        let step = lab.stream.clone_htod(&[StepState { number: 1, ..StepState::new(0) }])?;
        let mut mask = lab.unset(sets, length)?;
        Ok(Box::new(move |lab, set| {
            lab.kernels().dropout.mask(&lab.stream, &rule, 0, &step.as_view(), &mut mask.of_mut(set))
        }))
    })
}

pub fn f32_to_bf16(scale: Scale, n: usize) -> Case {
    let length = scale.length(n);
    Case::new("convert/f32_to_bf16", n.to_string(), Work::of_memory(6 * n), move |lab, sets| {
        let (x, mut y) = (lab.floats(sets, length)?, lab.unset(sets, length)?);
        Ok(Box::new(move |lab, set| {
            lab.kernels().convert.f32_to_bf16(&lab.stream, &x.of(set), &mut y.of_mut(set))
        }))
    })
}

pub fn bf16_to_f32(scale: Scale, n: usize) -> Case {
    let length = scale.length(n);
    Case::new("convert/bf16_to_f32", n.to_string(), Work::of_memory(6 * n), move |lab, sets| {
        let (y, mut x) = (lab.normal(sets, length, bf16::from_f32)?, lab.unset(sets, length)?);
        Ok(Box::new(move |lab, set| {
            lab.kernels().convert.bf16_to_f32(&lab.stream, &y.of(set), &mut x.of_mut(set))
        }))
    })
}
