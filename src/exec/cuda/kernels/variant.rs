//! The instances of the kernels' templates, and where which of them is the fastest: `kernels/variants.csv` and
//! `kernels/tuning.csv`, as text.
//!
//! `build.rs` compiles this file too, to instantiate what the program embeds; so it needs nothing but the standard
//! library. What the two tables decide at run time stands in `tuning.rs`.

use std::fmt;

/// What a variant is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// Where nothing was measured: for products that have enough tiles to fill a card.
    Large,
    /// Where nothing was measured: for all others.
    Small,
    /// To be measured. Not embedded until `tuning.csv` names it.
    Candidate,
}

/// In which order a warp's lanes lie on a tile of C, as `kernels/gemm_threads.cuh` explains.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LaneOrder {
    /// Eight neighbours across, four times below one another.
    Rows,
    /// By turns across and down: each four lanes are two by two.
    Z,
    /// As the tensor cores' instruction has them.
    Mma,
}

/// One instance of a kernel's template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variant {
    /// The file of `kernels/` with the template: `gemm`, `gemm_bf16`.
    pub kernel: String,
    /// The part of C that a block computes.
    pub rows: usize,
    /// Its columns.
    pub columns: usize,
    /// How much of k is in shared memory at a time.
    pub depth: usize,
    /// Rows of the tile that a thread computes, or with tensor cores a warp.
    pub down: usize,
    /// Columns likewise.
    pub across: usize,
    /// Tiles of an operand in shared memory, of which one is multiplied and the others are on their way.
    pub stages: usize,
    /// Blocks that a multiprocessor must be able to hold: what bounds a thread's registers.
    pub blocks: usize,
    /// The order of a warp's lanes.
    pub lanes: LaneOrder,
    /// Fragments of each operand that a thread holds: 1 is read as it is multiplied, of 2 one is read ahead.
    pub fragments: usize,
    /// What it is for.
    pub role: Use,
}

/// One line of the tuning table: on this card, this product is fastest so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tuned {
    /// As the driver names it.
    pub card: String,
    /// `f32`, `bf16`.
    pub precision: String,
    /// How A and B are stored: `n` as they are multiplied, `t` transposed.
    pub transposes: String,
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// Length of the sums.
    pub k: usize,
    /// [`Variant::name`].
    pub variant: String,
    /// Into how many stretches k is split, at most.
    pub splits: usize,
}

/// The ways in which A and B are stored.
pub const LETTERS: [&str; 4] = ["nn", "nt", "tn", "tt"];

const VARIANT_COLUMNS: &str = "kernel,rows,columns,depth,down,across,stages,blocks,lanes,fragments,use";
const TUNED_COLUMNS: &str = "card,precision,transposes,m,n,k,variant,splits";

impl Variant {
    /// All lines of `variants.csv`.
    ///
    /// # Errors
    /// The number of a line that is no variant, and what it must hold.
    pub fn read(text: &str) -> Result<Vec<Self>, String> {
        lines(text, VARIANT_COLUMNS, |cells| {
            let [kernel, numbers @ .., lanes, fragments, role] = cells else { return None };
            let numbers: Vec<usize> = numbers.iter().map_while(positive).collect();
            let [rows, columns, depth, down, across, stages, blocks] = numbers[..] else { return None };
            let lanes = match (*kernel, *lanes) {
                ("gemm", "rows") => LaneOrder::Rows,
                ("gemm", "z") => LaneOrder::Z,
                ("gemm_bf16", "mma") => LaneOrder::Mma,
                _ => return None,
            };
            let fragments = match (lanes, *fragments) {
                (_, "1") => 1,
                (LaneOrder::Rows | LaneOrder::Z, "2") => 2,
                _ => return None,
            };
            let role = match *role {
                "large" => Use::Large,
                "small" => Use::Small,
                "candidate" => Use::Candidate,
                _ => return None,
            };
            let fits = rows % down == 0 && columns % across == 0 && stages >= 2;
            let kernel = (*kernel).to_owned();
            fits.then_some(Self {
                kernel,
                rows,
                columns,
                depth,
                down,
                across,
                stages,
                blocks,
                lanes,
                fragments,
                role,
            })
        })
    }

    /// Its parameters, as they end the names of its kernels: `128x128x16_8x8_s2_b2` is a tile of 128 x 128, 16 of k
    /// at a time, 8 x 8 sums a thread (or warp), two stages, at least two blocks a multiprocessor. `_z` and `_f2`
    /// follow where lanes are in z-order and two fragments are held.
    pub fn name(&self) -> String {
        let Self { rows, columns, depth, down, across, stages, blocks, .. } = self;
        let z = if self.lanes == LaneOrder::Z { "_z" } else { "" };
        let ahead = if self.fragments == 2 { "_f2" } else { "" };
        format!("{rows}x{columns}x{depth}_{down}x{across}_s{stages}_b{blocks}{z}{ahead}")
    }

    /// Whether it takes operands at any address and of any stride. If not, those whose rows do not run along k must
    /// begin at multiples of 16 bytes, as must all of their rows.
    pub fn takes_any_alignment(&self) -> bool {
        self.fragments == 1
    }

