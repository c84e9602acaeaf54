//! What designs need to know of a card: the price of a node of a graph, of an edge, of a barrier, of a word from each
//! memory.
//!
//! ```sh
//! cargo bench --bench latency            # a line of JSON a figure, and a table on standard error
//! cargo bench --bench latency -- --test  # everything once, at tiny sizes; no figure is claimed
//! ```
//!
//! | name | what one of them is |
//! |---|---|
//! | `latency/graph_node`, `latency/graph_node_full` | a node of a chain of empty kernels: one block; a block a multiprocessor |
//! | `latency/edge`, `latency/edge_full` | the same, of kernels that wait for the one before themselves, with ordinary edges |
//! | `latency/edge_programmatic`, `latency/edge_programmatic_full` | the same, with programmatic dependent launch |
//! | `latency/graph_to_graph` | a graph of one node, launched again and again |
//! | `latency/graph_launch_host` | the host's time of such a launch |
//! | `latency/grid_barrier` | a barrier of all blocks, one a multiprocessor, through global memory |
//! | `latency/cluster_barrier/n` | a barrier of a cluster of n blocks |
//! | `latency/shared`, `latency/cluster_load/n` | a load from the own shared memory; from a neighbour's in a cluster of n |
//! | `latency/l2`, `latency/memory` | a load past the first-level cache: of what the second holds; of four times as much |
//! | `latency/atomic` | an atomic addition of whose result the next one depends |
//! | `latency/cluster_read/n` | 32 KiB of the neighbour's shared memory, read by a block; the rate is the whole card's |
//!
//! Every figure is a difference: the time by events of few (nodes, rounds, steps), taken from that of many, over how
//! many more they are; so what a launch costs falls out. Before the first event the card gets work of a few
//! milliseconds, so that launches are queued when their turn comes and the host's speed falls out as well.
//! Half a second of the same work goes before everything, so that the clocks are up.
//! `samples` such differences are taken, `seconds` is their median and `spread` is (largest - smallest) / median.
//!
//! A line of JSON has `name`, `seconds`, `samples`, `spread`, `began`, `ended` (unix time in seconds) and `device`; a
//! rate's has `rate` and `unit` as well; one that was only rehearsed has `rehearsed`, and its time says nothing. What
//! the device cannot do has `name` and `problem` instead.
//!
//! Without a usable GPU the program prints one line that says how to get figures, and succeeds.
//! `COTANGENT_BENCH_DEVICE` is the number of the device, 0 if not set. An emulated device rehearses only:
//!
//! ```sh
//! COTANGENT_BENCH_DEVICE=2 scripts/emulated cargo bench --bench latency -- --test
//! ```

#[path = "latency/cases.rs"]
mod cases;
#[path = "figures/mod.rs"]
mod figures;
#[path = "latency/lab.rs"]
mod lab;
#[path = "cuda/opened.rs"]
mod opened;

use std::process::ExitCode;

use cotangent::errors::with_causes;
use figures::{median, spread};
use lab::{Figure, Lab};

fn main() -> ExitCode {
    // `cargo bench` passes --bench; all else is a rehearsal.
    let is_given = |flag: &str| std::env::args().any(|argument| argument == flag);
    let measures = is_given("--bench") && !is_given("--test");
    let mut lab = match Lab::open(measures) {
        Ok(lab) if lab.is_emulated() && measures => {
            let name = lab.device.name();
            println!("SKIPPED latency: {name}, whose times say nothing; -- --test rehearses them");
            return ExitCode::SUCCESS;
        }
        Ok(lab) => lab,
        Err(problem) => {
            println!(
                "SKIPPED latency: {}; figures come from `cargo bench --bench latency` on a machine with a card",
                with_causes(&*problem)
            );
            return ExitCode::SUCCESS;
        }
    };
    eprintln!("{}, compute capability {}", lab.device.name(), lab.device.capability());
    let mut failed = 0;
    for case in cases::all() {
        let name = format!("latency/{}", case.name);
        match (case.run)(&mut lab) {
            Ok(figure) => print(&lab, &name, &figure),
            Err(problem) => {
                let problem = with_causes(&*problem);
                println!("{}", serde_json::json!({ "name": name, "problem": problem }));
                eprintln!("{name:<36} {problem}");
                let is_expected = case.is_optional || case.is_new && lab.is_old();
                failed += usize::from(!is_expected);
            }
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(lab: &Lab, name: &str, figure: &Figure) {
    let Figure { samples, amount, began, ended } = figure;
    let (seconds, spread) = (median(samples), spread(samples));
    let mut line = serde_json::json!({
        "name": name, "seconds": seconds, "samples": samples.len(), "spread": spread, "began": began,
        "ended": ended, "device": lab.device.name(),
    });
    let mut rate = String::new();
    if let Some(bytes) = amount {
        let each_second = bytes / seconds / 1e9;
        line["rate"] = each_second.into();
        line["unit"] = "GB/s".into();
        rate = format!("{each_second:>12.1} GB/s");
    }
    if lab.measures {
        eprintln!("{name:<36} {:>12.1} ns  spread {:>5.1}%{rate}", seconds * 1e9, 100.0 * spread);
    } else {
        line["rehearsed"] = true.into();
        eprintln!("{name:<36} rehearsed");
    }
    println!("{line}");
}
