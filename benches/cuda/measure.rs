//! Takes the times: of each case in each state of the cache, in turns with those of peers.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cases::{Case, How, Scale};
use crate::figures::{
    Figures, LEAST_SAMPLES, Limits, PAIRS_ONLY, Paired, Peer, Stopwatch, now, pair, today, wants_pairs_only,
};
use crate::lab::{Lab, Outcome};
use crate::report::{Bound, Ceilings, Figure, PeerFigure};
use crate::rota::{Cache, Rota};
use crate::rotation::{Rotation, Timed};
use crate::training::Training;

/// The variable that names a file for the figures.
const JSON: &str = "COTANGENT_BENCH_JSON";

/// Rounds with each peer, or alone.
const ROUNDS: usize = LEAST_SAMPLES + 2;

/// A sample is as many launches as take this time, some ten thousand times what events resolve.
const SAMPLE: Duration = Duration::from_millis(10);

/// Caches fill, and the clocks come up again after what was prepared on the host; before the first case, from idleness.
const WARM_UP: Duration = Duration::from_millis(40);
const FIRST_WARM_UP: Duration = Duration::from_millis(500);

/// A peer compiles a training step in less than a minute; the longest sample is a second.
const LIMITS: Limits = Limits { prepare: Duration::from_secs(90), answer: Duration::from_secs(10) };

/// The cache of the largest cards, by which a rehearsal decides what is rehearsed warm.
const REHEARSED_CACHE: u64 = 50 << 20;

/// What the picture says.
pub const TITLE: &str = "Kernels on the card";
pub const PEER: &str = "PyTorch";
pub const NOTE: &str = "Operands are in memory when a launch begins, except where a row says warm: there they are in the \
                        second-level cache. The table has both of what was measured in both states.";

/// The run: what measures, and where figures go.
pub struct Bench {
    lab: Rc<Lab>,
    scale: Scale,
    ceilings: Ceilings,
    figures: Option<Figures>,
    json: Option<File>,
    peer: Option<Peer>,
    /// Whether cases without a peer are left out, and how many were.
    pairs_only: bool,
    left_out: usize,
    date: String,
}

impl Bench {
    pub fn new(lab: Lab, scale: Scale) -> Outcome<Self> {
        let json = match std::env::var_os(JSON) {
            None => None,
            Some(path) => {
                let opened = OpenOptions::new().create(true).append(true).open(&path);
                Some(opened.map_err(|error| format!("{JSON}: cannot open {}: {error}", path.display()))?)
            }
        };
        let figures = match scale {
            Scale::Full => Some(Figures::create("target/bench/cuda")?),
            Scale::Tiny => None,
        };
        let peer = Peer::of_environment(LIMITS)?;
        let pairs_only = wants_pairs_only(std::env::var(PAIRS_ONLY).ok().as_deref(), peer.is_some())?;
        let (lab, ceilings, date) = (Rc::new(lab), Ceilings::default(), today());
        Ok(Self { lab, scale, ceilings, figures, json, peer, pairs_only, left_out: 0, date })
    }

    /// Measures a ceiling, or rehearses it, with peers if it was asked for.
    pub fn ceiling(&mut self, (bound, case): &(Bound, Case), is_wanted: bool) -> Outcome<()> {
        let peer = if is_wanted { None } else { self.peer.take() };
        let done = self.measure(case, Some(*bound));
        self.peer = self.peer.take().or(peer);
        done
    }

    /// Measures or rehearses a case.
    pub fn case(&mut self, case: &Case) -> Outcome<()> {
        self.measure(case, None)
    }

    /// Says how many cases were left out, and draws the picture, if there are figures.
    pub fn finish(&self) -> Outcome<()> {
        if self.pairs_only {
            println!("left out, for they have no peer ({PAIRS_ONLY}=1): {} cases", self.left_out);
        }
        if let Some(figures) = self.figures.as_ref().filter(|figures| !figures.rows().is_empty()) {
            let folder = figures.draw(TITLE, PEER, &[NOTE.to_owned()])?;
            println!("kernels.csv and kernels.png are in {}", folder.display());
        }
        Ok(())
    }

    fn measure(&mut self, case: &Case, ceiling: Option<Bound>) -> Outcome<()> {
        let name = &case.title.name;
        let peers = self.peers(name);
        if self.pairs_only && ceiling.is_none() && peers.is_empty() {
            self.left_out += 1;
            return Ok(());
        }
        match &case.how {
            How::Launches(prepare) => {
                let caches: &[Cache] = if ceiling.is_some() { &[Cache::Cold] } else { &Cache::ALL };
                let rotas: Vec<(Cache, Rota)> =
                    caches.iter().filter_map(|&cache| Some((cache, self.rota(case, cache)?))).collect();
                let sets = rotas.iter().map(|(_, rota)| rota.sets).max().unwrap_or(1);
                if let Some(problem) = self.lacks(case, sets) {
                    println!("SKIPPED {name}: {problem}");
                    return Ok(());
                }
                let mut launch = prepare(&self.lab, sets)?;
                for (cache, rota) in rotas {
                    let lab = Rc::clone(&self.lab);
                    let mut rotation = Rotation::capture(&lab, &mut launch, rota)?;
                    self.rounds(case, (cache, ceiling), &peers, &mut rotation)?;
                }
            }
            How::Training(setting) => {
                let mut training = Training::new(&self.lab, setting)?;
                self.rounds(case, (Cache::Warm, None), &peers, &mut training)?;
            }
        }
        Ok(())
    }

