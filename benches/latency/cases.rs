//! What is measured: few and many of each.

use cotangent::exec::cuda::{Edge, Latency, allocate};
use cudarc::driver::CudaGraph;

use crate::lab::{Figure, Lab, Outcome};

type Measurement = Box<dyn Fn(&mut Lab) -> Outcome<Figure>>;

/// Something that has a price.
pub struct Case {
    pub name: String,
    /// Only devices from compute capability 9.0 on have it.
    pub is_new: bool,
    /// Not each of those has it either.
    pub is_optional: bool,
    pub run: Measurement,
}

fn case(name: impl Into<String>, run: impl Fn(&mut Lab) -> Outcome<Figure> + 'static) -> Case {
    Case { name: name.into(), is_new: false, is_optional: false, run: Box::new(run) }
}

/// Sizes of clusters; the last one only where the device has room for it.
const SIZES: [usize; 4] = [2, 4, 8, 16];

/// Words from one link to the next: a line of the caches, 128 bytes.
const LINE: usize = 16;

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (suffix, is_full) in [("", false), ("_full", true)] {
        cases.push(case(format!("graph_node{suffix}"), move |lab| chain(lab, None, is_full)));
        for (name, edge) in [("edge", Edge::Ordinary), ("edge_programmatic", Edge::Programmatic)] {
            let run = move |lab: &mut Lab| chain(lab, Some(edge), is_full);
            cases.push(Case { is_new: true, ..case(format!("{name}{suffix}"), run) });
        }
    }
    cases.push(case("graph_to_graph", graph_to_graph));
    cases.push(case("graph_launch_host", |lab| {
        let graph = chain_of(lab, None, 1, 1)?;
        lab.host_figure(|_| Ok(graph.launch()?))
    }));
    cases.push(case("grid_barrier", grid_barrier));
    cases.push(case("shared", shared));
    cases.push(case("l2", |lab| chase(lab, lab.cache / 4, true)));
    cases.push(case("memory", |lab| chase(lab, 4 * lab.cache, false)));
    cases.push(case("atomic", atomic));
    type Run = fn(&mut Lab, usize) -> Outcome<Figure>;
    let of_clusters: [(&str, Run); 3] = [
        ("cluster_barrier", cluster_barrier),
        ("cluster_load", cluster_load),
        ("cluster_read", cluster_read),
    ];
    for (name, run) in of_clusters {
        for size in SIZES {
            let is_optional = size > 8;
            let case = case(format!("{name}/{size}"), move |lab| run(lab, size));
            cases.push(Case { is_new: true, is_optional, ..case });
        }
    }
    cases
}

/// A graph of so many nodes in a row: empty kernels, or ones that wait themselves.
fn chain_of(lab: &Lab, edge: Option<Edge>, nodes: usize, blocks: usize) -> Outcome<CudaGraph> {
    lab.captured(|stream| {
        for _ in 0..nodes {
            match edge {
                None => lab.kernels().node(stream, blocks, None)?,
                Some(edge) => lab.kernels().edge(stream, edge, blocks, None)?,
            }
        }
        Ok(())
    })
}

fn chain(lab: &mut Lab, edge: Option<Edge>, is_full: bool) -> Outcome<Figure> {
    let blocks = if is_full { lab.multiprocessors } else { 1 };
    let counts = lab.counts(20, 220);
    let few = chain_of(lab, edge, counts[0], blocks)?;
    let many = chain_of(lab, edge, counts[1], blocks)?;
    lab.figure(counts, None, |_, _, nodes| {
        let graph = if nodes == counts[0] { &few } else { &many };
        Ok(graph.launch()?)
    })
}

fn graph_to_graph(lab: &mut Lab) -> Outcome<Figure> {
    let graph = chain_of(lab, None, 1, 1)?;
    lab.figure(lab.counts(20, 220), None, |_, _, launches| {
        for _ in 0..launches {
            graph.launch()?;
        }
        Ok(())
    })
}

