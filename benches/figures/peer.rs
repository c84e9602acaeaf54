//! Another program's times of the same work, asked for in pairs with ours.
//!
//! The peer reads a request a line, as JSON, and answers each with a line:
//!
//! | request | answer |
//! |---|---|
//! | `{"peers": NAME}` | `{"peers": ["cuBLAS"]}`: who can do the case; none, if the list is empty |
//! | `{"prepare": NAME, "peer": PEER, "cache": "cold"}`, or `"warm"` | `{"ready": true}` |
//! | `{"sample": true}` | `{"seconds": x}` of one call |
//! | `{"release": true}` | `{"released": true}` |
//!
//! To any of them it may answer `{"problem": "..."}`. It ends when its input does.
//!
//! A peer may die, hang or print what is no answer: then it is ended, the figures of that case are lost, and it is
//! started again for the next one, but not for ever. Nothing that it does ends the bench.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cotangent::random::{ChaCha8Rng, Purpose, below, chacha};
use serde_json::{Value, json};

use super::samples::LEAST_SAMPLES;

/// The variable that says how a peer is started: `python3 benches/peers/torch_cuda.py`, or a JSON array of program and
/// arguments, `["python3", "my peers/torch_cuda.py"]`.
pub const PEER: &str = "COTANGENT_BENCH_PEER";

/// The variable that says how many seconds a peer may take to start, and to prepare a case.
pub const PREPARE: &str = "COTANGENT_BENCH_PREPARE_SECONDS";

/// After this number of starts no other is tried.
const MOST_STARTS: usize = 4;

/// How long the peer may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// To start, and to prepare a case: libraries are loaded, kernels compiled.
    pub prepare: Duration,
    /// For any other answer.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { prepare: Duration::from_secs(60), answer: Duration::from_secs(15) }
    }
}

/// A program that is asked for its times.
pub struct Peer {
    command: Vec<String>,
    limits: Limits,
    starts: usize,
    running: Option<Running>,
}

/// The process, and the lines that it prints.
struct Running {
    child: Child,
    /// `None` once it is to end.
    requests: Option<ChildStdin>,
    answers: Receiver<String>,
    has_answered: bool,
}

/// Samples of the same work, seconds a call.
#[derive(Clone, PartialEq, Debug)]
pub struct Paired {
    pub ours: Vec<f64>,
    /// As many, of the same rounds in the same order. Of a peer that failed, those before it did, if they are
    /// [`LEAST_SAMPLES`] or more, else none.
    pub theirs: Vec<f64>,
    /// How the peer failed.
    pub problem: Option<String>,
}

impl Limits {
    /// These, but for the preparation if [`PREPARE`] has this value.
    ///
    /// # Errors
    /// When it is no number of seconds.
    pub fn with_prepare(self, value: Option<&str>) -> Result<Self, String> {
        let Some(value) = value else { return Ok(self) };
        let seconds = value.parse().ok().filter(|&seconds: &f64| seconds > 0.0);
        match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            Some(prepare) => Ok(Self { prepare, ..self }),
            None => Err(format!("{PREPARE} is {value:?}; give seconds above 0, as in 90")),
        }
    }
}

impl Peer {
    /// The one that `COTANGENT_BENCH_PEER` names, if it is set. Of the limits `COTANGENT_BENCH_PREPARE_SECONDS` changes one.
    ///
    /// # Errors
    /// When either says nothing that can be understood.
    pub fn of_environment(limits: Limits) -> Result<Option<Self>, String> {
        let limits = limits.with_prepare(std::env::var(PREPARE).ok().as_deref())?;
        std::env::var(PEER).map_or(Ok(None), |command| Self::start(&command, limits))
    }

    /// The program of a command, to which `--serve` is added: a JSON array of program and arguments if it begins with `[`, else
    /// words apart by blanks. It starts with the first request. `None` of an empty command.
    ///
    /// # Errors
    /// When it begins with `[` and is no array of strings.
    pub fn start(command: &str, limits: Limits) -> Result<Option<Self>, String> {
        let command: Vec<String> = if command.trim_start().starts_with('[') {
            serde_json::from_str(command).map_err(|error| {
                format!("{PEER} is {command}, which begins as a JSON array of strings and is none: {error}")
            })?
        } else {
            command.split_whitespace().map(str::to_owned).collect()
        };
        Ok((!command.is_empty()).then_some(Self { command, limits, starts: 0, running: None }))
    }

