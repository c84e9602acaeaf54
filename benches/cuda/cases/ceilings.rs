//! What a card does at most: `kernels/ceiling.cu`.

use half::bf16;

use super::Case;
use crate::lab::Lab;
use crate::report::{Bound, Title, Work};
use cotangent::random::below;

/// Those of any card. The arithmetic ones come in waves of blocks that end together whether a multiprocessor
/// holds 4, 6 or 8 blocks of the one kernel, or 8 or 9 of the other; their traffic is a hundredth of their time.
pub fn ceilings(lab: &Lab) -> [(Bound, Case); 3] {
    let cut = |full, emulated| if lab.is_emulated() { emulated } else { full };
    let titled = |bound: Bound, precision, case: Case| {
        let title = Title { name: bound.name().into(), precision, ..case.title };
        (bound, Case { title, ..case })
    };

    let copied = cut(1 << 27, 1 << 16);
    let copy =
        Case::new(Bound::Copy.name(), format!("{copied}"), Work::of_memory(8 * copied), move |lab, sets| {
            let (x, mut y) = (lab.floats(sets, copied)?, lab.unset(sets, copied)?);
            Ok(Box::new(move |lab, set| {
                lab.kernels().ceiling.copy(&lab.stream, &x.of(set), &mut y.of_mut(set))
            }))
        });

    let (n, rounds) = (lab.multiprocessors * cut(96, 2) * 2048, cut(16_384, 16));
    let work = Work { bytes: 8 * n as u64, flops: (2 * n * rounds) as u64, arithmetic: Bound::Fma };
    let fma = Case::new(Bound::Fma.name(), format!("{n}x{rounds}"), work, move |lab, sets| {
        let (x, mut y) = (lab.floats(sets, n)?, lab.unset(sets, n)?);
        Ok(Box::new(move |lab, set| {
            let (ceiling, y) = (&lab.kernels().ceiling, &mut y.of_mut(set));
            let flops = ceiling.fma(&lab.stream, [0.999, 1e-3], rounds, &x.of(set), y)?;
            assert_eq!(flops, work.flops);
            Ok(())
        }))
    });

    let (warps, rounds) = (lab.multiprocessors * cut(72 * 4, 4), cut(8192, 4));
    let (flops, bytes) = ((32_768 * warps * rounds) as u64, (4 * 1024 * warps) as u64);
    let work = Work { bytes, flops, arithmetic: Bound::Mma };
    let mma = Case::new(Bound::Mma.name(), format!("{warps}x{rounds}"), work, move |lab, sets| {
        let integer = |random: &mut _| bf16::from_f32(below(random, 9) as f32 - 4.0);
        let (a, b) = (lab.drawn(sets, 512, integer)?, lab.drawn(sets, 512, integer)?);
        let mut c = lab.unset(sets, 1024 * warps)?;
        Ok(Box::new(move |lab, set| {
            let (ceiling, c) = (&lab.kernels().ceiling, &mut c.of_mut(set));
            let flops = ceiling.mma(&lab.stream, rounds, &a.of(set), &b.of(set), c)?;
            assert_eq!(flops, work.flops);
            Ok(())
        }))
    });
    [titled(Bound::Copy, "f32", copy), titled(Bound::Fma, "f32", fma), titled(Bound::Mma, "bf16", mma)]
}
