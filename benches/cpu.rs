//! CPU timings: each kernel's time, its rate, and how near that comes to what the processor can do.
//!
//! ```sh
//! cargo bench --bench cpu                          # all, in about a minute: target/bench/cpu/kernels.csv, .png and .md
//! cargo bench --bench cpu -- softmax update/adam   # those with one of these in their names
//! cargo bench --bench cpu -- --list                # the names
//! cargo bench --bench cpu -- --test                # each once, and nothing is claimed
//! cargo bench --bench cpu -- --draw FILE.csv       # the picture of figures that are there, FILE.png, and their table
//! COTANGENT_BENCH_PEER="python3 benches/peers/torch_cpu.py" cargo bench --bench cpu    # PyTorch in pairs with ours
//! ```
//!
//! First the ceilings are measured (`cpu/ceilings.rs`): float32 multiply-adds a second, from registers, in the widest vectors that
//! there are; and the bytes a second, reads and writes both counted, that can be moved within the first-level cache, within
//! the second, within the third, and in memory. Then each case prints a line. Its operations over the one
//! ceiling and its bytes over the other are two times, and the ceiling that gives the longer one binds: the line says
//! which, and the share of it that was reached. The ceiling for bytes is that of the level that all operands
//! of the case fit together, for every call meets the same operands.
//!
//! Operations and bytes are those that the work must do and move, whatever the kernel does: each operand read once, each
//! result written once. Arithmetic is counted for products alone; roots, divisions and exponentials bind several of the
//! others before bytes do, and lower their shares.
//!
//! | names | multiply-adds | bytes |
//! |---|---|---|
//! | `product/{forward,weight_gradient,input_gradient}/i-o/dense` | m n k | 4 (m k + k n + m n) |
//! | `product/.../skipping`, z elements of the first operand other than zero | z n | 8 z + 4 (k n + m n) |
//! | `product/square/n`, also on all threads | n³ | 12 n² |
//! | `nonzeros/images/rxc`, z elements other than zero | | 4 r c + 16 z |
//! | `update/{sgd,adagrad,rmsprop}/n` | | 20 n |
//! | `update/adam/n` | | 28 n |
//! | `softmax_cross_entropy/rxc`, with the gradient | | 8 r c + 8 r |
//! | `training_step/adam/784-512-256-10`, on one, two and all threads | those of its products, zeros left out | 24 n of n parameters |
//!
//! i-o: a layer from i inputs to o outputs, for a batch of 128, operands as they stand in a training step. Operands are
//! standard normal. For skipping products they have the zeros of training: the first operand of a first layer's is a batch of MNIST,
//! that of the second's what ReLU made of it after an epoch of Adam; gradients are normal where ReLU let them
//! through.
//!
//! **Skipping products count only the multiply-adds that are left**, in `rate` and in `ceiling_share`: a share of 1 would be a
//! kernel to which lists cost nothing. That lets them look slow beside dense ones, whose row for the same layer has
//! the time to compare with. Listing what is not zero is a case of its own (`nonzeros`); a training step does it once for each batch and layer.
//!
//! Figures are medians of nine samples of at least 20 ms each, in random pairs with a peer's where there is one. What
//! runs on several threads has their number in its name, `@2`; all else runs on one. A ceiling is the best of its samples instead,
//! so what else runs on the machine lowers shares; its row has the time of a million multiply-adds, or of once through the bytes.

#[path = "cpu/cases.rs"]
mod cases;
#[allow(dead_code, reason = "`cost` needs the rest")]
#[path = "cpu/ceilings.rs"]
mod ceilings;
#[path = "figures/mod.rs"]
mod figures;
#[path = "cpu/materials.rs"]
mod materials;
#[path = "cpu/training.rs"]
mod training;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use cotangent::exec::Team;

use cases::{Case, Prepared, Work};
use ceilings::{Ceilings, Level, Processor};
use figures::{Asked, Figures, Limits, Mode, Paired, Peer, Row, Stopwatch, median, pair, seconds_of, spread};
use materials::Materials;

const SAMPLES: usize = 9;

/// Before a sample in pairs: a peer's threads may go on waiting for work for a while, and so may ours.
const PAUSE: Duration = Duration::from_millis(10);

