//! `kernels/gather.cu` against [`Gather::batch`] on the CPU, bit for bit.

use cotangent::data::{Gather, Normalisation, Shifts, Split};
use cotangent::exec::cuda::{BatchOrder, DeviceSplit, StepState};

use super::support::{Run, pairwise};
use crate::support::Random;

/// Heights and widths: of whole vectors of four pixels and of all remainders, of less than a warp's 512 pixels, as many,
/// and more.
const IMAGES: [[usize; 2]; 13] = [
    [28, 28],
    [3, 4],
    [1, 1],
    [1, 2],
    [5, 7],
    [1, 13],
    [9, 2],
    [2, 8],
    [16, 32],
    [27, 19],
    [1031, 1],
    [2, 511],
    [33, 65],
];

/// One batch on the device; `offsets` of split and results past aligned addresses.
#[derive(Clone)]
struct Case {
    split: Split,
    normalisation: Normalisation,
    shifts: Option<Shifts>,
    order: Vec<u32>,
    batch_size: usize,
    rows: usize,
    step: StepState,
    offsets: [usize; 2],
}

impl Case {
    fn on_device(&self, run: &Run) -> Result<(Vec<f32>, Vec<f32>), String> {
        let [split_offset, offset] = self.offsets;
        let bytes = run.upload(&self.split.images, split_offset)?;
        let classes = run.upload(&self.split.labels, split_offset)?;
        let step = run.upload(&[self.step], 0)?;
        let order = run.upload(&self.order, offset)?;
        let mut images = run.poisoned::<f32>(self.rows * self.split.pixels(), offset)?;
        let mut labels = run.poisoned::<f32>(self.rows, offset)?;
        let split = DeviceSplit {
            images: bytes.view(),
            labels: classes.view(),
            rows: self.split.rows,
            columns: self.split.columns,
        };
        let which = BatchOrder { step: step.view(), order: order.view(), batch_size: self.batch_size };
        let how = (self.normalisation, self.shifts);
        run.kernels()
            .gather
            .batch(run.stream(), &split, how, &which, &mut images.view_mut(), &mut labels.view_mut())
            .map_err(|error| error.to_string())?;
        Ok((run.download(&images)?, run.download(&labels)?))
    }

    /// NaN for the rows whose image does not exist.
    fn on_cpu(&self) -> (Vec<f32>, Vec<f32>) {
        let gather = Gather::new(&self.split, self.normalisation, self.shifts);
        let pixels = self.split.pixels();
        let mut images = vec![f32::NAN; self.rows * pixels];
        let mut labels = vec![f32::NAN; self.rows];
        let step = self.step.number - 1;
        let first = (step - self.step.epoch_start) as usize * self.batch_size;
        for (row, image) in images.chunks_exact_mut(pixels).enumerate() {
            let index = self.order.get(first + row).copied().unwrap_or(u32::MAX);
            if (index as usize) < self.split.len() {
                gather.image(step, row, index, image);
                labels[row] = gather.label(index);
            }
        }
        (images, labels)
    }

    fn agrees(&self, run: &Run) -> Result<(), String> {
        let (found, expected) = (self.on_device(run)?, self.on_cpu());
        let parts = [("images", found.0, expected.0), ("labels", found.1, expected.1)];
        for (what, found, expected) in parts {
            let same = |i: &usize| found[*i] == expected[*i] || (found[*i].is_nan() && expected[*i].is_nan());
            if let Some(i) = (0..expected.len()).find(|i| !same(i)) {
                let Self { split, shifts, batch_size, rows, step, offsets, .. } = self;
                return Err(format!(
                    "{} x {} pixels, {shifts:?}, {rows} of {batch_size} images, {step:?}, {offsets:?}: \
                     {what}[{i}] is {}, not {}",
                    split.rows, split.columns, found[i], expected[i]
                ));
            }
        }
        Ok(())
    }
}

/// A split of random bytes.
fn split(random: &mut Random, count: usize, [rows, columns]: [usize; 2]) -> Split {
    let mut bytes = |count: usize, bound: usize| (0..count).map(|_| random.below(bound) as u8).collect();
    Split { images: bytes(count * rows * columns, 256), labels: bytes(count, 256), rows, columns }
}

