//! How a matrix product is cut into blocks: what was measured to be the fastest on the card, else what its shape
//! decides. Either way the order of sums, and with it every bit, is the same on cards of the same name with the same table.

use std::sync::LazyLock;

use super::factor::Factor;
use super::variant::{Tuned, Use, Variant, precision};
use crate::exec::cuda::CudaError;
use crate::ops::{Extents, MatMul};

/// All variants there are, in the order of `kernels/variants.csv`: embedded or not.
pub static VARIANTS: LazyLock<Vec<Variant>> = LazyLock::new(|| {
    let text = include_str!("../../../../kernels/variants.csv");
    Variant::read(text).unwrap_or_else(|problem| unreachable!("a test reads the same file: {problem}"))
});

/// What was measured, on all cards.
const TABLE: &str = include_str!("../../../../kernels/tuning.csv");

/// The variable that names a file to read instead of the embedded table.
const REPLACEMENT: &str = "COTANGENT_CUDA_TUNING";

/// How a product is cut into blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tiling {
    /// The kernel's parameters.
    pub variant: &'static Variant,
    /// Into how many stretches k is split, at most.
    pub splits: usize,
}

/// What was measured on one card. The default: nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tuning(Vec<(Tuned, Tiling)>);

impl Tuning {
    /// Of the card of this name, from the file that `COTANGENT_CUDA_TUNING` names, else from the embedded table.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub fn of_card(name: &str) -> Result<Self, CudaError> {
        match std::env::var_os(REPLACEMENT).filter(|path| !path.is_empty()) {
            None => Self::read(name, TABLE)
                .map_err(|problem| unreachable!("a test reads the same table: {problem}")),
            Some(path) => {
                let text = std::fs::read_to_string(&path);
                let read = text.map_err(|error| error.to_string()).and_then(|text| Self::read(name, &text));
                read.map_err(|problem| CudaError::Tuning { path: path.into(), problem })
            }
        }
    }

    /// Of the card of this name, from the text of a table.
    ///
    /// # Errors
    /// What is wrong in the text.
    pub fn read(card: &str, table: &str) -> Result<Self, String> {
        let known = |tuned: Tuned| match VARIANTS.iter().find(|variant| tuned.names(variant)) {
            Some(variant) => Ok((Tiling { variant, splits: tuned.splits }, tuned)),
            None => Err(format!("{tuned} names a variant that kernels/variants.csv does not list")),
        };
        let all: Vec<_> = Tuned::read(table)?.into_iter().map(known).collect::<Result<_, _>>()?;
        let own = all.into_iter().filter(|(_, tuned)| tuned.card == card);
        let mut own: Vec<_> = own.map(|(tiling, tuned)| (tuned, tiling)).collect();
        // Where two rows are as near, the same one decides whatever their order in the table.
        own.sort_by(|(a, _), (b, _)| a.shape().cmp(&b.shape()));
        match own.windows(2).find(|pair| pair[0].0.shape() == pair[1].0.shape()) {
            Some(pair) => Err(format!("{} has two rows, this one and {}", pair[0].0, pair[1].0)),
            None => Ok(Self(own)),
        }
    }

    /// How a product is cut: as the table says of the nearest shape that was measured on this card, with the same
    /// transposes; if none is within a factor of two, m, n and k taken together, as [`Tiling::of`] says.
    pub fn tiling<T: Factor>(&self, matmul: MatMul, extents: Extents) -> Tiling {
        let Extents { m, n, k } = extents;
        let factor = |a: usize, b: usize| {
            let (low, high) = (a.min(b).max(1), a.max(b).max(1));
            high as f64 / low as f64
        };
        let apart = |tuned: &Tuned| factor(tuned.m, m) * factor(tuned.n, n) * factor(tuned.k, k);
        let asked = |tuned: &Tuned| {
            tuned.precision == precision(T::FILE)
                && tuned.transposes == matmul.letters()
                && apart(tuned) <= 2.0
        };
        let measured = self.0.iter().filter(|(tuned, _)| asked(tuned));
        let nearest = measured.min_by(|(a, _), (b, _)| apart(a).total_cmp(&apart(b)));
        nearest.map_or_else(|| Tiling::of::<T>(extents), |(_, tiling)| *tiling)
    }
}

impl Variant {
    /// Tiles of C.
    pub(super) fn tiles(&self, Extents { m, n, .. }: Extents) -> usize {
        m.div_ceil(self.rows).saturating_mul(n.div_ceil(self.columns))
    }
}

impl Tiling {
    /// Blocks that keep the larger cards busy (an H100 has 132 multiprocessors). A constant, so that
    /// the order of sums does not depend on a card that was not measured.
    const FULL: usize = 128;

    /// A stretch of k that is worth a block and its share of the second kernel.
    const SHORTEST: usize = 64;

