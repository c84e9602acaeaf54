//! What is timed: of each kernel its operands, its work, its launch; and the list of all.

mod ceilings;
mod elementwise;
mod moves;
mod products;
mod sums;
mod updates;

use cotangent::exec::cuda::{Capability, LongRows, Tuning};
use cotangent::ops::{Binary, Unary};
use half::bf16;

pub use ceilings::ceilings;

use crate::lab::{Lab, Outcome};
use crate::report::{Title, Work};
use crate::rotation::Launch;
use crate::training::{self, Setting};

/// The default network: its batch, its widths and the number of its parameters.
pub const BATCH: usize = 128;
pub const WIDTHS: [usize; 4] = [784, 512, 256, 10];
pub const PARAMETERS: usize = 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10;

/// The widest layer's activations, and what is far larger than any cache.
const SMALL: usize = BATCH * 512;
const LARGE: usize = 1 << 26;

/// One thing that is timed, in one or two states of the cache.
pub struct Case {
    pub title: Title,
    pub work: Work,
    /// The bytes that one launch touches.
    pub footprint: u64,
    /// The least compute capability.
    pub since: Capability,
    pub how: How,
}

/// Makes this number of sets of operands, and what launches on one of them.
type Prepare = Box<dyn Fn(&Lab, usize) -> Outcome<Launch>>;

/// How to do what is timed.
pub enum How {
    /// A launch.
    Launches(Prepare),
    /// Epochs.
    Training(Setting),
}

impl Case {
    /// A kernel of float32 numbers that touches no byte twice.
    fn new(
        kernel: impl Into<String>,
        shape: impl Into<String>,
        work: Work,
        prepare: impl Fn(&Lab, usize) -> Outcome<Launch> + 'static,
    ) -> Self {
        let (kernel, shape) = (kernel.into(), shape.into());
        let name = format!("{kernel}/{shape}");
        Self {
            title: Title { name, kernel, shape, precision: "f32", variant: None },
            work,
            footprint: work.bytes,
            since: Capability::OLDEST,
            how: How::Launches(Box::new(prepare)),
        }
    }

    fn training(setting: Setting) -> Self {
        let work = training::work(&setting);
        let since = Capability::OLDEST;
        Self { title: setting.title(), work, footprint: work.bytes, since, how: How::Training(setting) }
    }
}

/// How large operands are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// As large as the name says.
    Full,
    /// For a rehearsal: a moment's work for an emulated device. Extents are odd, as no kernel likes them.
    Tiny,
}

impl Scale {
    /// A number of elements.
    fn length(self, length: usize) -> usize {
        self.at_most(1037, length)
    }

    /// One of several extents.
    fn extent(self, extent: usize) -> usize {
        self.at_most(37, extent)
    }

    fn matrix(self, [rows, columns]: [usize; 2]) -> [usize; 2] {
        [self.extent(rows), self.extent(columns)]
    }

    fn at_most(self, tiny: usize, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Tiny => tiny.min(full),
        }
    }
}

/// All but the ceilings, what a reader wants to know first before the rest. The tuning names the variants.
pub fn all(scale: Scale, tuning: &Tuning) -> Vec<Case> {
    let mut cases: Vec<Case> = Setting::all(scale).into_iter().map(Case::training).collect();
    cases.extend(of_products(scale, tuning));
    for rule in training::rules() {
        cases.extend([PARAMETERS, 100_000_000].map(|n| updates::update(scale, rule, n)));
    }
    cases.extend(of_the_loss(scale));
    cases.extend(of_elements(scale));
    cases.extend(of_sums(scale));
    cases.extend(of_batches(scale));
    cases
}

fn of_products(scale: Scale, tuning: &Tuning) -> Vec<Case> {
    const SQUARES: [usize; 4] = [1024, 2048, 4096, 8192];
    let layers = || WIDTHS.windows(2).flat_map(|widths| products::Layer::ALL.map(|part| (part, widths)));
    let mut cases = Vec::new();
    cases.extend(layers().map(|(part, widths)| products::layer::<f32>((scale, tuning), part, BATCH, widths)));
    cases.extend(SQUARES.map(|n| products::square::<f32>((scale, tuning), n)));
    cases
        .extend(layers().map(|(part, widths)| products::layer::<bf16>((scale, tuning), part, BATCH, widths)));
    cases.extend(SQUARES.map(|n| products::square::<bf16>((scale, tuning), n)));
    cases
}

fn of_the_loss(scale: Scale) -> Vec<Case> {
    let sizes = [[BATCH, 10], [BATCH, 1000], [8192, 1024], [8192, 32_000], [8192, 50_257]];
    let mut cases = Vec::from(sizes.map(|size| sums::cross_entropy(scale, size, None)));
    cases.extend(LongRows::ALL.map(|way| sums::cross_entropy(scale, [8192, 50_257], Some(way))));
    cases.extend([[BATCH, 10], [8192, 1024]].map(|size| sums::softmax(scale, size)));
    cases.extend([[BATCH, 10], [8192, 1024]].map(|size| moves::one_hot(scale, size)));
    cases
}

fn of_elements(scale: Scale) -> Vec<Case> {
    let mut cases = Vec::new();
    for operation in [Unary::Relu, Unary::Exp, Unary::Tanh] {
        cases.extend([SMALL, LARGE].map(|n| elementwise::unary(scale, operation, n)));
    }
    for operation in [Binary::Add, Binary::Mul] {
        cases.extend([SMALL, LARGE].map(|n| elementwise::binary(scale, operation, n)));
    }
    cases.extend([[BATCH, 512], [8192, 8192]].map(|size| elementwise::add_per_column(scale, size)));
    cases.extend([SMALL, LARGE].map(|n| elementwise::relu_backward(scale, n)));
    cases.extend([SMALL, LARGE].map(|n| elementwise::program(scale, n)));
    cases.extend([SMALL, LARGE].map(|n| moves::fill(scale, n)));
    // The last two: extents that end within a tile, and that are no multiples of four.
    let transposes = [[BATCH, 512], [8192, 8192], [60_000, 784], [8191, 8193]];
    cases.extend(transposes.map(|size| moves::transpose(scale, size)));
    cases.extend([PARAMETERS, LARGE].map(|n| moves::f32_to_bf16(scale, n)));
    cases.extend([PARAMETERS, LARGE].map(|n| moves::bf16_to_f32(scale, n)));
    cases
}

fn of_sums(scale: Scale) -> Vec<Case> {
    let columns = [[BATCH, 10], [BATCH, 512], [60_000, 784], [8192, 8192]];
    let mut cases = Vec::from(columns.map(|size| sums::sum_columns(scale, size)));
    cases.extend([[BATCH, 10], [8192, 1024], [1024, 65_536]].map(|size| sums::sum_rows(scale, size)));
    cases.extend([BATCH, LARGE].map(|n| sums::sum_all(scale, n)));
    cases
}

fn of_batches(scale: Scale) -> Vec<Case> {
    let mut cases = Vec::new();
    for shifts in [None, Some(1)] {
        cases.extend([BATCH, 8192].map(|rows| moves::gather(scale, shifts, rows)));
    }
    cases.extend([SMALL, LARGE].map(|n| moves::dropout(scale, n)));
    cases.extend([[BATCH, 10], [8192, 1024]].map(|size| sums::count_correct(scale, size)));
    cases.extend([[2000, 10], [8192, 1024]].map(|size| sums::count_confusions(scale, size)));
    cases.extend([BATCH, 8192].map(|n| sums::accumulate_losses(scale, n)));
    cases
}
