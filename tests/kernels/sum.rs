//! Sums over axes, against sums in float64.

use cotangent::exec::cuda::{Axes, Sum};
use cotangent::graph::Shape;
use cotangent::ops::{Draw, Reduction, Rule, Tensor};

use super::support::{Buffer, RAGGED, Run, pairwise};
use crate::support::sets_of_axes;

/// What is added up.
#[derive(Clone, Copy, Debug)]
enum Terms {
    Ordinary,
    Huge,
    Tiny,
    /// One number is NaN, one infinite.
    NotFinite,
}

const TERMS: [Terms; 4] = [Terms::Ordinary, Terms::Huge, Terms::Tiny, Terms::NotFinite];

/// The half of the distance from 1 to the next float32.
const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;

fn terms(run: &Run, terms: Terms, count: usize) -> Vec<f32> {
    let mut random = run.random();
    let scale = match terms {
        Terms::Ordinary | Terms::NotFinite => 1.0,
        Terms::Huge => 1e30,
        Terms::Tiny => 1e-30,
    };
    let mut x: Vec<f32> = (0..count).map(|_| (scale * random.between(-1.0, 1.5)) as f32).collect();
    if let (Terms::NotFinite, true) = (terms, count > 0) {
        x[random.below(count)] = f32::INFINITY;
        x[random.below(count)] = f32::NAN;
    }
    x
}

/// The most roundings that a term passes: its thread adds up a 32nd of the terms at most, or eight, and
/// then the threads' sums are added pairwise, twice if there are parts.
fn roundings(reduced: usize) -> f64 {
    (reduced / 32 + 8 + 2 * 12) as f64
}

fn sums(run: &Run, axes: Axes, x: &[f32], [x_offset, y_offset]: [usize; 2]) -> Result<Vec<f32>, String> {
    let x = run.upload(x, x_offset)?;
    let mut y = run.poisoned(axes.outer * axes.inner, y_offset)?;
    let mut workspace = run.poisoned(Sum::workspace(axes), y_offset)?;
    run.kernels()
        .sum
        .run(run.stream(), axes, &x.view(), &mut y.view_mut(), &mut workspace.view_mut())
        .map_err(|error| error.to_string())?;
    run.download(&y)
}

fn check_sums(run: &Run, axes: Axes, kind: Terms, offsets: [usize; 2]) -> Result<(), String> {
    let what = format!("{axes:?} of {kind:?}, offsets {offsets:?}");
    let Axes { outer, reduced, inner } = axes;
    let x = terms(run, kind, outer * reduced * inner);
    let found = sums(run, axes, &x, offsets).map_err(|error| format!("{what}: {error}"))?;
    compare(&what, axes, &x, &found, roundings(reduced))
}

/// The plain kernel's sums.
fn check_reference(run: &Run, axes: Axes, kind: Terms) -> Result<(), String> {
    let what = format!("{axes:?} of {kind:?} by the reference");
    let Axes { outer, reduced, inner } = axes;
    let x = terms(run, kind, outer * reduced * inner);
    let on_device = run.upload(&x, 1)?;
    let mut y = run.poisoned(outer * inner, 1)?;
    let sum = &run.kernels().sum;
    sum.reference(run.stream(), axes, &on_device.view(), &mut y.view_mut())
        .map_err(|error| error.to_string())?;
    let found = run.download(&y).map_err(|error| format!("{what}: {error}"))?;
    compare(&what, axes, &x, &found, reduced as f64)
}

/// Every sum against float64, whose terms pass so many roundings.
fn compare(what: &str, axes: Axes, x: &[f32], found: &[f32], roundings: f64) -> Result<(), String> {
    let Axes { reduced, inner, .. } = axes;
    for (position, &found) in found.iter().enumerate() {
        let (o, i) = (position / inner, position % inner);
        let terms = || (0..reduced).map(|r| f64::from(x[(o * reduced + r) * inner + i]));
        let (exact, magnitude) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
        let agrees = if exact.is_finite() {
            (f64::from(found) - exact).abs() <= ROUNDING * roundings * magnitude
        } else {
            found == exact as f32 || found.is_nan() && exact.is_nan()
        };
        if !agrees {
            return Err(format!("{what}: element ({o}, {i}) is {found:e}, not {exact:e}"));
        }
    }
    Ok(())
}