/// What the picture says.
const TITLE: &str = "CPU kernels beside what the processor can do";
const PEER: &str = "PyTorch";
const NOTES: [&str; 2] = [
    "The ceiling is that of multiply-adds from registers, or of bytes moved within the level of memory that the operands \
     fit, whichever the work needs longer for.",
    "Skipping products and PyTorch's marks beside them count only multiply-adds with a non-zero operand; PyTorch does all \
     of them.",
];

fn main() -> ExitCode {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let done = Asked::of_command_line().map_err(Into::into).and_then(|asked| {
        let cases = cases::all(threads).into_iter().filter(|case| asked.wants(&case.name())).collect();
        let rehearses = asked.mode == Mode::Rehearse;
        match asked.mode {
            Mode::List => list(cases),
            Mode::Measure => measure(cases)?,
            Mode::Draw(csv) => {
                print!("{}", figures::draw_again(&csv, TITLE, PEER, &NOTES.map(str::to_owned))?)
            }
            Mode::Rehearse | Mode::Profile(_) => rehearse(cases, rehearses)?,
        }
        Ok::<(), Box<dyn Error>>(())
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("cpu benches: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn list(cases: Vec<Case>) {
    for case in cases {
        println!("{}", case.name());
    }
}

/// Runs each case once; what a training leaves behind need not be much, then.
fn rehearse(cases: Vec<Case>, briefly: bool) -> Result<(), Box<dyn Error>> {
    let materials = Materials::new(if briefly { 3 } else { materials::EPOCH });
    for case in cases {
        let mut team = Team::new(case.threads)?;
        let mut prepared = (case.prepare)(&materials);
        team.install(|| (prepared.call)());
        println!("{} runs", case.name());
    }
    Ok(())
}

fn measure(cases: Vec<Case>) -> Result<(), Box<dyn Error>> {
    let mut bench = Bench::new()?;
    let materials = Materials::new(materials::EPOCH);
    for case in cases {
        bench.measure(case, &materials)?;
    }
    let folder = bench.figures.draw(TITLE, PEER, &NOTES.map(str::to_owned))?;
    println!("\nsee {}", folder.display());
    Ok(())
}

/// What all cases share.
struct Bench {
    processor: Processor,
    figures: Figures,
    /// By the number of threads, as cases ask for them.
    ceilings: BTreeMap<usize, Ceilings>,
    peer: Option<Peer>,
    watch: Stopwatch,
}

impl Bench {
    fn new() -> Result<Self, Box<dyn Error>> {
        let processor = Processor::of_machine();
        println!("{}", processor.name);
        let watch = Stopwatch::new(SAMPLES, Duration::from_millis(20), Duration::from_millis(60));
        let figures = Figures::create("target/bench/cpu")?;
        let peer = Peer::of_environment(Limits::default())?;
        Ok(Self { processor, figures, ceilings: BTreeMap::new(), peer, watch })
    }

    fn measure(&mut self, case: Case, materials: &Materials) -> Result<(), Box<dyn Error>> {
        let mut team = Team::new(case.threads)?;
        let ceilings = self.ceilings_on(&mut team)?;
        let Prepared { work, mut call } = (case.prepare)(materials);
        let mut seconds = |calls: u64| Ok::<f64, Infallible>(team.install(|| seconds_of(calls, &mut call)));
        let name = case.name();
        let Ok(Samples { ours, theirs }) = samples(&self.watch, self.peer.as_mut(), &name, &mut seconds);
        self.report(&case, work, &ours, theirs, ceilings)
    }

    /// Those on the team's number of threads, measured when they are first needed.
    fn ceilings_on(&mut self, team: &mut Team) -> Result<Ceilings, Box<dyn Error>> {
        let threads = team.threads();
        if let Some(ceilings) = self.ceilings.get(&threads) {
            return Ok(*ceilings);
        }
        let ceilings = Ceilings::measure(team, &self.processor);
        self.ceilings.insert(threads, ceilings);
        let million = 1e6;
        self.add_ceiling(
            "multiply_adds",
            "registers".into(),
            (2.0 * million, 2.0 * ceilings.multiply_adds),
            threads,
        )?;
        for level in Level::ALL {
            let bytes = threads * self.processor.bytes(level, threads);
            let size =
                if bytes < 1 << 20 { format!("{}KiB", bytes >> 10) } else { format!("{}MiB", bytes >> 20) };
            let shape = format!("{} {size}", level.name());
            self.add_ceiling("bytes", shape, (bytes as f64, ceilings.bytes(level)), threads)?;
        }
        Ok(ceilings)
    }

    /// A row of what all else is held against: some work, and how much of it is done a second.
    fn add_ceiling(
        &mut self,
        what: &str,
        shape: String,
        (work, rate): (f64, f64),
        threads: usize,
    ) -> Result<(), Box<dyn Error>> {
        let (kernel, unit) = (format!("ceiling/{what}"), if what == "bytes" { "GB/s" } else { "GFLOP/s" });
        let name = format!("{kernel}/{shape}{}", cases::on(threads));
        println!("{name:<52} {:>15} {:>9.2} {unit}", in_words(work / rate), 1e-9 * rate);
        self.figures.add(Row {
            kernel,
            shape,
            microseconds: 1e6 * work / rate,
            rate: Some(1e-9 * rate),
            unit: unit.into(),
            ceiling_share: Some(1.0),
            ..self.row(threads)
        })
    }

    fn report(
        &mut self,
        case: &Case,
        work: Work,
        ours: &[f64],
        theirs: Option<f64>,
        ceilings: Ceilings,
    ) -> Result<(), Box<dyn Error>> {
        let level = self.processor.level(work.operands as usize, case.threads);
        let least = [work.multiply_adds / ceilings.multiply_adds, work.bytes / ceilings.bytes(level)];
        let seconds = median(ours);
        let (rate, unit, bound) = if least[0] > least[1] {
            (2e-9 * work.multiply_adds / seconds, "GFLOP/s", "multiply-adds".to_owned())
        } else {
            (1e-9 * work.bytes / seconds, "GB/s", format!("bytes, {}", level.name()))
        };
        let share = least[0].max(least[1]) / seconds;
        let beside = theirs.map_or(String::new(), |theirs| format!("   peer {}", in_words(theirs)));
        println!(
            "{:<52} {:>10} ±{:>2.0}% {rate:>9.2} {unit:<7} {:>5.1}% of {bound:<14}{beside}",
            case.name(),
            in_words(seconds),
            50.0 * spread(ours),
            100.0 * share,
        );
        self.figures.add(Row {
            kernel: case.kernel.clone(),
            shape: case.shape.clone(),
            variant: case.variant.into(),
            microseconds: 1e6 * seconds,
            rate: Some(rate),
            unit: unit.into(),
            ceiling_share: Some(share),
            peer_microseconds: theirs.map(|theirs| 1e6 * theirs),
            ..self.row(case.threads)
        })
    }

    /// A row of nothing yet.
    fn row(&self, threads: usize) -> Row {
        let threads = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
        Row {
            precision: "f32".into(),
            card: format!("{}, {threads}", self.processor.name),
            date: figures::today(),
            ..Row::default()
        }
    }
}

/// Ours, and the peer's median.
struct Samples {
    ours: Vec<f64>,
    theirs: Option<f64>,
}

/// Samples of ours alone, or in pairs with the fastest of the peers that can do the case.
fn samples<E>(
    watch: &Stopwatch,
    peer: Option<&mut Peer>,
    name: &str,
    mut seconds: impl FnMut(u64) -> Result<f64, E>,
) -> Result<Samples, E> {
    let problem = |of: &str, problem: String| eprintln!("{name}: {of}: {problem}");
    let mut found = Samples { ours: Vec::new(), theirs: None };
    if let Some(peer) = peer {
        let peers = peer.peers(name).unwrap_or_else(|why| {
            problem("the peer", why);
            Vec::new()
        });
        for of in &peers {
            let calls = watch.calls(&mut seconds)?;
            let Paired { ours, theirs, problem: failed } =
                pair(peer, (name, of, "warm"), watch.samples(), || {
                    thread::sleep(PAUSE);
                    seconds(calls)
                })?;
            if !theirs.is_empty() && found.theirs.is_none_or(|fastest| median(&theirs) < fastest) {
                found = Samples { ours, theirs: Some(median(&theirs)) };
            }
            if let Some(why) = failed {
                problem(of, why);
            }
        }
    }
    if found.theirs.is_none() {
        found.ours = watch.take(seconds)?;
    }
    Ok(found)
}

fn in_words(seconds: f64) -> String {
    if seconds < 1e-3 { format!("{:.2} µs", 1e6 * seconds) } else { format!("{:.3} ms", 1e3 * seconds) }
}
