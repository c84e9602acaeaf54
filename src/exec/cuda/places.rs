//! Places where tasks may run side by side.
//!
//! Two values share memory only where everybody who touches the one is done, on the partial order that
//! the executor follows, before the other is written. So no order that keeps to it mixes them up.

use std::ops::Range;

use super::order::Order;

/// Places begin at multiples of this many elements: 128 bytes in float32, what a warp reads at once.
pub(super) const ALIGNMENT: usize = 32;

/// A value that wants a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LiveRange {
    /// Elements.
    pub size: usize,
    /// The task that writes it.
    pub writer: usize,
    /// The tasks that read it.
    pub readers: Vec<usize>,
}

/// A place for each value, behind the first `reserved` elements, and where the last one ends. Values are in the
/// order of their writers.
pub(super) fn places(order: &Order, values: &[LiveRange], reserved: usize) -> (Vec<Range<usize>>, usize) {
    let mut places: Vec<Range<usize>> = Vec::with_capacity(values.len());
    let mut end = reserved.next_multiple_of(ALIGNMENT);
    // Those that may still be in use, by where they begin.
    let mut in_use: Vec<usize> = Vec::new();
    for (number, value) in values.iter().enumerate() {
        if value.size == 0 {
            places.push(0..0);
            continue;
        }
        let is_over = |&other: &usize| {
            let LiveRange { writer, readers, .. } = &values[other];
            readers.iter().chain([writer]).all(|&task| order.precedes(task, value.writer))
        };
        if order.is_sequence() {
            in_use.retain(|other| !is_over(other)); // over for every later task, too
        }
        let needed = value.size.next_multiple_of(ALIGNMENT);
        let mut start = reserved.next_multiple_of(ALIGNMENT);
        for other in in_use.iter().filter(|other| !is_over(other)) {
            let taken: &Range<usize> = &places[*other];
            if start + needed <= taken.start {
                break;
            }
            start = start.max(taken.end.next_multiple_of(ALIGNMENT));
        }
        places.push(start..start + value.size);
        end = end.max(start + needed);
        let position = in_use.partition_point(|&other| places[other].start < start);
        in_use.insert(position, number);
    }
    (places, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::cuda::Access;

    fn value(writer: usize, readers: &[usize]) -> LiveRange {
        LiveRange { size: 40, writer, readers: readers.to_vec() }
    }

    #[test]
    fn a_chain_needs_two_places() {
        let values: Vec<LiveRange> = (0..10).map(|task| value(task, &[task + 1])).collect();
        let (places, end) = places(&Order::sequence(11), &values, 7);
        assert_eq!(end, 32 + 2 * 64);
        assert!(places.iter().all(|place| place.start >= 32 && place.start % ALIGNMENT == 0));
        assert!(places.windows(2).all(|pair| pair[0].start != pair[1].start));
    }

    #[test]
    fn branches_share_no_memory_where_a_sequence_would() {
        // 0 → 1 → 2 and 0 → 3 → 4: in a sequence 3 could write where 1 wrote.
        let access =
            |reads: &[usize], writes: &[usize]| Access { reads: reads.to_vec(), writes: writes.to_vec() };
        let accesses = [
            access(&[], &[0]),
            access(&[0], &[1]),
            access(&[1], &[2]),
            access(&[0], &[3]),
            access(&[3], &[4]),
        ];
        let values = [value(0, &[1, 3]), value(1, &[2]), value(2, &[]), value(3, &[4]), value(4, &[])];
        let apart = |places: &[Range<usize>], a: usize, b: usize| {
            places[a].end <= places[b].start || places[b].end <= places[a].start
        };
        let (branching, _) = places(&Order::new(&accesses), &values, 0);
        for (a, b) in [(1, 3), (1, 4), (2, 3), (2, 4), (0, 1), (0, 3), (1, 2), (3, 4)] {
            assert!(apart(&branching, a, b), "{a} and {b}: {branching:?}");
        }
        let (sequence, _) = places(&Order::sequence(5), &values, 0);
        assert!(!apart(&sequence, 1, 3), "{sequence:?}");
    }

    #[test]
    fn nothing_takes_no_place() {
        let empty = LiveRange { size: 0, writer: 0, readers: vec![] };
        let (places, end) = places(&Order::sequence(1), &[empty], 5);
        assert_eq!((&places[0], end), (&(0..0), 32));
    }
}