    /// The tiling for a shape that was not measured:
    ///
    /// | C in large tiles | C in small tiles | tile | splits |
    /// |---|---|---|---|
    /// | 128 or more | | large | 1 |
    /// | fewer | t | small | 128 / t, at most k / 64, at least 1 |
    pub fn of<T: Factor>(extents: Extents) -> Self {
        let large = Self::variant_for::<T>(Use::Large);
        if large.tiles(extents) >= Self::FULL {
            return Self { variant: large, splits: 1 };
        }
        let small = Self::variant_for::<T>(Use::Small);
        let tiles = small.tiles(extents).max(1);
        let splits = (Self::FULL / tiles).min(extents.k / Self::SHORTEST).max(1);
        Self { variant: small, splits }
    }

    fn variant_for<T: Factor>(role: Use) -> &'static Variant {
        let is_it = |variant: &&Variant| variant.kernel == T::FILE && variant.role == role;
        VARIANTS.iter().find(is_it).unwrap_or_else(|| unreachable!("a test asks for each"))
    }

    /// Into how many stretches a sum of this length is split.
    pub fn stretches(self, k: usize) -> usize {
        self.cut(k).1
    }

    /// The length of each stretch of k, whole tiles, and how many there are: none is empty.
    pub(super) fn cut(self, k: usize) -> (usize, usize) {
        let depth = self.variant.depth;
        let tiles = k.div_ceil(depth).max(1);
        let each = tiles.div_ceil(self.splits.max(1));
        (each.saturating_mul(depth).min(k), tiles.div_ceil(each))
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    const HEAD: &str = "card,precision,transposes,m,n,k,variant,splits\n";
    const NT: MatMul = MatMul { transpose_a: false, transpose_b: true };

    fn extents(m: usize, n: usize, k: usize) -> Extents {
        Extents { m, n, k }
    }

    fn small(splits: usize) -> Tiling {
        Tiling { variant: Tiling::variant_for::<f32>(Use::Small), splits }
    }

    #[test]
    fn both_tables_are_sound_and_each_kernel_has_a_large_and_a_small_variant() {
        let text = include_str!("../../../../kernels/variants.csv");
        let variants = Variant::read(text).unwrap();
        for kernel in [<f32 as Factor>::FILE, <bf16 as Factor>::FILE] {
            for role in [Use::Large, Use::Small] {
                let fitting = variants.iter().filter(|v| v.kernel == kernel && v.role == role);
                let fitting: Vec<_> = fitting.collect();
                assert_eq!(fitting.len(), 1, "{kernel} {role:?}");
                assert!(fitting[0].takes_any_alignment(), "what others give way to, {kernel} {role:?}");
            }
        }
        let names: std::collections::HashSet<_> = variants.iter().map(|v| (&v.kernel, v.name())).collect();
        assert_eq!(names.len(), variants.len(), "two lines are the same");
        let cards: Vec<String> = Tuned::read(TABLE).unwrap().into_iter().map(|tuned| tuned.card).collect();
        for card in cards {
            Tuning::read(&card, TABLE).unwrap();
        }
    }

    #[test]
    fn k_is_split_where_c_is_small_and_the_sums_are_long() {
        let tiling = |m, n, k| Tiling::of::<f32>(extents(m, n, k));
        // The network 784-512-256-10 at batch 128: forward, to the operands, to the weights.
        assert_eq!(tiling(128, 512, 784), small(8));
        assert_eq!(tiling(128, 256, 512), small(8));
        assert_eq!(tiling(128, 10, 256), small(4));
        assert_eq!(tiling(128, 512, 256), small(4));
        assert_eq!(tiling(128, 256, 10), small(1), "k is short");
        assert_eq!(tiling(512, 784, 128), small(1), "there are 104 tiles");
        assert_eq!(tiling(256, 512, 128), small(2));
        assert_eq!(tiling(10, 256, 128), small(2));
        assert_eq!(tiling(1, 1, 1 << 20), small(128), "no more than fill a card");
    }

    #[test]
    fn large_tiles_are_for_products_that_have_enough_of_them() {
        let tile = |m, n, k| Tiling::of::<f32>(extents(m, n, k)).variant.role;
        assert_eq!(tile(8192, 8192, 8192), Use::Large);
        assert_eq!(tile(2048, 1024, 64), Use::Large, "128 tiles");
        assert_eq!(tile(2048, 896, 64), Use::Small, "112 tiles");
    }

    #[test]
    fn no_stretch_of_k_is_empty_and_together_they_are_k() {
        for variant in VARIANTS.iter() {
            for k in [0, 1, 15, 16, 17, 100, 784, 1000] {
                for splits in [0, 1, 2, 3, 7, 64, 1000] {
                    let (length, count) = Tiling { variant, splits }.cut(k);
                    assert!(count >= 1 && count <= splits.max(1), "k {k}, {splits} splits");
                    assert!(count == 1 || length % variant.depth == 0, "k {k}, {splits} splits: {length}");
                    assert!(length * count >= k && length * (count - 1) < k.max(1), "k {k}, {splits} splits");
                }
            }
        }
    }

    #[test]
    fn what_was_measured_on_the_card_decides_for_shapes_that_are_near() {
        let candidate = VARIANTS.iter().find(|v| v.kernel == "gemm" && v.role == Use::Candidate).unwrap();
        let name = candidate.name();
        let table = format!("{HEAD}A Card,f32,nt,128,512,784,{name},3\nOther,f32,nt,128,512,784,{name},5\n");
        let tuning = Tuning::read("A Card", &table).unwrap();
        let measured = Tiling { variant: candidate, splits: 3 };
        let asked = |m, n, k| tuning.tiling::<f32>(NT, extents(m, n, k));
        assert_eq!(asked(128, 512, 784), measured);
        assert_eq!(asked(64, 512, 784), measured, "half as many rows");
        assert_eq!(asked(100, 400, 784), measured, "1.28 times 1.28");
        assert_eq!(asked(63, 512, 784), Tiling::of::<f32>(extents(63, 512, 784)), "too far");
        assert_eq!(
            asked(64, 1024, 784),
            Tiling::of::<f32>(extents(64, 1024, 784)),
            "as many numbers, other shape"
        );
        assert_eq!(
            tuning.tiling::<f32>(MatMul::default(), extents(128, 512, 784)),
            small(8),
            "other transposes"
        );
        assert_eq!(tuning.tiling::<bf16>(NT, extents(128, 512, 784)).variant.kernel, "gemm_bf16");
        let unknown = Tuning::read("A new card", &table).unwrap();
        assert_eq!(unknown.tiling::<f32>(NT, extents(128, 512, 784)), small(8));
    }

    #[test]
    fn the_nearest_of_several_measured_shapes_decides() {
        let name = |role| Tiling::variant_for::<f32>(role).name();
        let (large, small) = (name(Use::Large), name(Use::Small));
        let table = format!("{HEAD}A Card,f32,nn,1000,64,64,{large},1\nA Card,f32,nn,1500,64,64,{small},9\n");
        let tuning = Tuning::read("A Card", &table).unwrap();
        let splits = |m| tuning.tiling::<f32>(MatMul::default(), extents(m, 64, 64)).splits;
        assert_eq!([splits(1200), splits(1250), splits(900), splits(2800)], [1, 9, 1, 9]);
        // Both are a factor of two off: the smaller shape decides, in whatever order they stand.
        let rows =
            [format!("A Card,f32,nn,500,64,64,{large},1\n"), format!("A Card,f32,nn,2000,64,64,{small},9\n")];
        for table in [rows.concat(), format!("{}{}", rows[1], rows[0])] {
            let tuning = Tuning::read("A Card", &format!("{HEAD}{table}")).unwrap();
            assert_eq!(tuning.tiling::<f32>(MatMul::default(), extents(1000, 64, 64)).splits, 1);
        }
    }

    #[test]
    fn tables_that_are_wrong_are_told_by_line() {
        let problem = |text: &str| Tuning::read("A Card", text).unwrap_err();
        assert_eq!(problem(""), "its first line must be card,precision,transposes,m,n,k,variant,splits");
        let line = "A Card,f32,xx,1,2,3,v,1";
        assert!(problem(&format!("{HEAD}{line}\n")).starts_with(&format!("line 2, {line}, does not hold")));
        for line in [
            "A Card,f32,nn,1,2,3,v,0",
            "A Card,f32,nn,1,2,v,1",
            ",f32,nn,1,2,3,v,1",
            "A Card,f32,nn,1,2,-3,v,1",
        ] {
            assert!(problem(&format!("{HEAD}{line}\n")).starts_with("line 2, "), "{line}");
        }
        let line = "A Card,f32,nn,1,2,3,9x9,1";
        let said = problem(&format!("{HEAD}\n{line}\n"));
        assert_eq!(said, format!("{line} names a variant that kernels/variants.csv does not list"));
        let [one, other] =
            [1, 2].map(|splits| format!("A Card,f32,nn,1,2,3,{},{splits}", small(1).variant.name()));
        let said =
            problem(&format!("{HEAD}{one}\nA Card,f32,nn,1,2,4,{},1\n{other}\n", small(1).variant.name()));
        assert_eq!(said, format!("{one} has two rows, this one and {other}"));
        // Of another card, too: a table is right or wrong as a whole.
        assert!(Tuning::read("Other", &format!("{HEAD}{line}\n")).is_err());
    }
}
