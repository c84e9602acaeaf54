//! Softmax cross-entropy with its gradient, softmax and one-hot, against the CPU's code in float64.

use cotangent::exec::cuda::{CudaError, Logits, LongRows, MOST_CLASSES_READ_ONCE, SoftmaxCrossEntropy};
use cotangent::graph::Shape;
use cotangent::ops::{Classification, Draw, Rule, Tensor, cross_entropy_with_gradient};
use cudarc::driver::{CudaStream, CudaView, CudaViewMut};

use super::support::{Buffer, Run, pairwise};
use crate::support::Random;

/// Around the sizes of every kernel.
const CLASSES: [usize; 24] = [
    1,
    2,
    3,
    4,
    10,
    29,
    31,
    32,
    33,
    100,
    127,
    128,
    129,
    300,
    512,
    1000,
    1022,
    1024,
    1025,
    3000,
    4097,
    16_385,
    MOST_CLASSES_READ_ONCE,
    33_001,
];

/// One row, and around the numbers of rows of a block (16 and 4).
const ROWS: [usize; 5] = [1, 2, 5, 15, 17];

/// How many elements there are in a matrix at most, for the emulator's sake.
const MOST_ELEMENTS: usize = 70_000;

#[derive(Clone, Copy, Debug)]
enum Values {
    Ordinary,
    /// Thousands, of either sign: exp of them overflows.
    Large,
    /// ±1e30.
    Huge,
    /// 1e38 and -1e38.
    Largest,
    /// Most are -inf, as where classes are masked, but not all of a row.
    Masked,
    Equal,
    /// In the second row one is NaN.
    NotANumber,
    /// In the second row one is +inf, in the third row all are -inf.
    Infinite,
}

const VALUES: [Values; 8] = [
    Values::Ordinary,
    Values::Large,
    Values::Huge,
    Values::Largest,
    Values::Masked,
    Values::Equal,
    Values::NotANumber,
    Values::Infinite,
];

#[derive(Clone, Copy, Debug)]
enum Labels {
    First,
    Last,
    Random,
    /// Every other one is no class number.
    Invalid,
}

const LABELS: [Labels; 4] = [Labels::First, Labels::Last, Labels::Random, Labels::Invalid];

const SCALES: [f32; 2] = [1.0, 1.0 / 128.0];

/// The half of the distance from 1 to the next float32.
const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;
/// The smallest float32, to which results near zero are rounded.
const SMALLEST: f64 = 1.401_298_464_324_817e-45;

fn logits(random: &mut Random, values: Values, [rows, classes]: [usize; 2]) -> Vec<f32> {
    let mut z: Vec<f32> = (0..rows * classes)
        .map(|_| match values {
            Values::Large => random.between(-3000.0, 3000.0) as f32,
            Values::Huge => random.pick(&[1e30, -1e30]),
            Values::Largest => random.pick(&[1e38, -1e38]),
            Values::Masked if random.below(20) > 0 => f32::NEG_INFINITY,
            Values::Masked => random.pick(&[1.0, -2.5]),
            Values::Equal => -7.25,
            Values::Ordinary | Values::NotANumber | Values::Infinite => random.between(-8.0, 8.0) as f32,
        })
        .collect();
    for (r, row) in z.chunks_exact_mut(classes).enumerate() {
        match values {
            Values::Masked => row[random.below(classes)] = 0.5,
            Values::NotANumber if r == 1 => row[random.below(classes)] = f32::NAN,
            Values::Infinite if r == 1 => row[random.below(classes)] = f32::INFINITY,
            Values::Infinite if r == 2 => row.fill(f32::NEG_INFINITY),
            _ => {}
        }
    }
    z
}

fn labels(random: &mut Random, labels: Labels, [rows, classes]: [usize; 2]) -> Vec<f32> {
    let invalid =
        [-1.0, classes as f32, 0.5, -0.5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.147_483_6e9, 1e30];
    let label = |r: usize| match labels {
        Labels::First => 0.0,
        Labels::Last => (classes - 1) as f32,
        Labels::Invalid if r.is_multiple_of(2) => random.pick(&invalid),
        Labels::Random | Labels::Invalid => random.below(classes) as f32,
    };
    (0..rows).map(label).collect()
}