    /// Bytes of a block's shared memory: all stages of both operands' tiles (Layout::SIZE and Feed::SIZE in the C
    /// files). The letters say how A and B are stored, as in [`Tuned::transposes`].
    pub fn shared_bytes(&self, letters: &str) -> usize {
        let element = if self.kernel == "gemm" { 4 } else { 2 };
        let tile = |extent: usize, runs_along_k: bool| {
            // Elements between the ends of rows: of a tile that lies as a float32 operand whose rows run along k, and
            // of one that is transposed on its way from there.
            let padding = if self.kernel == "gemm" && runs_along_k { 4 } else { 0 };
            match self.fragments {
                1 => extent * (self.depth + padding),
                _ => (extent + padding) * self.depth,
            }
        };
        let both = tile(self.rows, letters.starts_with('n')) + tile(self.columns, letters.ends_with('t'));
        self.stages * both * element
    }

    /// The name of its kernel for operands that are stored so.
    pub fn entry(&self, letters: &str) -> String {
        format!("{}_{letters}_{}", self.kernel, self.name())
    }

    /// Whether the program embeds it.
    pub fn is_embedded(&self, tuned: &[Tuned]) -> bool {
        self.role != Use::Candidate || tuned.iter().any(|tuned| tuned.names(self))
    }
}

/// What products of a kernel are computed in, as the tuning table and the figures call it.
pub fn precision(kernel: &str) -> &str {
    kernel.strip_prefix("gemm_").unwrap_or("f32")
}

/// `variants.cuh`: for each kernel file a macro that lists its variants, such as
/// `#define GEMM_VARIANTS VARIANT(128x128x16_8x8_s2_b2, 2, 128, 128, 16, 8, 8, 2, LaneOrder::ROWS, 1)`: its name, the blocks,
/// and what the template takes.
pub fn header<'a>(variants: impl IntoIterator<Item = &'a Variant>) -> String {
    let mut kernels: Vec<(&str, String)> = Vec::new();
    for variant in variants {
        let Variant { rows, columns, depth, down, across, stages, blocks, fragments, .. } = variant;
        let threads = match variant.lanes {
            LaneOrder::Rows => format!(", LaneOrder::ROWS, {fragments}"),
            LaneOrder::Z => format!(", LaneOrder::Z, {fragments}"),
            LaneOrder::Mma => String::new(),
        };
        let name = variant.name();
        let shape = format!("{rows}, {columns}, {depth}, {down}, {across}, {stages}{threads}");
        let call = format!(" VARIANT({name}, {blocks}, {shape})");
        match kernels.iter_mut().find(|(kernel, _)| *kernel == variant.kernel) {
            Some((_, calls)) => *calls += &call,
            None => kernels.push((&variant.kernel, call)),
        }
    }
    let define =
        |(kernel, calls): (&str, String)| format!("#define {}_VARIANTS{calls}\n", kernel.to_uppercase());
    kernels.into_iter().map(define).collect()
}

impl Tuned {
    /// All lines of `tuning.csv`.
    ///
    /// # Errors
    /// The number of a line that is none of it, and what it must hold.
    pub fn read(text: &str) -> Result<Vec<Self>, String> {
        lines(text, TUNED_COLUMNS, |cells| {
            let [card, precision, transposes, numbers @ .., variant, splits] = cells else { return None };
            let numbers: Vec<usize> = numbers.iter().chain([splits]).map_while(positive).collect();
            let [m, n, k, splits] = numbers[..] else { return None };
            let known = LETTERS.contains(transposes) && !card.is_empty();
            let [card, precision, transposes, variant] =
                [card, precision, transposes, variant].map(|cell| (*cell).to_owned());
            known.then_some(Self { card, precision, transposes, m, n, k, variant, splits })
        })
    }
}

impl Tuned {
    /// What it is a row of: precision, transposes, m, n, k.
    pub fn shape(&self) -> (&str, &str, [usize; 3]) {
        (&self.precision, &self.transposes, [self.m, self.n, self.k])
    }

    /// Whether it names this variant.
    pub fn names(&self, variant: &Variant) -> bool {
        self.precision == precision(&variant.kernel) && self.variant == variant.name()
    }
}

impl fmt::Display for Tuned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { card, precision, transposes, m, n, k, variant, splits } = self;
        write!(f, "{card},{precision},{transposes},{m},{n},{k},{variant},{splits}")
    }
}

fn positive(cell: &&str) -> Option<usize> {
    cell.parse().ok().filter(|&number| number > 0)
}

/// The lines below the head, each of which `read` understands.
fn lines<T>(text: &str, columns: &str, read: impl Fn(&[&str]) -> Option<T>) -> Result<Vec<T>, String> {
    let mut lines = (1..).zip(text.lines());
    if lines.next().map(|(_, head)| head) != Some(columns) {
        return Err(format!("its first line must be {columns}"));
    }
    let filled = lines.filter(|(_, line)| !line.is_empty());
    let row = |(number, line): (usize, &str)| {
        let cells: Vec<&str> = line.split(',').collect();
        read(&cells).ok_or_else(|| format!("line {number}, {line}, does not hold what {columns} asks for"))
    };
    filled.map(row).collect()
}