pub fn check_column_sums() -> Result<(), String> {
    const OUTER: [usize; 3] = [1, 2, 5];
    const REDUCED: [usize; 9] = [0, 1, 3, 8, 31, 33, 129, 300, 1100];
    const INNER: [usize; 9] = [2, 3, 4, 10, 31, 33, 64, 129, 300];
    let factors = [
        ("outer", OUTER.len()),
        ("reduced", REDUCED.len()),
        ("inner", INNER.len()),
        ("terms", TERMS.len()),
        ("offset of x", 2),
        ("offset of y", 2),
    ];
    pairwise(&factors, |run, pick| {
        let axes = Axes { outer: OUTER[pick[0]], reduced: REDUCED[pick[1]], inner: INNER[pick[2]] };
        check_reference(run, axes, TERMS[pick[3]])?;
        check_sums(run, axes, TERMS[pick[3]], [pick[4], pick[5]])
    })
}

pub fn check_row_sums() -> Result<(), String> {
    const ROWS: [usize; 5] = [1, 3, 9, 33, 70];
    const LONGER: [usize; 5] = [0, 2, 10, 1024, 1027];
    let lengths: Vec<usize> = RAGGED.into_iter().chain(LONGER).collect();
    let factors = [
        ("rows", ROWS.len()),
        ("length", lengths.len()),
        ("terms", TERMS.len()),
        ("offset of x", 2),
        ("offset of y", 2),
    ];
    pairwise(&factors, |run, pick| {
        let axes = Axes { outer: ROWS[pick[0]], reduced: lengths[pick[1]], inner: 1 };
        check_sums(run, axes, TERMS[pick[2]], [pick[3], pick[4]])
    })
}

/// Rows that take several parts, and one that takes a block.
pub fn check_long_row_sums() -> Result<(), String> {
    const ROWS: [usize; 2] = [1, 2];
    const LENGTHS: [usize; 4] = [5000, 8193, 20_000, 40_001];
    let factors = [
        ("rows", ROWS.len()),
        ("length", LENGTHS.len()),
        ("terms", TERMS.len()),
        ("offset of x", 2),
        ("offset of y", 2),
    ];
    pairwise(&factors, |run, pick| {
        let axes = Axes { outer: ROWS[pick[0]], reduced: LENGTHS[pick[1]], inner: 1 };
        check_sums(run, axes, TERMS[pick[2]], [pick[3], pick[4]])
    })
}

#[test]
fn column_sums_agree_with_float64() {
    check_column_sums().unwrap();
}

#[test]
fn row_sums_agree_with_float64() {
    check_row_sums().unwrap();
}

#[test]
fn sums_of_long_rows_agree_with_float64() {
    check_long_row_sums().unwrap();
}

#[test]
fn the_bits_of_a_sum_do_not_depend_on_where_it_lies() {
    let result = pairwise(&[], |run, _| {
        for [outer, reduced, inner] in [[1, 1100, 36], [1, 33, 10], [3, 100, 1], [1, 40_000, 1]] {
            let axes = Axes { outer, reduced, inner };
            let x = terms(run, Terms::Ordinary, outer * reduced * inner);
            let aligned = sums(run, axes, &x, [0, 0])?;
            for offset in 1..4 {
                assert_eq!(sums(run, axes, &x, [offset, 0])?, aligned, "{axes:?}, offset {offset}");
            }
        }
        Ok(())
    });
    result.unwrap();
}