/// What is expected of a row, and how far from it float32 may be.
struct Expected {
    loss: f64,
    loss_error: f64,
    gradient: Vec<f64>,
    gradient_error: Vec<f64>,
}

impl Expected {
    /// With u the error of one rounding and d = z - max: exp(d) has the relative error (|d| + 4) u, of the
    /// rounding of d and of exp's own two units in the last place; their sum the mean of these errors, and u
    /// for each of the additions that a term passes at most; the quotient, the product and the logarithm a few u more.
    fn of(row: &[f32], label: f32, scale: f32, additions: usize) -> Self {
        let wide: Vec<f64> = row.iter().map(|&z| z.into()).collect();
        let mut gradient = vec![0.0; row.len()];
        let loss = cross_entropy_with_gradient(&wide, label.into(), scale.into(), &mut gradient);
        let max = wide.iter().fold(f64::NEG_INFINITY, |max, &z| max.max(z));
        let sum: f64 = wide.iter().map(|&z| (z - max).exp()).sum();
        let share = |z: f64| (z - max).exp() / sum;
        let reach = |z: f64| if share(z) > 0.0 { (z - max).abs() } else { 0.0 };
        let mean_reach: f64 = wide.iter().map(|&z| share(z) * reach(z)).sum();
        let sum_error = mean_reach + (additions + 10) as f64;
        let gradient_error = wide
            .iter()
            .enumerate()
            .map(|(class, &z)| {
                let indicator = if label as usize == class { 2.0 } else { 0.0 };
                let relative = share(z) * (reach(z) + sum_error) + indicator;
                f64::from(scale) * relative * ROUNDING + 4.0 * SMALLEST
            })
            .collect();
        let loss_error = (sum_error + 4.0 * sum.ln().abs() + 2.0 * (loss - sum.ln()).abs()) * ROUNDING;
        Self { loss, loss_error, gradient, gradient_error }
    }
}

/// Whether a float32 result is so near the exact one; NaN must be NaN, and what overflows infinite.
fn is_close(found: f32, exact: f64, error: f64) -> bool {
    if exact.is_nan() {
        return found.is_nan();
    }
    let nearest = exact as f32;
    found == nearest || (f64::from(found) - exact).abs() <= error
}

/// The number of rows so that the matrix is not too large, and the matrix's extents.
fn extents(rows: usize, classes: usize) -> [usize; 2] {
    [rows.min((MOST_ELEMENTS / classes).max(1)), classes]
}

/// The most additions that a term of a row's sum passes in the kernels that are chosen.
const ADDITIONS: usize = 50;

/// [`SoftmaxCrossEntropy::cross_entropy`], or the reference.
type Compute = for<'a> fn(
    &SoftmaxCrossEntropy,
    &CudaStream,
    Logits<'a>,
    &CudaView<'a, f32>,
    f32,
    &mut CudaViewMut<'a, f32>,
    Option<&mut CudaViewMut<'a, f32>>,
) -> Result<(), CudaError>;

/// Losses and gradients (none if not asked for), row by row.
fn compare(expected: &[Expected], labels: &[f32], loss: &[f32], gradient: &[f32]) -> Result<(), String> {
    let classes = expected.first().map_or(0, |row| row.gradient.len());
    for (r, row) in expected.iter().enumerate() {
        let label = labels[r];
        if !is_close(loss[r], row.loss, row.loss_error) {
            return Err(format!("loss {r} is {:e}, not {:e}, label {label}", loss[r], row.loss));
        }
        for (class, &found) in gradient.iter().skip(r * classes).take(classes).enumerate() {
            let (exact, error) = (row.gradient[class], row.gradient_error[class]);
            if !is_close(found, exact, error) {
                return Err(format!("gradient ({r}, {class}) is {found:e}, not {exact:e}, label {label}"));
            }
        }
    }
    Ok(())
}

