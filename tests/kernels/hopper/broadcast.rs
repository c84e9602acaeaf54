//! `kernels/hopper/broadcast.cu`.

use cotangent::exec::cuda::{Multicast, RowsApart};

use super::super::support::{chain, pairwise_on_hopper};
use super::{MATRICES, POISON, same, spread};

pub fn check_broadcast_additions() -> Result<(), String> {
    const SIZES: [usize; 4] = [1, 2, 4, 8];
    const CLUSTERS: [usize; 3] = [1, 2, 3];
    let factors = [("matrix", MATRICES.len()), ("size", SIZES.len()), ("clusters", CLUSTERS.len())];
    pairwise_on_hopper(&factors, |run, hopper, pick| {
        let (matrix, size, clusters) = (MATRICES[pick[0]], SIZES[pick[1]], CLUSTERS[pick[2]]);
        let part = Multicast::part(matrix.rows);
        let parts = RowsApart { rows: size * part, ..matrix };
        let mut random = run.random();
        let mut number = || random.between(-1.0, 1.0) as f32;
        let m = spread(matrix, f32::NAN, |_, _| number());
        let y = spread(parts, POISON, |_, _| number());
        let expected = spread(parts, POISON, |row, column| {
            let within = row % part;
            let added = if within < matrix.rows { m[within * matrix.stride + column] } else { 0.0 };
            y[row * matrix.stride + column] + added
        });
        let (m, mut y) = (run.upload(&m, 4)?, run.upload(&y, 0)?);
        hopper
            .broadcast
            .add(run.stream(), matrix, [clusters, size], &m.view(), &mut y.view_mut())
            .map_err(|error| chain(&error))?;
        same(&run.download(&y)?, &expected, parts)
            .map_err(|problem| format!("{clusters} of {size}: {problem}"))
    })
}

#[test]
fn every_block_of_a_cluster_adds_the_whole_matrix() {
    check_broadcast_additions().unwrap();
}

#[test]
fn clusters_that_no_box_is_cut_for_are_refused() {
    pairwise_on_hopper(&[], |run, hopper, _| {
        let (m, mut y) = (run.upload(&[1.0; 256], 0)?, run.poisoned(768, 0)?);
        let matrix = RowsApart { rows: 8, columns: 32, stride: 32 };
        let done = hopper.broadcast.add(run.stream(), matrix, [1, 3], &m.view(), &mut y.view_mut());
        let expected = "kernel broadcast_add: clusters of 3 blocks; there are those of 1, 2, 4 and 8";
        assert_eq!(chain(&done.unwrap_err()), expected);
        Ok(())
    })
    .unwrap();
}
