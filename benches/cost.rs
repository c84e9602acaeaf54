//! How the time of an epoch grows with the width of the network and with the batch size, beside its floor.
//!
//! ```sh
//! cargo bench --bench cost     # a table, docs/cost-width.svg and docs/cost-batch.svg
//! ```
//!
//! The floor is what no program can do without: the operations of the products over the rate at which this machine does
//! products, or the bytes of parameters and optimizer state, read and written once a step, over the rate at which it moves
//! them, whichever is longer. There are two: of all products, which a program that multiplies zeros as well cannot beat, and of the
//! multiplications that are left without them. The rates are the crate `gemm`'s for large square matrices and those of
//! bytes that fit no cache, on all threads at once (`cpu/ceilings.rs`). A time is the median of several stretches of an epoch; each
//! batch is gathered before its step here, where an epoch gathers it beside the step before.

#[allow(dead_code, reason = "`cpu` needs the rest")]
#[path = "cpu/ceilings.rs"]
mod ceilings;
#[allow(dead_code, reason = "`cpu` needs the rest")]
#[path = "cpu/training.rs"]
mod training;

use std::time::{Duration, Instant};

use cotangent::data::Dataset;
use cotangent::draw::{LineChart, ScaleKind, Series};
use cotangent::exec::Team;
use cotangent::nn::{Activation, Model, perceptron};

use ceilings::{Level, Processor};
use training::Training;

const WIDTHS: [usize; 6] = [128, 256, 512, 1024, 1536, 2048];
const BATCH_SIZES: [usize; 6] = [32, 64, 128, 256, 512, 1024];
const WIDTH: usize = 512;
const BATCH_SIZE: usize = 128;

/// At least so long is each network trained before it is measured, and at each of so many stretches.
const STRETCH: Duration = Duration::from_millis(400);
const STRETCHES: usize = 5;

/// What this machine can do at most, on all threads.
struct Ceilings {
    threads: usize,
    /// Multiplications, each with an addition, a second.
    multiplications: f64,
    /// Bytes read and written a second.
    bytes: f64,
}

/// Times of an epoch, in seconds.
struct Cost {
    measured: f64,
    /// Of all products, and of what is left of them.
    floors: [f64; 2],
}

impl Ceilings {
    fn measure(team: &mut Team) -> Self {
        let threads = team.threads();
        let length = Processor::of_machine().bytes(Level::Memory, threads);
        let bytes = ceilings::moved(team, length);
        Self { threads, multiplications: ceilings::products(team), bytes }
    }
}

fn measure(ceilings: &Ceilings, data: &Dataset, width: usize, batch_size: usize) -> Cost {
    let split = &data.train;
    let widths = vec![split.pixels(), width, width / 2, 10];
    let model = perceptron(&widths, Activation::Relu, 0.0);
    let parameters = model.parameter_count() as f64;
    let team = Team::new(ceilings.threads).expect("as many threads as the machine has processors");
    let mut training = Training::new(team, &model, data, batch_size);
    let mut steps_for_a_stretch = || {
        let start = Instant::now();
        let mut steps = 0.0;
        while start.elapsed() < STRETCH {
            training.step();
            steps += 1.0;
        }
        start.elapsed().as_secs_f64() / steps
    };
    steps_for_a_stretch();
    let mut times: Vec<f64> = (0..STRETCHES).map(|_| steps_for_a_stretch()).collect();
    times.sort_unstable_by(f64::total_cmp);
    let steps = split.len() as f64 / batch_size as f64;
    // θ, m and v, each read and written.
    let bytes = 6.0 * 4.0 * parameters / ceilings.bytes;
    let floor = |multiplications: u64| steps * (multiplications as f64 / ceilings.multiplications).max(bytes);
    let floors = training.multiplications().map(floor);
    Cost { measured: steps * times[STRETCHES / 2], floors }
}

/// Prints a table and draws it.
fn report(name: &str, x: &str, setting: &str, xs: &[usize], costs: &[Cost], ceilings: &Ceilings) {
    println!(
        "\n| {x} | measured, s an epoch | floor of all products | floor of what is left |\n|---|---|---|---|"
    );
    for (x, Cost { measured, floors: [all, left] }) in xs.iter().zip(costs) {
        println!("| {x} | {measured:.3} | {all:.3} | {left:.3} |");
    }
    let series = |name: &str, y: fn(&Cost) -> f64| Series {
        name: name.into(),
        points: xs.iter().zip(costs).map(|(&x, cost)| (x as f64, y(cost))).collect(),
        ..Series::default()
    };
    let chart = LineChart {
        title: format!("Training time of an MNIST epoch by {x}"),
        subtitle: Some(format!(
            "{setting}, Adam, {} threads; products at {:.0} GFLOP/s, copies at {:.0} GB/s",
            ceilings.threads,
            2e-9 * ceilings.multiplications,
            1e-9 * ceilings.bytes
        )),
        x_label: x.into(),
        y_label: "seconds an epoch".into(),
        y_scale: ScaleKind::Log,
        series: vec![
            series("measured", |cost| cost.measured),
            series("floor of all products", |cost| cost.floors[0]),
            series("floor without zeros", |cost| cost.floors[1]),
        ],
        ..LineChart::default()
    };
    let path = format!("{}/docs/{name}.svg", env!("CARGO_MANIFEST_DIR"));
    match std::fs::write(&path, chart.svg()) {
        Ok(()) => println!("\nsee {path}"),
        Err(error) => eprintln!("cannot write {path}: {error}"),
    }
}

fn main() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/mnist");
    let data = Dataset::from_folder(folder.as_ref()).expect("MNIST is in the repository");
    let mut team = Team::of_machine();
    let ceilings = Ceilings::measure(&mut team);
    println!(
        "{} threads: products at {:.1} GFLOP/s, copies at {:.1} GB/s",
        team.threads(),
        2e-9 * ceilings.multiplications,
        1e-9 * ceilings.bytes
    );
    let costs = WIDTHS.map(|width| measure(&ceilings, &data, width, BATCH_SIZE));
    let setting = format!("784-w-w/2-10, batch {BATCH_SIZE}");
    report("cost-width", "width w", &setting, &WIDTHS, &costs, &ceilings);
    let costs = BATCH_SIZES.map(|batch_size| measure(&ceilings, &data, WIDTH, batch_size));
    let setting = format!("784-{WIDTH}-{}-10", WIDTH / 2);
    report("cost-batch", "batch size", &setting, &BATCH_SIZES, &costs, &ceilings);
}