pub fn check_cross_entropy() -> Result<(), String> {
    let factors = [
        ("classes", CLASSES.len()),
        ("rows", ROWS.len()),
        ("logits", VALUES.len()),
        ("labels", LABELS.len()),
        ("scale", SCALES.len()),
        ("gradient", 2),
        ("offset of logits", 2),
        ("offset of gradient", 2),
    ];
    pairwise(&factors, |run, pick| {
        let extents = extents(ROWS[pick[1]], CLASSES[pick[0]]);
        let [rows, classes] = extents;
        let (values, kind, scale) = (VALUES[pick[2]], LABELS[pick[3]], SCALES[pick[4]]);
        let what = format!(
            "{extents:?} {values:?} logits, {kind:?} labels, scale {scale}, offsets {:?}",
            &pick[6..]
        );
        let mut random = run.random();
        let z = logits(&mut random, values, extents);
        let y = labels(&mut random, kind, extents);
        let z_on_device = run.upload(&z, pick[6])?;
        let y_on_device = run.upload(&y, 0)?;
        let wants_gradient = pick[5] == 0;
        let kernels = &run.kernels().softmax_cross_entropy;
        for by in ["the chosen kernel", "the reference"] {
            let (compute, additions): (Compute, usize) = match by {
                "the reference" => (SoftmaxCrossEntropy::reference, classes),
                _ => (SoftmaxCrossEntropy::cross_entropy, ADDITIONS),
            };
            let mut loss = run.poisoned(rows, 1)?;
            let mut gradient = run.poisoned(if wants_gradient { rows * classes } else { 0 }, pick[7])?;
            let logits = Logits { view: &z_on_device.view(), rows, classes };
            compute(
                kernels,
                run.stream(),
                logits,
                &y_on_device.view(),
                scale,
                &mut loss.view_mut(),
                wants_gradient.then_some(&mut gradient.view_mut()),
            )
            .map_err(|error| format!("{what}: {error}"))?;
            let (loss, gradient) = (run.download(&loss)?, run.download(&gradient)?);
            let rows = z.chunks_exact(classes).zip(&y);
            let expected: Vec<Expected> =
                rows.map(|(row, &label)| Expected::of(row, label, scale, additions)).collect();
            compare(&expected, &y, &loss, &gradient)
                .map_err(|problem| format!("{what} by {by}: {problem}"))?;
        }
        Ok(())
    })
}

/// Every way to work on long rows, where it is the chosen one and where it is not: around the classes that registers
/// hold, and the most that each holds on some device.
pub fn check_long_rows() -> Result<(), String> {
    const CLASSES: [usize; 9] = [1, 4099, 32_765, 32_769, 40_961, 50_257, 73_728, 73_729, 90_112];
    let factors = [
        ("way", LongRows::ALL.len()),
        ("classes", CLASSES.len()),
        ("rows", 3),
        ("logits", VALUES.len()),
        ("labels", LABELS.len()),
        ("gradient", 2),
        ("offset of logits", 2),
        ("offset of gradient", 2),
    ];
    pairwise(&factors, |run, pick| {
        let extents = [[1, 2, 3][pick[2]], CLASSES[pick[1]]];
        let (values, kind) = (VALUES[pick[3]], LABELS[pick[4]]);
        by(run, LongRows::ALL[pick[0]], extents, (values, kind), pick[5] == 0, [pick[6], pick[7]])
    })
}

