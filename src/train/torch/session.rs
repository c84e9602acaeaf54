//! A Python that trains: what it is sent, what it says, and that it never outlives us.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

use serde::Deserialize;

use crate::children::Started;
use crate::python::{Python, TorchError};

/// The script that trains.
const SCRIPT: &str = include_str!("train.py");

/// Whether the script knows PyTorch's rule for this optimizer.
pub(super) fn has_rule(optimizer: &str) -> bool {
    SCRIPT.contains(&format!("\n    \"{optimizer}\": lambda net, "))
}

/// How often it is asked whether to go on waiting for a line.
const PATIENCE: Duration = Duration::from_millis(100);

/// The pieces of work that wait for the script, so that it never waits for us; batches may be large.
const WAITING: usize = 2;

/// How often it is looked whether one more can.
const PAUSE: Duration = Duration::from_millis(1);

/// A line of the script's.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Said {
    /// Its version, at once.
    Torch(String),
    /// An epoch is done.
    Epoch(Measured),
    /// The loss was not finite, and the script has ended.
    Diverged { step: u64, place: String },
}

/// What the script makes of an epoch.
#[derive(Deserialize)]
pub(super) struct Measured {
    pub objective: f64,
    pub train_accuracy: f64,
    pub test_objective: f64,
    pub test_accuracy: f64,
    pub seconds: f64,
}

/// What became of a piece of work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// The script has it, or will.
    Taken,
    /// The script no longer listens.
    Left,
    /// It was not waited for.
    Stopped,
}

/// The script as it runs.
pub(super) struct Session<'p> {
    python: &'p Python<'p>,
    child: Started,
    work: Option<SyncSender<Vec<u8>>>,
    lines: Receiver<String>,
}

impl<'p> Session<'p> {
    /// Starts the script.
    pub fn start(python: &'p Python<'p>) -> Result<Self, TorchError> {
        let mut command = python.command(SCRIPT)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = python.start(&mut command)?;
        let (stdin, stdout) = child.pipes();
        let (sender, lines) = channel();
        // By threads of their own, so that waiting for either can be given up.
        std::thread::spawn(move || {
            let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines());
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let (work, pieces) = sync_channel::<Vec<u8>>(WAITING);
        std::thread::spawn(move || {
            // Where the script has left, the other end learns of it by the next piece.
            stdin.is_some_and(|mut stdin| pieces.iter().all(|piece| stdin.write_all(&piece).is_ok()))
        });
        Ok(Self { python, child, work: Some(work), lines })
    }

    /// Sends a piece of work, unless it was to stop before that.
    pub fn send(&mut self, mut piece: Vec<u8>, stop: &dyn Fn() -> bool) -> Sent {
        let Some(work) = &self.work else { return Sent::Left };
        loop {
            match work.try_send(piece) {
                Ok(()) => return Sent::Taken,
                Err(TrySendError::Disconnected(_)) => return Sent::Left,
                Err(TrySendError::Full(_)) if stop() => return Sent::Stopped,
                Err(TrySendError::Full(back)) => piece = back,
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Lets it know that nothing follows.
    pub fn hang_up(&mut self) {
        self.work = None;
    }

    /// What it says next; nothing, if it was to stop before that.
    pub fn said(&mut self, stop: &dyn Fn() -> bool) -> Result<Option<Said>, TorchError> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let said = serde_json::from_str(&line);
                    return said
                        .map(Some)
                        .map_err(|error| TorchError::Results(format!("{error} in {line:?}")));
                }
                Err(RecvTimeoutError::Timeout) if stop() => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.hang_up();
                    self.python.ended(self.child.wait().map_err(|error| self.python.lost(error))?)?;
                    return Err(self.python.silent("it ended before its work was done"));
                }
            }
        }
    }

    /// The version, which it says first; nothing, if it was to stop before that.
    pub fn version(&mut self, stop: &dyn Fn() -> bool) -> Result<Option<String>, TorchError> {
        match self.said(stop)? {
            Some(Said::Torch(version)) => Ok(Some(version)),
            Some(_) => Err(TorchError::Results("they begin without the version".into())),
            None => Ok(None),
        }
    }
}
