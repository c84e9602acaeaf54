//! `kernels/hopper/ring.cu`.

use super::super::support::{chain, pairwise_on_hopper};
use super::{MATRICES, POISON, length, same, spread};

pub fn check_copies_through_a_ring() -> Result<(), String> {
    const BLOCKS: [usize; 4] = [1, 2, 3, 7];
    const OFFSETS: [usize; 2] = [0, 4];
    let factors =
        [("matrix", MATRICES.len()), ("blocks", BLOCKS.len()), ("offset of x", 2), ("offset of y", 2)];
    pairwise_on_hopper(&factors, |run, hopper, pick| {
        let (matrix, blocks) = (MATRICES[pick[0]], BLOCKS[pick[1]]);
        let mut random = run.random();
        let x = spread(matrix, f32::NAN, |_, _| random.between(-1.0, 1.0) as f32);
        let expected = spread(matrix, POISON, |row, column| 2.0 * x[row * matrix.stride + column]);
        let x = run.upload(&x, OFFSETS[pick[2]])?;
        let mut y = run.poisoned(length(matrix), OFFSETS[pick[3]])?;
        hopper
            .ring
            .scale(run.stream(), matrix, blocks, &x.view(), &mut y.view_mut())
            .map_err(|error| chain(&error))?;
        same(&run.download(&y)?, &expected, matrix)
    })
}

#[test]
fn a_ring_of_copies_doubles_every_element_and_touches_no_other() {
    check_copies_through_a_ring().unwrap();
}

#[test]
fn what_the_copy_engine_cannot_address_is_refused() {
    pairwise_on_hopper(&[], |run, hopper, _| {
        let (x, mut y) = (run.upload(&[1.0; 64], 0)?, run.poisoned(64, 0)?);
        let mut scale = |rows, columns, stride| {
            let matrix = super::RowsApart { rows, columns, stride };
            let done = hopper.ring.scale(run.stream(), matrix, 1, &x.view(), &mut y.view_mut());
            chain(&done.unwrap_err())
        };
        assert!(scale(2, 30, 30).starts_with("kernel ring_scale: "), "{}", scale(2, 30, 30));
        assert!(scale(2, 30, 30).contains("120 bytes apart"), "{}", scale(2, 30, 30));
        assert!(scale(3, 32, 32).contains("holds 64 elements"), "{}", scale(3, 32, 32));
        Ok(())
    })
    .unwrap();
}