/// Rows by a way, which refuses exactly those that the device does not hold.
fn by(
    run: &Run,
    way: LongRows,
    extents: [usize; 2],
    (values, kind): (Values, Labels),
    wants_gradient: bool,
    offsets: [usize; 2],
) -> Result<(), String> {
    /// Of a thread's terms in a sum, and what follows.
    const ADDITIONS: usize = 250;
    /// The least that a device with enough shared memory for this holds in one block.
    const SHARED_AT_LEAST: usize = 57_344;
    let [rows, classes] = extents;
    let what = format!("{way:?}: {extents:?} {values:?} logits, {kind:?} labels, offsets {offsets:?}");
    let mut random = run.random();
    let z = logits(&mut random, values, extents);
    let y = labels(&mut random, kind, extents);
    let (z_on_device, y_on_device) = (run.upload(&z, offsets[0])?, run.upload(&y, 0)?);
    let mut loss = run.poisoned(rows, 1)?;
    let mut gradient = run.poisoned(if wants_gradient { rows * classes } else { 0 }, offsets[1])?;
    let done = run.kernels().softmax_cross_entropy.cross_entropy_by(
        way,
        run.stream(),
        Logits { view: &z_on_device.view(), rows, classes },
        (&y_on_device.view(), 0.25),
        &mut loss.view_mut(),
        wants_gradient.then_some(&mut gradient.view_mut()),
    );
    if let Err(error) = done {
        let problem = error.to_string();
        let is_old = run.gpu.device.capability() < way.since();
        let is_long = way == LongRows::Shared && classes > SHARED_AT_LEAST;
        let refused = (is_old && problem.contains("it needs compute capability"))
            || (is_long && problem.contains("and this device holds"));
        return if refused { Ok(()) } else { Err(format!("{what}: {problem}")) };
    }
    let (loss, gradient) = (run.download(&loss)?, run.download(&gradient)?);
    let expected = z.chunks_exact(classes).zip(&y);
    let expected: Vec<Expected> =
        expected.map(|(row, &label)| Expected::of(row, label, 0.25, ADDITIONS)).collect();
    compare(&expected, &y, &loss, &gradient).map_err(|problem| format!("{what}: {problem}"))
}

pub fn check_softmax() -> Result<(), String> {
    let factors = [
        ("classes", CLASSES.len()),
        ("rows", ROWS.len()),
        ("logits", VALUES.len()),
        ("offset of logits", 2),
        ("offset of y", 2),
    ];
    pairwise(&factors, |run, pick| {
        let extents = extents(ROWS[pick[1]], CLASSES[pick[0]]);
        let [rows, classes] = extents;
        let values = VALUES[pick[2]];
        let what = format!("softmax of {extents:?} {values:?} logits, offsets {:?}", &pick[3..]);
        let z = logits(&mut run.random(), values, extents);
        let z_on_device = run.upload(&z, pick[3])?;
        let mut y = run.poisoned(rows * classes, pick[4])?;
        run.kernels()
            .softmax_cross_entropy
            .softmax(run.stream(), Logits { view: &z_on_device.view(), rows, classes }, &mut y.view_mut())
            .map_err(|error| format!("{what}: {error}"))?;

        let wide: Vec<f64> = z.iter().map(|&z| z.into()).collect();
        let mut exact = vec![0.0; wide.len()];
        let tensor = Tensor { shape: &Shape::from(extents), data: &wide[..] };
        Classification::Softmax.evaluate(&[tensor], Draw::default(), &mut exact);
        for (i, &found) in run.download(&y)?.iter().enumerate() {
            let row = i / classes * classes..(i / classes + 1) * classes;
            if i == row.start && exact[i].is_finite() {
                let sum: f64 = exact[row.clone()].iter().sum();
                assert!((sum - 1.0).abs() < 1e-12, "the oracle's rows sum to one");
            }
            // As in `Expected`; no share greater than 1e-50 has its logit more than 120 below the maximum.
            if !is_close(found, exact[i], exact[i] * 300.0 * ROUNDING + 4.0 * SMALLEST) {
                return Err(format!("{what}: element {i} is {found:e}, not {:e}", exact[i]));
            }
        }
        Ok(())
    })
}

