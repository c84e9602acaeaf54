//! The order within layers, the second step of the layout: few edges cross.
//!
//! Whether edges cross depends on the orders alone, not on distances. The best orders are hard to
//! find (NP-complete for two layers: Garey and Johnson 1983), so three methods share the work:
//!
//! 1. *Barycentres* (Sugiyama et al. 1981): sort a layer by the mean place of each item's neighbours
//!    in the layer before; sweep to the right, then with the layer after to the left.
//! 2. *Exchanges*: swap two that stand next to each other while that removes crossings.
//! 3. *Dynamic programming* over all orders of all layers, where layers are small: crossings depend on
//!    two neighbouring layers only, so the best way to each order of a layer extends the best ways
//!    to the orders of the layer before. This one is exact.
//!
//! The first two find local optima; they start several times from different orders.

/// Starts of the local search for graphs of moderate size.
const STARTS: usize = 24;
/// Sweeps from each start, there and back.
const ROUNDS: usize = 12;
/// Bounds the local search in large graphs: visits of segments. About two seconds.
const VISITS: usize = 20_000_000;
/// Bounds the exact search: pairs of orders compared. Below a tenth of a second.
const PAIRS: usize = 300_000;

type Orders = Vec<Vec<usize>>;

/// The layers reordered; `paths` lead from layer to layer over `items` items.
pub(super) fn with_few_crossings(layers: Orders, paths: &[Vec<usize>], items: usize) -> Orders {
    let segments = Segments::of(paths, items);
    let mut best = local_search(&layers, &segments);
    if segments.crossings(&best) > 0
        && let Some(exact) = exact_search(&layers, &segments)
    {
        best = exact;
    }
    // upside down there are as many crossings: take the side on which more inputs are in order
    if let Some(first) = best.first() {
        let pairs = first.iter().enumerate().flat_map(|(i, a)| first[i + 1..].iter().map(move |b| a < b));
        let (total, ascending) = pairs.fold((0, 0), |(n, up), is_up| (n + 1, up + usize::from(is_up)));
        if 2 * ascending < total {
            best.iter_mut().for_each(|layer| layer.reverse());
        }
    }
    best
}

/// The pieces of edges between neighbouring layers: each item's neighbours.
pub(super) struct Segments {
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
    count: usize,
}

impl Segments {
    pub fn of(paths: &[Vec<usize>], items: usize) -> Segments {
        let mut segments =
            Segments { before: vec![Vec::new(); items], after: vec![Vec::new(); items], count: 0 };
        for step in paths.iter().flat_map(|path| path.windows(2)) {
            segments.after[step[0]].push(step[1]);
            segments.before[step[1]].push(step[0]);
            segments.count += 1;
        }
        segments
    }

    /// The number of crossings between all neighbouring layers.
    pub fn crossings(&self, layers: &[Vec<usize>]) -> usize {
        let places = self.places(layers);
        layers.windows(2).map(|pair| self.crossings_between(&pair[0], pair[1].len(), &places)).sum()
    }

    /// Two segments cross if one begins above and ends below the other. Taken by their beginnings
    /// from the top, each crosses those before it that end further down; a Fenwick tree counts these
    /// in logarithmic time (Barth, Jünger and Mutzel 2002).
    fn crossings_between(&self, left: &[usize], right_len: usize, places: &[usize]) -> usize {
        let mut seen = Fenwick(vec![0; right_len + 1]);
        let mut count = 0;
        let mut crossings = 0;
        for &item in left {
            // segments of one beginning do not cross: all are compared before any is entered
            for &end in &self.after[item] {
                crossings += count - seen.up_to(places[end]);
            }
            for &end in &self.after[item] {
                seen.add(places[end]);
                count += 1;
            }
        }
        crossings
    }

    fn places(&self, layers: &[Vec<usize>]) -> Vec<usize> {
        let mut places = vec![0; self.after.len()];
        for layer in layers {
            enter(layer, &mut places);
        }
        places
    }
}

/// Counts at places 0, 1, …; entry i of the tree sums the counts of the (i & -i) places before i.
struct Fenwick(Vec<usize>);

impl Fenwick {
    fn add(&mut self, place: usize) {
        let mut i = place + 1;
        while i < self.0.len() {
            self.0[i] += 1;
            i += i & i.wrapping_neg();
        }
    }

    /// How many were added at `place` or before.
    fn up_to(&self, place: usize) -> usize {
        let mut i = place + 1;
        let mut sum = 0;
        while i > 0 {
            sum += self.0[i];
            i -= i & i.wrapping_neg();
        }
        sum
    }
}

fn enter(layer: &[usize], places: &mut [usize]) {
    for (place, &item) in layer.iter().enumerate() {
        places[item] = place;
    }
}

