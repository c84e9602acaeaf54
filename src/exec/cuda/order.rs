//! Which tasks must wait for which: a partial order, from what each reads and writes.
//!
//! Two tasks that touch the same value, of which at least one writes it, keep the order in which they
//! stand; all others may run side by side.

use std::collections::HashMap;

/// What a task touches, by numbers that the caller gives to values.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Access {
    /// The values read.
    pub reads: Vec<usize>,
    /// The values written.
    pub writes: Vec<usize>,
}

/// A partial order on tasks 0, 1, ..., of which their numbers are one linear order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// For each task those that it must wait for and that no other of them waits for.
    waits: Vec<Vec<usize>>,
    /// For each task a bit for every earlier one: whether it precedes. None where all earlier ones do, as
    /// the bits take as many bytes as a sixteenth of the square of the number of tasks.
    preceding: Option<Vec<Vec<u64>>>,
}

impl Order {
    /// The order that the accesses ask for.
    pub fn new(accesses: &[Access]) -> Self {
        #[derive(Default)]
        struct Value {
            writer: Option<usize>,
            readers: Vec<usize>,
        }
        let mut values: HashMap<usize, Value> = HashMap::new();
        let mut order = Self { waits: Vec::new(), preceding: Some(Vec::new()) };
        for (task, access) in accesses.iter().enumerate() {
            let mut waits = Vec::new();
            for read in &access.reads {
                let value = values.entry(*read).or_default();
                waits.extend(value.writer);
                value.readers.push(task);
            }
            for write in &access.writes {
                let value = values.entry(*write).or_default();
                waits.extend(value.writer.into_iter().chain(value.readers.drain(..)));
                value.writer = Some(task);
            }
            waits.retain(|&other| other != task);
            order.push(waits);
        }
        order
    }

    /// One task after another.
    pub fn sequence(tasks: usize) -> Self {
        let waits = (0..tasks).map(|task: usize| task.checked_sub(1).into_iter().collect());
        Self { waits: waits.collect(), preceding: None }
    }

    /// Appends a task that waits for these.
    fn push(&mut self, mut waits: Vec<usize>) {
        let Some(all) = &mut self.preceding else { return };
        waits.sort_unstable();
        waits.dedup();
        let mut preceding = vec![0; self.waits.len().div_ceil(64)];
        let mut needed = Vec::new();
        for &other in waits.iter().rev() {
            if bit(&preceding, other) {
                continue; // a later one waits for it
            }
            needed.push(other);
            preceding[other / 64] |= 1 << (other % 64);
            for (word, bits) in preceding.iter_mut().zip(&all[other]) {
                *word |= bits;
            }
        }
        needed.reverse();
        self.waits.push(needed);
        all.push(preceding);
    }

    /// The number of tasks.
    pub fn len(&self) -> usize {
        self.waits.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    /// Whether no two tasks may run side by side, because they were put in a sequence.
    pub fn is_sequence(&self) -> bool {
        self.preceding.is_none()
    }

    /// Whether one task is done before the other begins.
    pub fn precedes(&self, earlier: usize, later: usize) -> bool {
        match &self.preceding {
            Some(preceding) => bit(&preceding[later], earlier),
            None => earlier < later,
        }
    }

    /// Those that a task must wait for, but for what follows from others of them.
    pub fn waits(&self, task: usize) -> &[usize] {
        &self.waits[task]
    }
}

fn bit(bits: &[u64], position: usize) -> bool {
    bits.get(position / 64).is_some_and(|word| word >> (position % 64) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(reads: &[usize], writes: &[usize]) -> Access {
        Access { reads: reads.to_vec(), writes: writes.to_vec() }
    }

    #[test]
    fn readers_wait_for_the_writer_and_the_next_writer_for_all_readers() {
        let order = Order::new(&[
            access(&[], &[0]),
            access(&[0], &[1]),
            access(&[0], &[2]),
            access(&[1, 2], &[3]),
            access(&[], &[0]), // overwrites what 1 and 2 read
        ]);
        assert_eq!(order.waits(1), [0]);
        assert_eq!(order.waits(2), [0]);
        assert_eq!(order.waits(3), [1, 2]);
        assert_eq!(order.waits(4), [1, 2]);
        assert!(order.precedes(0, 3) && order.precedes(0, 4));
        assert!(!order.precedes(1, 2) && !order.precedes(3, 4) && !order.precedes(3, 3));
    }

    #[test]
    fn what_follows_from_other_waits_is_left_out() {
        let order = Order::new(&[access(&[], &[0]), access(&[0], &[1]), access(&[0, 1], &[2])]);
        assert_eq!(order.waits(2), [1]);
        assert!(order.precedes(0, 2));
    }

    #[test]
    fn a_task_that_changes_a_value_waits_for_the_last_that_did() {
        let order = Order::new(&[access(&[0], &[0]), access(&[0], &[0]), access(&[0], &[0])]);
        assert_eq!([order.waits(0), order.waits(1), order.waits(2)], [&[][..], &[0], &[1]]);
    }

    #[test]
    fn precedence_is_kept_across_many_tasks() {
        let order = Order::sequence(200);
        assert!(order.precedes(0, 199) && order.precedes(63, 64) && !order.precedes(64, 63));
    }
}
