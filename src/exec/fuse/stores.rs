//! Stores as loops: an optimizer's update of one parameter, with its state, is one loop of several results.
//!
//! The values that are stored in one loop are written where the old ones lie, so nothing else may read the old ones any
//! more: such loops run last, and each reads inputs that are stored into element by element, and its own alone. A store
//! that cannot be had so is computed into memory of its own, and copied when everything else has run.

use std::collections::{BTreeSet, HashMap};

use super::{Fusion, Update};
use crate::exec::instruction::{MAX_REGISTERS, MOST_RESULTS, MOST_STEPS};
use crate::graph::NodeId;
use crate::ops::{Op, Store};

/// What a loop that computes some values would hold.
struct Closure {
    members: Vec<NodeId>,
    /// What its members read beside one another.
    sources: Vec<NodeId>,
    /// Whether nobody else reads the values.
    is_closed: bool,
}

impl Fusion<'_> {
    /// Finds the loops that store. The values of all other stores become outputs, and are copied.
    pub(super) fn find_stores(&mut self, stores: &[Store]) {
        let (mut groups, mut others) = (Vec::new(), Vec::new());
        for store in stores {
            let value = store.value;
            let is_single = stores.iter().filter(|other| other.value == value).count() == 1;
            let is_loop = self.is_elementwise(value) && !self.absorbed[value.index()];
            // An output keeps its value to itself, which is there before anything is stored.
            let fits = is_single && is_loop && self.known(value).is_none() && !self.is_output[value.index()];
            if fits { groups.push(vec![value]) } else { others.push(*store) }
        }
        let targets: Vec<NodeId> = stores.iter().map(|store| store.into).collect();
        for values in self.joined(groups) {
            let own = |store: &&Store| values.contains(&store.value);
            match self.update(&values, &targets, stores.iter().filter(own).map(|store| store.into).collect())
            {
                Some(update) => {
                    for member in &update.members {
                        self.update_of[member.index()] = Some(self.updates.len());
                    }
                    self.updates.push(update);
                }
                None => others.extend(stores.iter().filter(own)),
            }
        }
        for store in &others {
            self.is_output[store.value.index()] = true;
        }
        self.copies = others;
    }

    /// Joins groups of values that are computed from the same elements.
    fn joined(&self, mut groups: Vec<Vec<NodeId>>) -> Vec<Vec<NodeId>> {
        loop {
            let before = groups.len();
            let mut group_of: HashMap<NodeId, usize> = HashMap::new();
            let mut joined: Vec<Vec<NodeId>> = Vec::new();
            for values in groups {
                let Closure { members, sources, .. } = self.closure(&values);
                let full = sources.into_iter().filter(|&source| self.view(source).is_none());
                let touched: Vec<NodeId> = members.into_iter().chain(full).collect();
                let group =
                    touched.iter().find_map(|node| group_of.get(node).copied()).unwrap_or(joined.len());
                match joined.get_mut(group) {
                    Some(others) => others.extend(values),
                    None => joined.push(values),
                }
                group_of.extend(touched.into_iter().map(|node| (node, group)));
            }
            groups = joined;
            if groups.len() == before {
                return groups;
            }
        }
    }

    /// The elementwise nodes that are computed for these values alone.
    fn closure(&self, values: &[NodeId]) -> Closure {
        let mut closure = Closure { members: Vec::new(), sources: Vec::new(), is_closed: true };
        let mut read: HashMap<NodeId, u32> = values.iter().map(|&value| (value, 1)).collect();
        // Users come before what they use, as they stand behind it in the graph.
        let mut pending: BTreeSet<NodeId> = values.iter().copied().collect();
        while let Some(id) = pending.pop_last() {
            let is_read_here = read.get(&id).copied().unwrap_or(0) == self.uses[id.index()];
            let is_inner =
                self.is_elementwise(id) && !self.is_output[id.index()] && !self.absorbed[id.index()];
            if self.known(id).is_some() {
                continue;
            } else if values.contains(&id) {
                closure.is_closed &= is_read_here;
            } else if !(is_inner && is_read_here) {
                closure.sources.push(id);
                continue;
            }
            closure.members.push(id);
            for &input in &self.graph[id].inputs {
                *read.entry(input).or_default() += 1;
                pending.insert(input);
            }
        }
        closure.members.reverse();
        closure
    }

    /// The loop that stores these values into `own` targets, if one can.
    fn update(&mut self, values: &[NodeId], targets: &[NodeId], own: Vec<NodeId>) -> Option<Update> {
        let Closure { members, sources, is_closed } = self.closure(values);
        let is_foreign = |node: &NodeId| targets.contains(node) && !own.contains(node);
        let reads_others = sources.iter().any(|&source| match self.view(source) {
            Some(view) => targets.contains(&view.operand()),
            None => is_foreign(&source),
        });
        let shape = |id: NodeId| &self.graph[id].shape;
        let alike = members.iter().all(|&member| shape(member) == shape(values[0]));
        // One register is held back for the product.
        let loads = self.program(&members, values, None).loads.len();
        let fits = values.len() <= MOST_RESULTS && members.len() <= MOST_STEPS && loads < MAX_REGISTERS;
        if !is_closed || reads_others || !alike || !fits {
            return None;
        }
        for &source in &sources {
            if matches!(self.graph[source].op, Op::MatMul(_)) {
                let reads_targets = self.graph[source].inputs.iter().any(|input| targets.contains(input));
                self.kept_apart[source.index()] = reads_targets || !self.products_store;
            }
        }
        let mut values = values.to_vec();
        values.sort_unstable();
        Some(Update { members, values })
    }
}
