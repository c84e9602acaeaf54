//! Sums along axes, the loss, and what is counted of a batch. Labels are all as likely, losses squares of normally
//! distributed numbers, all else is normally distributed.

use cotangent::exec::cuda::{Axes, Capability, Logits, LongRows, StepState, Sum};
use cotangent::random::below;

use super::{Case, Scale};
use crate::report::Work;

pub fn sum_columns(scale: Scale, [rows, columns]: [usize; 2]) -> Case {
    sum(scale, "sum/columns", format!("{rows}x{columns}"), Axes { outer: 1, reduced: rows, inner: columns })
}

pub fn sum_rows(scale: Scale, [rows, columns]: [usize; 2]) -> Case {
    sum(scale, "sum/rows", format!("{rows}x{columns}"), Axes { outer: rows, reduced: columns, inner: 1 })
}

pub fn sum_all(scale: Scale, n: usize) -> Case {
    sum(scale, "sum/all", n.to_string(), Axes { outer: 1, reduced: n, inner: 1 })
}

fn sum(scale: Scale, name: &str, shape: String, Axes { outer, reduced, inner }: Axes) -> Case {
    let work = Work::of_memory(4 * (outer * reduced * inner + outer * inner));
    let axes =
        Axes { outer: scale.extent(outer), reduced: scale.extent(reduced), inner: scale.extent(inner) };
    let (from, to) = (axes.outer * axes.reduced * axes.inner, axes.outer * axes.inner);
    Case::new(name, shape, work, move |lab, sets| {
        let (x, mut y) = (lab.floats(sets, from)?, lab.unset(sets, to)?);
        let mut workspace = lab.unset(1, Sum::workspace(axes))?;
        Ok(Box::new(move |lab, set| {
            let (y, workspace) = (&mut y.of_mut(set), &mut workspace.of_mut(0));
            lab.kernels().sum.run(&lab.stream, axes, &x.of(set), y, workspace)
        }))
    })
}

/// By the kernel that is chosen, or in a given way, which the name then ends with.
pub fn cross_entropy(scale: Scale, size: [usize; 2], way: Option<LongRows>) -> Case {
    let work = Work::of_memory(8 * size[0] * size[1] + 8 * size[0]);
    let [rows, classes] = scale.matrix(size);
    let shape = format!("{}x{}", size[0], size[1]);
    let mut case = Case::new("softmax_cross_entropy", shape, work, move |lab, sets| {
        let z = lab.floats(sets, rows * classes)?;
        let labels = lab.drawn(sets, rows, |random| below(random, classes as u32) as f32)?;
        let (mut loss, mut gradient) = (lab.unset(sets, rows)?, lab.unset(sets, rows * classes)?);
        Ok(Box::new(move |lab, set| {
            let logits = Logits { view: &z.of(set), rows, classes };
            let (loss, mut gradient) = (&mut loss.of_mut(set), gradient.of_mut(set));
            let (kernels, scale) = (&lab.kernels().softmax_cross_entropy, 1.0 / rows as f32);
            let (stream, labels, gradient) = (&lab.stream, &labels.of(set), Some(&mut gradient));
            match way {
                None => kernels.cross_entropy(stream, logits, labels, scale, loss, gradient),
                Some(way) => kernels.cross_entropy_by(way, stream, logits, (labels, scale), loss, gradient),
            }
        }))
    });
    case.since = way.map_or(Capability::OLDEST, LongRows::since);
    if let Some(way) = way {
        case.title.name = format!("{}/{}", case.title.name, way.name());
        case.title.variant = Some(way.name().into());
    }
    case
}

pub fn softmax(scale: Scale, size: [usize; 2]) -> Case {
    let work = Work::of_memory(8 * size[0] * size[1]);
    let [rows, classes] = scale.matrix(size);
    Case::new("softmax", format!("{}x{}", size[0], size[1]), work, move |lab, sets| {
        let (z, mut y) = (lab.floats(sets, rows * classes)?, lab.unset(sets, rows * classes)?);
        Ok(Box::new(move |lab, set| {
            let logits = Logits { view: &z.of(set), rows, classes };
            lab.kernels().softmax_cross_entropy.softmax(&lab.stream, logits, &mut y.of_mut(set))
        }))
    })
}

pub fn count_confusions(scale: Scale, size: [usize; 2]) -> Case {
    let work = Work::of_memory(4 * size[0] * size[1] + 4 * size[0]);
    let [rows, classes] = scale.matrix(size);
    Case::new("count_confusions", format!("{}x{}", size[0], size[1]), work, move |lab, sets| {
        let logits = lab.floats(sets, rows * classes)?;
        let labels = lab.drawn(sets, rows, |random| below(random, classes as u32) as f32)?;
        let mut counts = lab.unset(1, classes * classes)?;
        Ok(Box::new(move |lab, set| {
            let (accuracy, counts) = (&lab.kernels().accuracy, &mut counts.of_mut(0));
            accuracy.count_confusions(&lab.stream, classes, &logits.of(set), &labels.of(set), counts)
        }))
    })
}

pub fn count_correct(scale: Scale, size: [usize; 2]) -> Case {
    let work = Work::of_memory(4 * size[0] * size[1] + 4 * size[0]);
    let [rows, classes] = scale.matrix(size);
    Case::new("count_correct", format!("{}x{}", size[0], size[1]), work, move |lab, sets| {
        let logits = lab.floats(sets, rows * classes)?;
        let labels = lab.drawn(sets, rows, |random| below(random, classes as u32) as f32)?;
        let mut correct = lab.unset(1, 1)?;
        Ok(Box::new(move |lab, set| {
            let (accuracy, correct) = (&lab.kernels().accuracy, &mut correct.of_mut(0));
            accuracy.count_correct(&lab.stream, classes, &logits.of(set), &labels.of(set), correct)
        }))
    })
}

pub fn accumulate_losses(scale: Scale, n: usize) -> Case {
    let length = scale.length(n);
    Case::new("accumulate_losses", n.to_string(), Work::of_memory(4 * n), move |lab, sets| {
        let losses = lab.normal(sets, length, |x| x * x)?;
        let mut step = lab.stream.clone_htod(&[StepState::new(0)])?;
        let mut total = lab.unset(1, 1)?;
        Ok(Box::new(move |lab, set| {
            let (step, total) = (&mut step.as_view_mut(), &mut total.of_mut(0));
            lab.kernels().accuracy.accumulate_losses(&lab.stream, &losses.of(set), step, total)
        }))
    })
}