pub fn check_one_hot() -> Result<(), String> {
    const CLASSES: [usize; 8] = [1, 2, 3, 4, 10, 33, 128, 1025];
    const ROWS: [usize; 5] = [1, 2, 5, 33, 129];
    let factors =
        [("classes", CLASSES.len()), ("rows", ROWS.len()), ("labels", LABELS.len()), ("offset of y", 2)];
    pairwise(&factors, |run, pick| {
        let extents = [ROWS[pick[1]], CLASSES[pick[0]]];
        let kind = LABELS[pick[2]];
        let what = format!("one-hot, {extents:?}, {kind:?} labels, offset {}", pick[3]);
        let y = labels(&mut run.random(), kind, extents);
        let y_on_device = run.upload(&y, 0)?;
        let mut found = run.poisoned(extents[0] * extents[1], pick[3])?;
        run.kernels()
            .softmax_cross_entropy
            .one_hot(run.stream(), &y_on_device.view(), extents[1], &mut found.view_mut())
            .map_err(|error| format!("{what}: {error}"))?;

        let mut exact = vec![0.0; extents[0] * extents[1]];
        let tensor = Tensor { shape: &Shape::from([extents[0]]), data: &y[..] };
        Classification::OneHot { classes: extents[1] }.evaluate(&[tensor], Draw::default(), &mut exact);
        for (i, &found) in run.download(&found)?.iter().enumerate() {
            if !is_close(found, exact[i].into(), 0.0) {
                let label = y[i / extents[1]];
                return Err(format!("{what}: element {i} is {found}, not {}, label {label}", exact[i]));
            }
        }
        Ok(())
    })
}

#[test]
fn cross_entropy_and_its_gradient_agree_with_float64() {
    check_cross_entropy().unwrap();
}

#[test]
fn long_rows_agree_with_float64_in_every_way() {
    check_long_rows().unwrap();
}