/// Added one after the other in float32, 200 000 terms of 0.1 make 20 001.4.
#[test]
fn the_error_of_a_sum_grows_far_slower_than_its_length() {
    let result = pairwise(&[], |run, _| {
        for [reduced, inner] in [[200_000, 1], [100_000, 2]] {
            let axes = Axes { outer: 1, reduced, inner };
            let exact = f64::from(0.1_f32) * reduced as f64;
            for found in sums(run, axes, &vec![0.1; reduced * inner], [0, 0])? {
                assert!((f64::from(found) / exact - 1.0).abs() < 16.0 * ROUNDING, "{axes:?}: {found}");
            }
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn sums_into_nothing_launch_nothing() {
    let result = pairwise(&[], |run, _| {
        for [outer, reduced, inner] in [[0, 3, 1], [0, 3, 4], [3, 3, 0], [0, 0, 0]] {
            assert!(sums(run, Axes { outer, reduced, inner }, &[], [0, 0])?.is_empty());
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn sums_that_do_not_fit_are_refused_with_the_kernel_and_both_sizes() {
    let result = pairwise(&[], |run, _| {
        let x: Buffer<f32> = run.poisoned(6, 0)?;
        let refused = |[outer, reduced, inner]: [usize; 3], results: usize| {
            let axes = Axes { outer, reduced, inner };
            let (mut y, mut workspace) = (run.poisoned(results, 0)?, run.poisoned(0, 0)?);
            let error = run.kernels().sum.run(
                run.stream(),
                axes,
                &x.view(),
                &mut y.view_mut(),
                &mut workspace.view_mut(),
            );
            Ok::<_, String>(error.unwrap_err().to_string())
        };
        assert_eq!(refused([1, 2, 4], 4)?, "kernel sum_columns: x holds 6 elements, and the sizes ask for 8");
        assert_eq!(refused([1, 2, 3], 2)?, "kernel sum_columns: y holds 2 elements, and the sizes ask for 3");
        assert_eq!(
            refused([1, 6, 1], 2)?,
            "kernel sum_long_rows: y holds 2 elements, and the sizes ask for 1"
        );
        assert!(refused([usize::MAX, 2, 3], 2)?.contains("more elements than can be counted"));

        let axes = Axes { outer: 1, reduced: 9000, inner: 1 };
        let (x, mut y, mut workspace): (Buffer<f32>, _, _) =
            (run.poisoned(9000, 0)?, run.poisoned(1, 0)?, run.poisoned(1, 0)?);
        let error = run.kernels().sum.run(
            run.stream(),
            axes,
            &x.view(),
            &mut y.view_mut(),
            &mut workspace.view_mut(),
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "kernel sum_long_rows: the workspace holds 1 elements, and the sums of parts need 2"
        );
        Ok(())
    });
    result.unwrap();
}

/// Sums of integers, which float32 adds exactly in any order, over every set of axes of some shapes.
#[test]
fn sums_over_any_axes_are_those_of_the_cpu() {
    let shapes: [&[usize]; 6] =
        [&[2, 3, 2, 5, 3, 2], &[7], &[1, 4, 1, 3], &[3, 0, 2], &[2, 1, 2, 2, 1, 3], &[40, 33, 9]];
    pairwise(&[("shape", shapes.len()), ("offset", 2)], |run, pick| {
        let (shape, offset) = (Shape::from(shapes[pick[0]]), pick[1]);
        let mut random = run.random();
        let x: Vec<f32> = (0..shape.size()).map(|_| random.below(17) as f32 - 8.0).collect();
        let on_device = run.upload(&x, offset)?;
        for axes in sets_of_axes(&shape) {
            let rule = Reduction::Sum { axes: axes.clone() };
            let mut expected = vec![f32::NAN; rule.shape(&[&shape])?.size()];
            rule.evaluate(&[Tensor { shape: &shape, data: &x }], Draw::default(), &mut expected);
            let mut y = run.poisoned(expected.len(), offset)?;
            let mut workspace = run.poisoned(Sum::workspace_over(&shape, &axes), offset)?;
            let sum = &run.kernels().sum;
            let (x, workspace) = (&on_device.view(), &mut workspace.view_mut());
            sum.run_over(run.stream(), (&shape, &axes), x, &mut y.view_mut(), workspace)
                .map_err(|error| error.to_string())?;
            if run.download(&y)? != expected {
                return Err(format!("the sums of {shape} over {axes:?} are others"));
            }
        }
        Ok(())
    })
    .unwrap();
}
