//! Which kernel takes rows of how many classes, on which device.

use crate::exec::cuda::Capability;

/// Elements of one access, and threads of a block that holds several rows, as in the kernels.
pub(super) const VECTOR: usize = 4;
const SHARED_BLOCK_THREADS: u32 = 128;

/// A kernel that takes rows of up to a certain number of elements.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Form {
    pub kernel: &'static str,
    /// Threads of a block.
    pub threads: u32,
    /// Rows of a block, or of a cluster.
    pub rows: usize,
    pub held: Held,
}

/// Where a row lies while its kernel works on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Held {
    /// In registers, which hold so many elements.
    Registers(usize),
    /// [`IN_REGISTERS`] vectors of each thread there, the others in the dynamic shared memory of so many blocks: a
    /// cluster if they are more than one. Each takes what leaves room for so many on a multiprocessor.
    Shared { cluster: u32, at_once: usize },
    /// Nowhere: rows are of any length and are read twice.
    Nowhere,
}

/// A way to work on rows of more classes than registers hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LongRows {
    /// A cluster of 2, 4 or 8 blocks holds a row: compute capability 9.0.
    Cluster,
    /// A block holds a row, in registers and shared memory: compute capability 8.0.
    Shared,
    /// Nobody does, and it is read twice.
    Online,
}

/// What of a device decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub capability: Capability,
    /// Bytes that a block may have, if it asks.
    pub shared_memory: usize,
}

/// The vectors of a thread that registers hold beside those in shared memory, as in the C file.
const IN_REGISTERS: usize = 8;
/// Bytes of shared memory that such a kernel declares, or a little less.
const DECLARED: usize = 256;
/// Bytes of a multiprocessor's shared memory that a block costs beside its own (CUDA C++ Programming Guide, "Technical
/// Specifications per Compute Capability").
const RESERVED: usize = 1024;

/// The first that the device has and that holds a row takes it.
pub(super) const FORMS: [Form; 12] = [
    Form::lanes("cross_entropy_32", 8, 32),
    Form::lanes("cross_entropy_128", 32, 128),
    Form::lanes("cross_entropy_512", 32, 512),
    Form::lanes("cross_entropy_1024", 32, 1024),
    Form::row("cross_entropy_4096", 256, Held::Registers(4096)),
    Form::row("cross_entropy_16384", 512, Held::Registers(16_384)),
    Form::row("cross_entropy_32768", 1024, Held::Registers(32_768)),
    Form::row("cross_entropy_cluster", 512, Held::Shared { cluster: 2, at_once: 2 }),
    Form::row("cross_entropy_shared", 1024, Held::Shared { cluster: 1, at_once: 1 }),
    Form::row("cross_entropy_cluster", 512, Held::Shared { cluster: 4, at_once: 2 }),
    Form::row("cross_entropy_cluster", 512, Held::Shared { cluster: 8, at_once: 2 }),
    Form::row("cross_entropy_online", 512, Held::Nowhere),
];

/// The plain kernel that the others are held against: one thread a row.
pub(super) const REFERENCE: Form = Form {
    kernel: "cross_entropy_reference",
    threads: SHARED_BLOCK_THREADS,
    rows: SHARED_BLOCK_THREADS as usize,
    held: Held::Nowhere,
};

/// The most classes of which every device is certain to hold a row, and to read it only once.
pub const MOST_CLASSES_READ_ONCE: usize = 32_768 - (VECTOR - 1);

impl LongRows {
    /// All, in the order in which they are preferred.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::Shared, Self::Online];

    /// As benches and messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Shared => "shared",
            Self::Online => "online",
        }
    }

    /// The least compute capability.
    pub fn since(self) -> Capability {
        match self {
            Self::Cluster => Capability { major: 9, minor: 0 },
            Self::Shared => Capability { major: 8, minor: 0 },
            Self::Online => Capability::OLDEST,
        }
    }

    fn of(form: &Form) -> Option<Self> {
        match form.held {
            Held::Registers(_) => None,
            Held::Shared { cluster: 1, .. } => Some(Self::Shared),
            Held::Shared { .. } => Some(Self::Cluster),
            Held::Nowhere => Some(Self::Online),
        }
    }
}

impl Form {
    /// A row is held by so many lanes of a warp.
    const fn lanes(kernel: &'static str, lanes: usize, held: usize) -> Self {
        let threads = SHARED_BLOCK_THREADS;
        Self { kernel, threads, rows: threads as usize / lanes, held: Held::Registers(held) }
    }

    /// A row is a block's, or a cluster's.
    const fn row(kernel: &'static str, threads: u32, held: Held) -> Self {
        Self { kernel, threads, rows: 1, held }
    }

    /// Whether this is that way.
    pub fn is(&self, way: LongRows) -> bool {
        LongRows::of(self) == Some(way)
    }

    /// The blocks of a cluster.
    pub fn cluster(&self) -> u32 {
        match self.held {
            Held::Shared { cluster, .. } => cluster,
            Held::Registers(_) | Held::Nowhere => 1,
        }
    }

    /// Bytes of a step of shared memory: a vector of each thread.
    fn step(&self) -> usize {
        self.threads as usize * VECTOR * size_of::<f32>()
    }

    /// Bytes of dynamic shared memory that a block may take on a device, whole steps; 0 if the device lacks the form.
    pub fn most_shared_memory(&self, limits: Limits) -> usize {
        match (self.held, LongRows::of(self)) {
            (Held::Shared { at_once, .. }, Some(way)) if limits.capability >= way.since() => {
                let own = ((limits.shared_memory + RESERVED) / at_once).saturating_sub(RESERVED + DECLARED);
                own / self.step() * self.step()
            }
            _ => 0,
        }
    }

