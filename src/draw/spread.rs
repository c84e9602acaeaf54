//! Keeping labels apart: each as near to where it belongs as the others allow.

/// Moves labels that want to stand at `desired` so that neighbours are at least `gap` apart and
/// all lie in `low..=high`, keeping their order and minimising the sum of squared moves. Returns
/// the new places in the order of `desired`, or `None` if they cannot all fit.
///
/// With the labels sorted and i·gap taken from the i-th, "at least `gap` apart" becomes "not
/// decreasing": an isotonic regression, solved by pooling adjacent violators (Barlow et al. 1972),
/// whose solution may be held to an interval afterwards.
pub fn spread(desired: &[f64], gap: f64, low: f64, high: f64) -> Option<Vec<f64>> {
    if desired.is_empty() {
        return Some(Vec::new());
    }
    let room = high - low - gap * (desired.len() - 1) as f64;
    if room < 0.0 {
        return None;
    }
    let mut order: Vec<usize> = (0..desired.len()).collect();
    order.sort_by(|&a, &b| desired[a].total_cmp(&desired[b]));

    // pools of neighbours that share one value: (sum, count)
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (i, &label) in order.iter().enumerate() {
        let mut pool = (desired[label] - gap * i as f64, 1);
        while let Some(&(sum, count)) = pools.last() {
            if sum / count as f64 <= pool.0 / pool.1 as f64 {
                break;
            }
            pools.pop();
            pool = (pool.0 + sum, pool.1 + count);
        }
        pools.push(pool);
    }

    let mut placed = vec![0.0; desired.len()];
    let shifted = pools.iter().flat_map(|&(sum, count)| std::iter::repeat_n(sum / count as f64, count));
    for (i, (&label, value)) in order.iter().zip(shifted).enumerate() {
        placed[label] = value.max(low).min(low + room) + gap * i as f64;
    }
    Some(placed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_do_not_collide_stay_where_they_are() {
        assert_eq!(spread(&[50.0, 10.0, 90.0], 20.0, 0.0, 100.0), Some(vec![50.0, 10.0, 90.0]));
    }

    #[test]
    fn colliding_labels_move_apart_around_their_mean() {
        assert_eq!(spread(&[50.0, 50.0], 20.0, 0.0, 100.0), Some(vec![40.0, 60.0]));
    }

    #[test]
    fn labels_at_the_edge_stay_inside_and_keep_their_order() {
        let placed = spread(&[99.0, 100.0, 98.0, 10.0], 15.0, 0.0, 100.0).unwrap();
        assert_eq!(placed, [85.0, 100.0, 70.0, 10.0]);
    }

    #[test]
    fn too_many_labels_do_not_fit() {
        assert_eq!(spread(&[1.0, 2.0, 3.0], 20.0, 0.0, 39.0), None);
        assert!(spread(&[1.0, 2.0, 3.0], 20.0, 0.0, 40.0).is_some());
    }

    #[test]
    fn no_labels_need_no_room() {
        assert_eq!(spread(&[], 20.0, 0.0, 10.0), Some(Vec::new()));
    }
}