/// The best of the local optima that are reached from different starts.
pub(super) fn local_search(given: &Orders, segments: &Segments) -> Orders {
    let mut best = given.clone();
    let mut fewest = segments.crossings(&best);
    let mut visits = 0;
    let mut random = Random(1);
    for start in 0..STARTS {
        let mut layers = given.clone();
        match start {
            0 => {}
            1 => layers.iter_mut().for_each(|layer| layer.reverse()),
            _ => layers.iter_mut().for_each(|layer| random.shuffle(layer)),
        }
        let mut reached = usize::MAX;
        for _ in 0..ROUNDS {
            if fewest == 0 || visits > VISITS {
                return best;
            }
            sweep(&mut layers, segments);
            visits += 3 * segments.count + exchange(&mut layers, segments, VISITS.saturating_sub(visits));
            let crossings = segments.crossings(&layers);
            if crossings < fewest {
                fewest = crossings;
                best.clone_from(&layers);
            }
            if crossings >= reached {
                break;
            }
            reached = crossings;
        }
    }
    best
}

/// Sorts every layer by barycentres, once to the right and once to the left.
fn sweep(layers: &mut Orders, segments: &Segments) {
    let mut places = segments.places(layers);
    for layer in layers.iter_mut().skip(1) {
        sort_by_barycentre(layer, &segments.before, &mut places);
    }
    for layer in layers.iter_mut().rev().skip(1) {
        sort_by_barycentre(layer, &segments.after, &mut places);
    }
}

fn sort_by_barycentre(layer: &mut [usize], neighbours: &[Vec<usize>], places: &mut [usize]) {
    let barycentre = |item: usize| match neighbours[item].as_slice() {
        // without neighbours it may as well stay
        [] => places[item] as f64,
        near => near.iter().map(|&n| places[n] as f64).sum::<f64>() / near.len() as f64,
    };
    let mut keyed: Vec<_> = layer.iter().map(|&item| (barycentre(item), item)).collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (slot, (_, item)) in layer.iter_mut().zip(keyed) {
        *slot = item;
    }
    enter(layer, places);
}

/// Swaps neighbours in a layer while that removes crossings, for at most about `limit` visits of
/// segments; returns how many it made.
fn exchange(layers: &mut Orders, segments: &Segments, limit: usize) -> usize {
    let mut places = segments.places(layers);
    let mut visits = 0;
    let mut improved = true;
    while improved && visits < limit {
        improved = false;
        for layer in layers.iter_mut() {
            for i in 1..layer.len() {
                let (upper, lower) = (layer[i - 1], layer[i]);
                let mut gain = 0;
                for side in [&segments.before, &segments.after] {
                    let crossed = |a: usize, b: usize| -> isize {
                        let below = |p: usize| side[b].iter().filter(|&&q| places[q] < p).count();
                        side[a].iter().map(|&p| below(places[p]) as isize).sum()
                    };
                    gain += crossed(upper, lower) - crossed(lower, upper);
                    visits += side[upper].len() + side[lower].len();
                }
                if gain > 0 {
                    layer.swap(i - 1, i);
                    (places[upper], places[lower]) = (i, i - 1);
                    improved = true;
                }
            }
        }
    }
    visits
}

/// Orders with the fewest crossings there are, or `None` if there are too many orders to compare.
fn exact_search(layers: &Orders, segments: &Segments) -> Option<Orders> {
    let counts = layers.iter().map(|layer| factorial(layer.len()));
    let counts = counts.collect::<Option<Vec<usize>>>()?;
    let pairs = counts.windows(2).map(|pair| pair[0].checked_mul(pair[1]));
    if pairs.sum::<Option<usize>>()? > PAIRS {
        return None;
    }
    let permuted: Vec<Orders> = layers.iter().map(|layer| permutations(layer)).collect();
    let mut places = vec![0; segments.after.len()];
    // for each order of the layer: (crossings so far, the order of the layer before)
    let mut ways: Vec<Vec<(usize, usize)>> = vec![vec![(0, 0); *counts.first()?]];
    for (left, right) in permuted.iter().zip(&permuted[1..]) {
        let so_far = ways.last()?;
        let best_way = |order: &Vec<usize>| {
            enter(order, &mut places);
            let way = |(i, left): (usize, &Vec<usize>)| {
                (so_far[i].0 + segments.crossings_between(left, order.len(), &places), i)
            };
            left.iter().enumerate().map(way).min().unwrap_or((0, 0))
        };
        let next = right.iter().map(best_way).collect();
        ways.push(next);
    }
    let mut order = (0..*counts.last()?).min_by_key(|&i| ways[layers.len() - 1][i])?;
    let mut best = Vec::with_capacity(layers.len());
    for (way, orders) in ways.iter().zip(&permuted).rev() {
        best.push(orders[order].clone());
        order = way[order].1;
    }
    best.reverse();
    Some(best)
}

fn factorial(n: usize) -> Option<usize> {
    (1..=n).try_fold(1, |product: usize, i| product.checked_mul(i))
}

/// All orders of `items`: each of the items first, with all orders of the others.
pub(super) fn permutations(items: &[usize]) -> Orders {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |i: usize| {
        let mut rest = items.to_vec();
        let first = rest.remove(i);
        permutations(&rest).into_iter().map(move |tail| [vec![first], tail].concat())
    };
    (0..items.len()).flat_map(with_first).collect()
}

/// Knuth's linear congruential generator (MMIX): the same drawing on every run and machine.
pub(super) struct Random(pub u64);

impl Random {
    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound.max(1) as u64) as usize
    }

    fn shuffle(&mut self, items: &mut [usize]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