fn grid_barrier(lab: &mut Lab) -> Outcome<Figure> {
    let mut arrived = allocate::<u32>(&lab.stream, 1)?;
    let blocks = lab.multiprocessors;
    lab.figure(lab.counts(10, 1010), None, |latency, stream, rounds| {
        Ok(latency.grid_barrier(stream, blocks, rounds, &mut arrived.as_view_mut(), None)?)
    })
}

fn cluster_barrier(lab: &mut Lab, size: usize) -> Outcome<Figure> {
    lab.figure(lab.counts(10, 2010), None, |latency, stream, rounds| {
        Ok(latency.cluster_barrier(stream, [1, size], rounds, None)?)
    })
}

fn shared(lab: &mut Lab) -> Outcome<Figure> {
    let table = lab.kernels().table(&lab.stream, &lab.cycle(Latency::LINKS))?;
    let mut end = allocate::<u32>(&lab.stream, 1)?;
    lab.figure(lab.counts(1000, 21_000), None, |latency, stream, steps| {
        Ok(latency.shared_chase(stream, &table, steps, &mut end.as_view_mut())?)
    })
}

fn cluster_load(lab: &mut Lab, size: usize) -> Outcome<Figure> {
    let table = lab.kernels().table(&lab.stream, &lab.cycle(Latency::LINKS))?;
    let mut ends = allocate::<u32>(&lab.stream, size)?;
    lab.figure(lab.counts(1000, 21_000), None, |latency, stream, steps| {
        Ok(latency.cluster_chase(stream, [1, size], &table, steps, &mut ends.as_view_mut())?)
    })
}

fn cluster_read(lab: &mut Lab, size: usize) -> Outcome<Figure> {
    let clusters = lab.kernels().readers_at_once(&lab.stream, size)?;
    if clusters == 0 {
        return Err(format!("the device has no room for a cluster of {size} blocks").into());
    }
    let threads = clusters * size * Latency::READ_THREADS;
    let mut sums = allocate::<u32>(&lab.stream, threads)?;
    let bytes = (clusters * size * Latency::READ_BYTES) as f64;
    lab.figure(lab.counts(10, 410), Some(bytes), |latency, stream, rounds| {
        latency.cluster_read(stream, [clusters, size], rounds, &mut sums.as_view_mut())?;
        Ok(())
    })
}

/// Links on so many bytes, which are in the second-level cache before, or in which no link is met twice.
fn chase(lab: &mut Lab, bytes: usize, is_warm: bool) -> Outcome<Figure> {
    let bytes = if lab.measures { bytes } else { 1 << 14 };
    let next = lab.cycle((bytes / (LINE * size_of::<u64>())).max(1));
    let links = lab.kernels().links(&lab.stream, &next, LINE)?;
    let mut end = allocate::<u64>(&lab.stream, 1)?;
    let mut at = 0;
    if !is_warm {
        // What was uploaded last still lies in the cache: twice its size of something else takes its place.
        let mut other = allocate::<u8>(&lab.stream, bytes / 2)?;
        lab.stream.memset_zeros(&mut other)?;
    } else {
        lab.kernels().chase(&lab.stream, &links, at, next.len(), &mut end.as_view_mut())?;
    }
    lab.figure(lab.counts(2000, 22_000), None, |latency, stream, steps| {
        latency.chase(stream, &links, at, steps, &mut end.as_view_mut())?;
        if !is_warm {
            // Where this one will end; the host follows it while the card does.
            at = (0..steps).fold(at, |at, _| next[at] as usize);
        }
        Ok(())
    })
}

fn atomic(lab: &mut Lab) -> Outcome<Figure> {
    let mut memory = allocate::<u32>(&lab.stream, 64)?;
    let (mut count, mut last) = memory.split_at_mut(32); // lines of their own
    lab.figure(lab.counts(1000, 11_000), None, |latency, stream, steps| {
        Ok(latency.atomic(stream, steps, &mut count.slice_mut(..1), &mut last.slice_mut(..1))?)
    })
}
