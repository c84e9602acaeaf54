//! Lanes: which task of a partial order goes on which of a few streams, and what waits for what.
//!
//! On its own lane a task waits for all before it without being told. It takes the lane of a task that it
//! must wait for anyway, if nobody has gone on there; else one whose last task precedes it; else a new one.

use super::order::Order;

/// The most lanes. A training step of the perceptron has up to five branches.
pub(super) const MAX_LANES: usize = 6;

/// What a task does on its lane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    /// The lane, from 0.
    pub lane: usize,
    /// Tasks on other lanes that it must wait for.
    pub waits: Vec<usize>,
    /// Whether a task on another lane waits for it.
    pub is_awaited: bool,
}

/// A slot for each task, and the last task of each lane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LaneSchedule {
    pub slots: Vec<Slot>,
    pub last: Vec<usize>,
}

impl LaneSchedule {
    /// Spreads the tasks over at most [`MAX_LANES`] lanes.
    pub fn new(order: &Order) -> Self {
        let mut slots: Vec<Slot> = Vec::with_capacity(order.len());
        let mut last: Vec<usize> = Vec::new();
        for task in 0..order.len() {
            let waits = order.waits(task);
            let continued = last.iter().position(|tail| waits.contains(tail));
            let behind = || last.iter().position(|&tail| order.precedes(tail, task));
            let lane = continued.or_else(behind).unwrap_or_else(|| {
                if last.len() < MAX_LANES {
                    last.push(task);
                    return last.len() - 1;
                }
                // All are taken: behind whoever is longest done. It waits for more than it must.
                (0..last.len()).min_by_key(|&lane| last[lane]).unwrap_or(0)
            });
            let waits: Vec<usize> =
                waits.iter().copied().filter(|&other| slots[other].lane != lane).collect();
            for &other in &waits {
                slots[other].is_awaited = true;
            }
            last[lane] = task;
            slots.push(Slot { lane, waits, is_awaited: false });
        }
        Self { slots, last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::cuda::Access;

    fn lanes(schedule: &LaneSchedule) -> Vec<usize> {
        schedule.slots.iter().map(|slot| slot.lane).collect()
    }

    #[test]
    fn a_sequence_is_one_lane_without_waits() {
        let schedule = LaneSchedule::new(&Order::sequence(5));
        assert_eq!(lanes(&schedule), [0; 5]);
        assert!(schedule.slots.iter().all(|slot| slot.waits.is_empty() && !slot.is_awaited));
    }

    #[test]
    fn a_diamond_takes_two_lanes_and_joins_on_one() {
        let access = |reads: &[usize], write: usize| Access { reads: reads.to_vec(), writes: vec![write] };
        let order = Order::new(&[access(&[], 0), access(&[0], 1), access(&[0], 2), access(&[1, 2], 3)]);
        let schedule = LaneSchedule::new(&order);
        assert_eq!(lanes(&schedule), [0, 0, 1, 0]);
        assert_eq!(schedule.slots[2].waits, [0]);
        assert_eq!(schedule.slots[3].waits, [2]);
        assert!(
            schedule.slots[0].is_awaited && schedule.slots[2].is_awaited && !schedule.slots[1].is_awaited
        );
        assert_eq!(schedule.last, [3, 2]);
    }

    #[test]
    fn every_wait_is_kept_by_lane_or_by_event_however_many_branches_there_are() {
        // Twenty branches from one task, joined by one.
        let access = |reads: Vec<usize>, write: usize| Access { reads, writes: vec![write] };
        let mut accesses = vec![access(vec![], 0)];
        accesses.extend((1..21).map(|branch| access(vec![0], branch)));
        accesses.push(access((1..21).collect(), 21));
        let order = Order::new(&accesses);
        let schedule = LaneSchedule::new(&order);
        assert!(schedule.slots.iter().all(|slot| slot.lane < MAX_LANES));
        for task in 0..order.len() {
            for &other in order.waits(task) {
                let slot = &schedule.slots[task];
                assert!(schedule.slots[other].lane == slot.lane || slot.waits.contains(&other));
            }
        }
    }
}