/// Clusters of four and of eight blocks, and what no cluster holds.
#[test]
fn rows_of_large_vocabularies_are_held_by_larger_clusters() {
    let result = pairwise(&[], |run, _| {
        let of = (Values::Ordinary, Labels::Last);
        for classes in [90_113, 128_256, 180_225, 256_000] {
            by(run, LongRows::Cluster, [1, classes], of, true, [0, 0])?;
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_way_that_does_not_hold_the_row_is_refused_with_the_kernel_and_the_reason() {
    let result = pairwise(&[], |run, _| {
        if super::support::on_real_card() {
            return Ok(()); // whose limits are others
        }
        let classes = 400_000;
        let (z, y) = (run.poisoned(classes, 0)?, run.upload(&[0.0_f32], 0)?);
        let mut loss = run.poisoned(1, 0)?;
        let mut refusal = |way| {
            let kernels = &run.kernels().softmax_cross_entropy;
            let logits = Logits { view: &z.view(), rows: 1, classes };
            let done = kernels.cross_entropy_by(
                way,
                run.stream(),
                logits,
                (&y.view(), 1.0),
                &mut loss.view_mut(),
                None,
            );
            done.err().map(|error| error.to_string())
        };
        let held = |way: LongRows, most| {
            let problem = format!("a row of 400000 classes, and this device holds {most}");
            Some(format!("kernel cross_entropy_{}: {problem}", way.name()))
        };
        let old = |way: LongRows| {
            let problem = format!("it needs compute capability {}", way.since());
            Some(format!("kernel cross_entropy_{}: {problem}", way.name()))
        };
        let (cluster, shared) = (refusal(LongRows::Cluster), refusal(LongRows::Shared));
        let expected = match run.gpu.device.capability().number() {
            75 => (old(LongRows::Cluster), old(LongRows::Shared)),
            80 => (old(LongRows::Cluster), held(LongRows::Shared, 73_728)),
            _ => (held(LongRows::Cluster, 360_448), held(LongRows::Shared, 90_112)),
        };
        assert_eq!((cluster, shared), expected);
        assert_eq!(refusal(LongRows::Online), None);
        run.download(&loss).map(drop)
    });
    result.unwrap();
}

#[test]
fn softmax_agrees_with_float64() {
    check_softmax().unwrap();
}

#[test]
fn one_hot_agrees_with_the_cpu() {
    check_one_hot().unwrap();
}

fn gradient(run: &Run, z: &[f32], classes: usize, offset: usize) -> Result<[Vec<f32>; 2], String> {
    let rows = z.len() / classes;
    let y = run.upload(&vec![0.0_f32; rows], 0)?;
    let z = run.upload(z, offset)?;
    let (mut loss, mut gradient) = (run.poisoned(rows, 0)?, run.poisoned(rows * classes, offset)?);
    let logits = Logits { view: &z.view(), rows, classes };
    run.kernels()
        .softmax_cross_entropy
        .cross_entropy(
            run.stream(),
            logits,
            &y.view(),
            1.0,
            &mut loss.view_mut(),
            Some(&mut gradient.view_mut()),
        )
        .map_err(|error| error.to_string())?;
    Ok([run.download(&loss)?, run.download(&gradient)?])
}

#[test]
fn the_bits_of_a_loss_do_not_depend_on_where_the_logits_lie() {
    let result = pairwise(&[], |run, _| {
        for (rows, classes) in [(5, 10), (5, 127), (3, 1001), (2, 4999), (2, 40_001)] {
            let z = logits(&mut run.random(), Values::Ordinary, [rows, classes]);
            let aligned = gradient(run, &z, classes, 0)?;
            for offset in 1..4 {
                assert_eq!(
                    gradient(run, &z, classes, offset)?,
                    aligned,
                    "{classes} classes, offset {offset}"
                );
            }
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn cross_entropy_of_no_rows_launches_nothing() {
    let result = pairwise(&[], |run, _| {
        assert_eq!(gradient(run, &[], 3, 0)?, [Vec::<f32>::new(), Vec::new()]);
        let (labels, mut y): (Buffer<f32>, _) = (run.upload(&[], 0)?, run.poisoned(0, 0)?);
        let kernels = &run.kernels().softmax_cross_entropy;
        let one_hot = kernels.one_hot(run.stream(), &labels.view(), 3, &mut y.view_mut());
        one_hot.map_err(|error| error.to_string())?;
        let logits = Logits { view: &labels.view(), rows: 0, classes: 3 };
        kernels.softmax(run.stream(), logits, &mut y.view_mut()).map_err(|error| error.to_string())?;
        run.download(&y).map(drop)
    });
    result.unwrap();
}

#[test]
fn logits_that_do_not_fit_are_refused_with_the_kernel_and_both_sizes() {
    let result = pairwise(&[], |run, _| {
        let (kernels, stream) = (&run.kernels().softmax_cross_entropy, run.stream());
        let z: Buffer<f32> = run.poisoned(6, 0)?;
        let view = z.view();
        let refused = |rows: usize, classes: usize, lengths: [usize; 3]| {
            let labels: Buffer<f32> = run.poisoned(lengths[0], 0)?;
            let (mut loss, mut gradient) = (run.poisoned(lengths[1], 0)?, run.poisoned(lengths[2], 0)?);
            let logits = Logits { view: &view, rows, classes };
            let result = kernels.cross_entropy(
                stream,
                logits,
                &labels.view(),
                1.0,
                &mut loss.view_mut(),
                Some(&mut gradient.view_mut()),
            );
            Ok::<_, String>(result.unwrap_err().to_string())
        };
        let refusal = |what| format!("kernel cross_entropy_32: {what}");
        assert_eq!(refused(2, 3, [1, 2, 6])?, refusal("labels holds 1 elements, and the sizes ask for 2"));
        assert_eq!(refused(2, 3, [2, 3, 6])?, refusal("loss holds 3 elements, and the sizes ask for 2"));
        assert_eq!(refused(2, 3, [2, 2, 5])?, refusal("gradient holds 5 elements, and the sizes ask for 6"));
        assert_eq!(refused(2, 4, [2, 2, 8])?, refusal("logits holds 6 elements, and the sizes ask for 8"));
        assert!(refused(2, 0, [2, 2, 0])?.contains("0 classes are not between 1 and"));
        assert!(refused(1, 1 << 40, [1, 1, 0])?.contains("1099511627776 classes are not between 1 and"));
        assert!(refused(2, usize::MAX, [2, 2, 0])?.contains("more elements than can be counted"));

        let mut y = run.poisoned(6, 0)?;
        let error = kernels.one_hot(stream, &view, 2, &mut y.view_mut()).unwrap_err().to_string();
        assert_eq!(error, "kernel one_hot: y holds 6 elements, and the sizes ask for 12");
        let error = kernels.one_hot(stream, &view, 0, &mut y.view_mut()).unwrap_err().to_string();
        assert_eq!(error, "kernel one_hot: there must be at least one class");
        Ok(())
    });
    result.unwrap();
}