    fn rota(&self, case: &Case, cache: Cache) -> Option<Rota> {
        match self.scale {
            Scale::Full => Rota::of(cache, self.lab.cache, case.footprint),
            Scale::Tiny => Rota::of(cache, REHEARSED_CACHE, case.footprint).map(|_| Rota::rehearsal(cache)),
        }
    }

    fn lacks(&self, case: &Case, sets: usize) -> Option<String> {
        match self.scale {
            Scale::Full => self.lab.lacks(case.footprint.saturating_mul(sets as u64)),
            Scale::Tiny => None,
        }
    }

    /// Who else can do a case.
    fn peers(&mut self, name: &str) -> Vec<String> {
        let Some(peer) = &mut self.peer else { return Vec::new() };
        peer.peers(name).unwrap_or_else(|problem| {
            self.tell_problem(name, None, "", &problem);
            Vec::new()
        })
    }

    /// Takes the samples, in turns with each peer, and writes what they say.
    fn rounds(
        &mut self,
        case: &Case,
        (cache, ceiling): (Cache, Option<Bound>),
        peers: &[String],
        timed: &mut dyn Timed,
    ) -> Outcome<()> {
        let (title, work, began) = (&case.title, case.work, now());
        let (samples, of_peers) = (Vec::new(), Vec::new());
        let mut figure = Figure { title, cache, work, samples, peers: of_peers, began, ended: began };
        if self.scale == Scale::Tiny {
            return self.rehearse(figure, peers, timed);
        }
        let warm_up = if ceiling.is_some() { FIRST_WARM_UP } else { WARM_UP };
        let watch = Stopwatch::new(ROUNDS, SAMPLE, warm_up);
        let times = watch.calls(|times| timed.seconds(times))?;
        for name in peers {
            let Some(peer) = &mut self.peer else { break };
            let asked = (&title.name[..], &name[..], cache.name());
            let Paired { ours, theirs, problem } = pair(peer, asked, ROUNDS, || timed.seconds(times))?;
            figure.samples.extend(&ours);
            if !theirs.is_empty() {
                let ours = ours[..theirs.len()].to_vec(); // of the same rounds
                figure.peers.push(PeerFigure { peer: name.clone(), theirs, ours });
            }
            if let Some(problem) = problem {
                self.tell_problem(&title.name, Some(cache), name, &problem);
            }
        }
        if figure.samples.is_empty() {
            for _ in 0..ROUNDS {
                figure.samples.push(timed.seconds(times)?);
            }
        }
        figure.ended = now();
        if let Some(bound) = ceiling {
            self.ceilings.set(bound, case.work, crate::figures::median(&figure.samples));
        }
        println!("{}", figure.text(&self.ceilings));
        let device = self.lab.device.name();
        write_line(&mut self.json, &figure.json(&self.ceilings, device))?;
        match &mut self.figures {
            Some(figures) => figures.add(figure.row(&self.ceilings, device, &self.date)),
            None => Ok(()),
        }
    }

    /// Does everything once, and says what was done: no time.
    fn rehearse(&mut self, mut figure: Figure, peers: &[String], timed: &mut dyn Timed) -> Outcome<()> {
        let (title, cache) = (figure.title, figure.cache);
        timed.seconds(1)?;
        println!("{} {}: ok", title.name, cache.name());
        for name in peers {
            let Some(peer) = &mut self.peer else { break };
            let prepared = peer.prepare(&title.name, name, cache.name());
            match prepared.and_then(|()| peer.sample()).and_then(|_| peer.release()) {
                Ok(()) => {
                    println!("    {name}: ok");
                    let (theirs, ours) = (Vec::new(), Vec::new());
                    figure.peers.push(PeerFigure { peer: name.clone(), theirs, ours });
                }
                Err(problem) => self.tell_problem(&title.name, Some(cache), name, &problem),
            }
        }
        figure.ended = now();
        write_line(&mut self.json, &figure.rehearsed(self.lab.device.name()))
    }

    /// A peer's figure is lost, and nothing else.
    fn tell_problem(&mut self, name: &str, cache: Option<Cache>, peer: &str, problem: &str) {
        let cache = cache.map(Cache::name);
        eprintln!("{name} {}: peer {peer}: {problem}", cache.unwrap_or_default());
        let line = json!({"name": name, "cache": cache, "peer": peer, "problem": problem});
        if let Err(error) = write_line(&mut self.json, &line) {
            eprintln!("{JSON}: {error}");
        }
    }
}

fn write_line(file: &mut Option<File>, line: &Value) -> Outcome<()> {
    if let Some(file) = file {
        writeln!(file, "{line}").map_err(|error| format!("{JSON}: {error}"))?;
    }
    Ok(())
}

/// Launches a case once, outside of any graph, and waits for its end.
pub fn profile(lab: &Lab, case: &Case) -> Outcome<()> {
    match &case.how {
        How::Launches(prepare) => {
            let mut launch = prepare(lab, 1)?;
            launch(lab, 0)?;
            lab.stream.synchronize()?;
            println!("{}: one launch", case.title.name);
        }
        How::Training(setting) => {
            let mut training = Training::of_one_step(lab, &setting.profiled())?;
            training.epoch()?;
            training.epoch()?;
            println!("{}: two steps, kernel by kernel; the first is a warm-up", case.title.name);
        }
    }
    Ok(())
}
