//! Places where instructions run one after another.
//!
//! A value lives from the instruction that writes it to the last one that reads it. One sweep over the
//! instructions takes memory from a list of free stretches (best fit) and returns it.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::exec::instruction::Instruction;
use crate::exec::{Resident, Wanted};
use crate::graph::NodeId;
use crate::ops::Graph;

/// Places begin at multiples of this many elements: 64 bytes in float32, a cache line.
pub(super) const ALIGNMENT: usize = 16;

/// A place for every value, and the size of the arena. Inputs that are given elsewhere have none.
pub(super) fn places(
    graph: &Graph,
    instructions: &[Instruction],
    wanted: Wanted<'_>,
    given: &[NodeId],
) -> (Vec<Option<Range<usize>>>, usize) {
    let mut places: Vec<Option<Range<usize>>> = vec![None; graph.len()];
    let mut last_use = vec![0; graph.len()];
    for (time, instruction) in instructions.iter().enumerate() {
        for node in instruction.reads(graph) {
            last_use[node.index()] = time;
        }
    }
    for &Resident { node, offset } in wanted.residents {
        places[node.index()] = Some(offset..offset + graph[node].shape.size());
        last_use[node.index()] = usize::MAX;
    }
    let mut arena = FreeList { end: wanted.reserved.next_multiple_of(ALIGNMENT), free: BTreeMap::new() };
    for id in graph.inputs().filter(|id| !given.contains(id)) {
        places[id.index()].get_or_insert_with(|| arena.take(graph[id].shape.size()));
    }
    let stores = instructions.iter().filter(|instruction| instruction.stores);
    let in_place: Vec<NodeId> = stores.flat_map(Instruction::writes).collect();
    for store in wanted.stores.iter().filter(|store| in_place.contains(&store.value)) {
        places[store.value.index()] = places[store.into.index()].clone();
    }
    for &id in wanted.outputs {
        last_use[id.index()] = usize::MAX;
        places[id.index()].get_or_insert_with(|| arena.take(graph[id].shape.size()));
    }
    let mut dying: Vec<Vec<NodeId>> = vec![Vec::new(); instructions.len()];
    for (time, instruction) in instructions.iter().enumerate() {
        for node in instruction.writes() {
            if places[node.index()].is_none() {
                places[node.index()] = Some(arena.take(graph[node].shape.size()));
                // A value that nobody reads is written all the same, and dies at once.
                dying[last_use[node.index()].max(time)].push(node);
            }
        }
        for node in std::mem::take(&mut dying[time]) {
            if let Some(place) = &places[node.index()] {
                arena.give_back(place.clone());
            }
        }
    }
    (places, arena.end)
}

/// Free stretches below `end` by their start; neighbours are always merged.
struct FreeList {
    end: usize,
    free: BTreeMap<usize, usize>,
}

impl FreeList {
    /// The smallest free stretch that fits, or new memory at the end.
    fn take(&mut self, size: usize) -> Range<usize> {
        if size == 0 {
            return 0..0; // in front of everything, so that no place lent for writing surrounds it
        }
        let needed = size.next_multiple_of(ALIGNMENT);
        let best =
            self.free.iter().filter(|(_, length)| **length >= needed).min_by_key(|(_, length)| **length);
        let start = match best.map(|(&start, &length)| (start, length)) {
            Some((start, length)) => {
                self.free.remove(&start);
                if length > needed {
                    self.free.insert(start + needed, length - needed);
                }
                start
            }
            None => {
                self.end += needed;
                self.end - needed
            }
        };
        start..start + size
    }

    fn give_back(&mut self, place: Range<usize>) {
        let (mut start, mut length) = (place.start, place.len().next_multiple_of(ALIGNMENT));
        if length == 0 {
            return;
        }
        if let Some((&before, &its_length)) = self.free.range(..start).next_back()
            && before + its_length == start
        {
            self.free.remove(&before);
            (start, length) = (before, its_length + length);
        }
        if let Some(after) = self.free.remove(&(start + length)) {
            length += after;
        }
        self.free.insert(start, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::Plan;
    use crate::ops::{Builder, Function};

    #[test]
    fn values_that_live_at_the_same_time_never_share_memory() {
        // A chain with long-lived branches; sums keep the steps from being fused into one.
        let builder = Builder::new();
        let x = builder.input("x", [64]);
        let mut values = vec![x];
        for i in 0..12 {
            let last = values[i];
            let older = values[i / 2];
            values.push(older * (last.sum() + last));
        }
        let Function { graph, outputs: output, .. } = builder.finish(x, values[12]).unwrap();
        let plan = Plan::new(&graph, Wanted::outputs(&[output]));
        let mut live: Vec<(NodeId, Range<usize>)> = Vec::new();
        for (time, instruction) in plan.instructions.iter().enumerate() {
            for node in instruction.writes() {
                let place = plan.place(node);
                for (other, taken) in &live {
                    let apart = place.end <= taken.start || taken.end <= place.start;
                    assert!(apart, "{node:?} overwrites {other:?}, which is still read");
                }
                live.push((node, place));
            }
            live.retain(|(node, _)| {
                *node == output
                    || plan.instructions[time + 1..].iter().any(|later| later.reads(&graph).contains(node))
            });
        }
        let all: usize =
            plan.instructions.iter().map(|i| graph[i.output].shape.size().next_multiple_of(16)).sum();
        assert!(plan.arena() < all, "{} of {all} elements: nothing was shared", plan.arena());
    }

    #[test]
    fn returned_stretches_merge_with_their_neighbours() {
        let mut list = FreeList { end: 0, free: BTreeMap::new() };
        let taken: Vec<_> = (0..4).map(|_| list.take(16)).collect();
        for i in [0, 2, 1] {
            list.give_back(taken[i].clone());
        }
        assert_eq!(list.free, BTreeMap::from([(0, 48)]));
        assert_eq!(list.take(40), 0..40);
        assert_eq!(list.end, 64);
    }
}