pub fn check_batches_are_those_of_the_cpu() -> Result<(), String> {
    // Updates before the epoch, batches before this one, and all images of the epoch in order.
    const STEPS: [[u64; 2]; 5] = [[0, 0], [0, 1], [469, 2], [u32::MAX as u64, 1], [1 << 33, 2]];
    const BATCHES: [usize; 5] = [1, 3, 8, 33, 65];
    const SHIFTS: [Option<u16>; 6] = [None, Some(0), Some(1), Some(3), Some(30), Some(u16::MAX)];
    let factors = [
        ("images", IMAGES.len()),
        ("step", STEPS.len()),
        ("batch", BATCHES.len()),
        ("last batch", 2),
        ("shifts", SHIFTS.len()),
        ("offset of the split", 4),
        ("offset of the batch", 4),
        ("seed", 2),
    ];
    pairwise(&factors, |run, pick| {
        let mut random = run.random();
        let [epoch_start, batches] = STEPS[pick[1]];
        let batch_size = BATCHES[pick[2]];
        let rows = if pick[3] == 0 { batch_size } else { batch_size.div_ceil(3) };
        let count = 11;
        let order = (0..batches as usize * batch_size + rows).map(|_| random.below(count) as u32).collect();
        let seed = [5, u64::MAX - 2][pick[7]];
        let case = Case {
            split: split(&mut random, count, IMAGES[pick[0]]),
            normalisation: Normalisation { mean: 0.1307, std: 0.3081 },
            shifts: SHIFTS[pick[4]].map(|pixels| Shifts::new(seed, pixels)),
            order,
            batch_size,
            rows,
            step: StepState { number: epoch_start + batches + 1, epoch_start, ..StepState::new(0) },
            offsets: [pick[5], pick[6]],
        };
        case.agrees(run)
    })
}

/// The first and the last image of a split of two: words at its ends, of which some bytes are others' memory.
pub fn check_the_ends_of_a_split() -> Result<(), String> {
    let factors =
        [("images", IMAGES.len()), ("shifts", 3), ("offset of the split", 4), ("offset of the batch", 4)];
    pairwise(&factors, |run, pick| {
        let case = Case {
            split: split(&mut run.random(), 2, IMAGES[pick[0]]),
            normalisation: Normalisation { mean: 0.0, std: 1.0 },
            shifts: [None, Some(1), Some(5)][pick[1]].map(|pixels| Shifts::new(run.seed, pixels)),
            order: vec![0, 1, 1, 0, 0, 1],
            batch_size: 6,
            rows: 6,
            step: StepState { number: 1, ..StepState::new(0) },
            offsets: [pick[2], pick[3]],
        };
        case.agrees(run)
    })
}

#[test]
fn words_at_the_ends_of_a_split_are_cut() {
    check_the_ends_of_a_split().unwrap();
}

#[test]
fn batches_are_those_of_the_cpu_to_the_last_bit() {
    check_batches_are_those_of_the_cpu().unwrap();
}

/// Indices past the split, and positions past the order: what the buffers' guards would report is not
/// read, and the rest of the batch is as it should be.
pub fn check_images_that_do_not_exist_are_nan() -> Result<(), String> {
    let factors = [("images", IMAGES.len()), ("shifts", 2), ("offset", 2)];
    pairwise(&factors, |run, pick| {
        let mut random = run.random();
        let count = 7;
        let case = Case {
            split: split(&mut random, count, IMAGES[pick[0]]),
            normalisation: Normalisation { mean: 0.25, std: 0.5 },
            shifts: [None, Some(Shifts::new(1, 1))][pick[1]],
            order: vec![0, 6, 7, 3, u32::MAX, 1 << 31, 2, 8, 5, 4],
            batch_size: 8,
            rows: 8,
            step: StepState { number: 20, epoch_start: 19, ..StepState::new(0) },
            offsets: [pick[2], pick[2]],
        };
        case.agrees(run)?;
        // The second batch has two images left; the third none; the one of a wild state none.
        for number in [21, 22, u64::MAX] {
            Case { step: StepState { number, ..case.step }, ..case.clone() }.agrees(run)?;
        }
        Ok(())
    })
}

#[test]
fn images_that_do_not_exist_are_nan() {
    check_images_that_do_not_exist_are_nan().unwrap();
}

#[test]
fn no_images_are_no_launch_and_sizes_that_disagree_are_refused() {
    let check = pairwise(&[], |run, _| {
        let good = Case {
            split: split(&mut run.random(), 4, [2, 3]),
            normalisation: Normalisation { mean: 0.0, std: 1.0 },
            shifts: None,
            order: vec![1, 2],
            batch_size: 2,
            rows: 2,
            step: StepState { number: 1, ..StepState::new(0) },
            offsets: [0, 0],
        };
        good.agrees(run)?;
        assert_eq!(Case { rows: 0, ..good.clone() }.on_device(run)?, (vec![], vec![]));
        let refused = |case: Case, problem: &str| {
            let expected = Err(format!("kernel gather_batch: {problem}"));
            assert_eq!(case.on_device(run), expected);
        };
        let mut case = good.clone();
        case.split.images.pop();
        refused(case, "the split's images holds 23 elements, and the sizes ask for 24");
        let mut case = good.clone();
        case.split.columns = 0;
        refused(case, "an image of 2 x 0 has no pixels");
        let case = Case { batch_size: 1 << 31, ..good.clone() };
        let problem =
            "the size of a batch is 2147483648, more than a 32-bit integer holds; cut the work into parts";
        refused(case, problem);
        let nothing = Split { images: vec![], labels: vec![], rows: 1 << 15, columns: 1 << 15 };
        let case = Case { split: nothing, rows: 0, ..good };
        refused(case, "an image of 32768 x 32768: 536870912 pixels are the most");
        Ok(())
    });
    check.unwrap();
}