    /// Who can do the case of this name.
    ///
    /// # Errors
    /// What is wrong with the peer, in words.
    pub fn peers(&mut self, name: &str) -> Result<Vec<String>, String> {
        let answer = self.ask(&json!({"peers": name}))?;
        let peers = answer["peers"].as_array().map(|peers| {
            peers.iter().map(|peer| peer.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>()
        });
        peers
            .flatten()
            .ok_or_else(|| self.give_up(format!("it answered {answer} where peers were asked for")))
    }

    /// Gets a case ready, its operands in the cache (`warm`) or not (`cold`).
    ///
    /// # Errors
    /// Likewise.
    pub fn prepare(&mut self, name: &str, peer: &str, cache: &str) -> Result<(), String> {
        let answer = self.ask(&json!({"prepare": name, "peer": peer, "cache": cache}))?;
        self.confirmed(&answer, "ready")
    }

    /// The seconds of one call of the case that is ready.
    ///
    /// # Errors
    /// Likewise.
    pub fn sample(&mut self) -> Result<f64, String> {
        let answer = self.ask(&json!({"sample": true}))?;
        let seconds = answer["seconds"].as_f64().filter(|&seconds| seconds > 0.0);
        seconds.ok_or_else(|| self.give_up(format!("it answered {answer} where seconds were asked for")))
    }

    /// Gives back what the case took.
    ///
    /// # Errors
    /// Likewise.
    pub fn release(&mut self) -> Result<(), String> {
        let answer = self.ask(&json!({"release": true}))?;
        self.confirmed(&answer, "released")
    }

    fn confirmed(&mut self, answer: &Value, word: &str) -> Result<(), String> {
        if answer[word] == json!(true) {
            return Ok(());
        }
        Err(self.give_up(format!("it answered {answer} where {word:?} was asked for")))
    }

    /// The answer to a request, but for one that is a problem.
    fn ask(&mut self, request: &Value) -> Result<Value, String> {
        let line = self.line(request).map_err(|problem| self.give_up(problem))?;
        match serde_json::from_str::<Value>(&line) {
            Ok(answer) => match answer["problem"].as_str() {
                Some(problem) => Err(problem.to_owned()), // it goes on
                None => Ok(answer),
            },
            Err(_) => {
                let start: String = line.chars().take(80).collect();
                Err(self.give_up(format!("it printed {start:?}, which is no answer")))
            }
        }
    }

    fn line(&mut self, request: &Value) -> Result<String, String> {
        let limits = self.limits;
        let running = match &mut self.running {
            Some(running) => running,
            // what is ready is lost with a process, so only a case's first request starts one
            None if request["peers"].is_null() && request["prepare"].is_null() => {
                return Err("it is gone".to_owned());
            }
            None if self.starts == MOST_STARTS => {
                return Err(format!("it failed {MOST_STARTS} times and is not started again"));
            }
            None => {
                self.starts += 1;
                self.running.insert(Running::start(&self.command)?)
            }
        };
        let takes_long = !running.has_answered || !request["prepare"].is_null();
        let limit = if takes_long { limits.prepare } else { limits.answer };
        running.exchange(request, limit)
    }

    /// Ends the process, whose next answer could not be trusted.
    fn give_up(&mut self, problem: String) -> String {
        self.running = None;
        problem
    }
}

impl Running {
    fn start(command: &[String]) -> Result<Self, String> {
        let (program, arguments) = command.split_first().ok_or("it has no command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        let (requests, output) = (child.stdin.take(), child.stdout.take());
        let (sender, answers) = mpsc::channel();
        if let Some(output) = output {
            // It ends with the output, or when nobody waits for answers any more.
            thread::spawn(move || {
                let lines = BufReader::new(output).lines().map_while(Result::ok);
                lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
            });
        }
        Ok(Self { child, requests, answers, has_answered: false })
    }

    fn exchange(&mut self, request: &Value, limit: Duration) -> Result<String, String> {
        // A pipe holds a request, so this never waits for the peer to read it.
        let sent = self.requests.as_mut().map(|requests| writeln!(requests, "{request}"));
        let answer = self.answers.recv_timeout(limit);
        self.has_answered = true;
        match answer {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(format!("no answer to {request} within {limit:?}")),
            Err(RecvTimeoutError::Disconnected) => {
                let how = match self.ended_within(Duration::from_secs(1)) {
                    Some(status) => format!("it ended ({status})"),
                    None => "it closed its output".to_owned(),
                };
                Err(match sent {
                    Some(Err(error)) => format!("{how}, and could not be asked {request}: {error}"),
                    _ => format!("{how} without an answer to {request}"),
                })
            }
        }
    }

    fn ended_within(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let start = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(None) if start.elapsed() < limit => thread::sleep(Duration::from_millis(10)),
                ended => return ended.ok().flatten(),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The end of its input is the peer's sign to end; one that hangs does not heed it.
        self.requests = None;
        if self.ended_within(Duration::from_millis(500)).is_none() {
            let _ = self.child.kill(); // it may have ended just now
            let _ = self.child.wait();
        }
    }
}

/// Takes `rounds` samples of ours, and as many of the peer's at the same work, in each round one of both in random order.
/// Whatever the peer does, all of ours are taken. What it gave before it failed is kept if it makes a figure.
///
/// # Errors
/// Those of `ours`.
///
/// # Panics
/// When the rounds are less than [`LEAST_SAMPLES`].
pub fn pair<E>(
    peer: &mut Peer,
    (name, of, cache): (&str, &str, &str),
    rounds: usize,
    mut ours: impl FnMut() -> Result<f64, E>,
) -> Result<Paired, E> {
    assert!(rounds >= LEAST_SAMPLES, "the median of {rounds} samples is no figure");
    // The first call of either is no sample: what is loaded late, or has left the cache meanwhile, would be in it.
    let mut problem = peer.prepare(name, of, cache).and_then(|()| peer.sample()).err();
    let (mut sampled, mut theirs) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    let mut random = order_of_rounds();
    let mut take_theirs = || {
        if problem.is_none() {
            match peer.sample() {
                Ok(seconds) => theirs.push(seconds),
                Err(failed) => problem = Some(failed),
            }
        }
    };
    ours()?;
    for _ in 0..rounds {
        let ours_is_first = below(&mut random, 2) == 0;
        if !ours_is_first {
            take_theirs();
        }
        sampled.push(ours()?);
        if ours_is_first {
            take_theirs();
        }
    }
    if theirs.len() < LEAST_SAMPLES {
        theirs.clear();
    }
    if peer.running.is_some() {
        let _ = peer.release(); // the samples are there; a peer that fails here fails again at the next case
    }
    Ok(Paired { ours: sampled, theirs, problem })
}

/// Random numbers that no two runs share.
fn order_of_rounds() -> ChaCha8Rng {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    chacha(now, Purpose::Permutation, 0)
}