    /// The elements of a row that it holds on a device; 0 if the device lacks the form.
    pub fn most(&self, limits: Limits) -> usize {
        match self.held {
            Held::Registers(held) => held,
            Held::Nowhere => usize::MAX,
            Held::Shared { cluster, .. } => match self.most_shared_memory(limits) / self.step() {
                0 => 0,
                steps => (IN_REGISTERS + steps) * self.threads as usize * VECTOR * cluster as usize,
            },
        }
    }

    /// Bytes of dynamic shared memory that a block takes for rows of so many elements.
    pub fn shared_memory(&self, elements: usize) -> u32 {
        let Held::Shared { cluster, .. } = self.held else { return 0 };
        let steps = elements.div_ceil(VECTOR).div_ceil(self.threads as usize * cluster as usize);
        (steps.saturating_sub(IN_REGISTERS) * self.step()) as u32 // of a row that it holds: less than 228 KiB
    }
}

/// The elements that a row of so many classes takes.
///
/// Vectors of four begin at multiples of four elements from the beginning of the matrix. Unless that
/// is where every row begins, there may be up to three elements before a row in its first vector.
pub(super) fn elements(classes: usize) -> usize {
    let lead = if classes.is_multiple_of(VECTOR) { 0 } else { VECTOR - 1 };
    classes.saturating_add(lead)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Devices of compute capability 7.5, 8.0, 8.9, 9.0 and 12.0, and what a block may have there.
    const DEVICES: [(i32, i32, usize); 5] = [(7, 5, 64), (8, 0, 163), (8, 9, 99), (9, 0, 227), (12, 0, 99)];

    fn limits((major, minor, kibibytes): (i32, i32, usize)) -> Limits {
        Limits { capability: Capability { major, minor }, shared_memory: kibibytes * 1024 }
    }

    /// The kernel of a row and the blocks that hold it.
    fn chosen(limits: Limits, classes: usize) -> (&'static str, u32) {
        let form = FORMS.iter().find(|form| elements(classes) <= form.most(limits)).unwrap();
        (form.kernel, form.cluster())
    }

    #[test]
    fn rows_take_the_smallest_form_that_holds_them() {
        for device in DEVICES {
            let form = |classes| chosen(limits(device), classes).0;
            assert_eq!([1, 2, 10, 29, 32].map(form), ["cross_entropy_32"; 5]);
            assert_eq!([30, 31, 33, 125, 128].map(form), ["cross_entropy_128"; 5]);
            assert_eq!([126, 127, 129, 509, 512].map(form), ["cross_entropy_512"; 5]);
            assert_eq!([510, 1000, 1021, 1024].map(form), ["cross_entropy_1024"; 4]);
            assert_eq!([1022, 1025, 3000, 4096].map(form), ["cross_entropy_4096"; 4]);
            assert_eq!([4095, 10_000, 16_384].map(form), ["cross_entropy_16384"; 3]);
            assert_eq!([16_382, MOST_CLASSES_READ_ONCE, 32_768].map(form), ["cross_entropy_32768"; 3]);
            assert_eq!(form(usize::MAX), "cross_entropy_online");
        }
    }

    #[test]
    fn long_rows_take_the_first_form_that_their_device_has() {
        let of = |device: usize, classes: &[usize]| -> Vec<(&'static str, u32)> {
            classes.iter().map(|&classes| chosen(limits(DEVICES[device]), classes)).collect()
        };
        let [cluster, shared, online] =
            ["cross_entropy_cluster", "cross_entropy_shared", "cross_entropy_online"];
        assert_eq!(of(0, &[MOST_CLASSES_READ_ONCE + 1, 50_257]), [(online, 1); 2]);
        assert_eq!(of(1, &[MOST_CLASSES_READ_ONCE + 1, 50_257, 73_728]), [(shared, 1); 3]);
        assert_eq!(of(1, &[73_726, 128_256]), [(online, 1); 2]);
        assert_eq!(of(2, &[50_257, 57_344, 57_348]), [(shared, 1), (shared, 1), (online, 1)]);
        assert_eq!(of(3, &[MOST_CLASSES_READ_ONCE + 1, 50_257, 90_112]), [(cluster, 2); 3]);
        assert_eq!(of(3, &[90_111, 128_256, 180_224]), [(cluster, 4); 3]);
        assert_eq!(of(4, &[50_257, 57_344, 57_348]), [(cluster, 2), (cluster, 2), (cluster, 4)]);
        assert_eq!(of(3, &[180_228, 256_000, 360_448, 360_452]), {
            [(cluster, 8), (cluster, 8), (cluster, 8), (online, 1)]
        });
    }

    #[test]
    fn shared_memory_is_for_what_registers_do_not_hold() {
        let [cluster, shared] = [&FORMS[7], &FORMS[8]];
        assert_eq!((cluster.shared_memory(10), shared.shared_memory(32_768)), (0, 0));
        assert_eq!((cluster.shared_memory(32_769), shared.shared_memory(32_769)), (8 << 10, 16 << 10));
        let gpt2 = elements(50_257);
        assert_eq!((cluster.shared_memory(gpt2), shared.shared_memory(gpt2)), (40 << 10, 80 << 10));
        // A row of the most elements takes all that the kernel has asked for, and two of a cluster's blocks fit.
        let hopper = limits(DEVICES[3]);
        for form in [cluster, shared] {
            let most = form.most_shared_memory(hopper);
            assert_eq!(form.shared_memory(form.most(hopper)) as usize, most);
        }
        assert!(2 * (cluster.most_shared_memory(hopper) + DECLARED + RESERVED) <= 228 * 1024);
    }
}
