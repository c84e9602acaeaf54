//! A Python that trains: what it is sent, what it says, and that it never outlives us.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde::Deserialize;

use super::{Measured, SCRIPT};
use crate::python::{Python, TorchError};

/// So often it is asked whether to go on waiting.
const PATIENCE: Duration = Duration::from_millis(100);

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

/// The script as it runs.
pub(super) struct Session<'p> {
    python: &'p Python<'p>,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl<'p> Session<'p> {
    /// Starts the script.
    pub fn start(python: &'p Python<'p>) -> Result<Self, TorchError> {
        let mut command = python.command()?;
        command.arg("-c").arg(SCRIPT).stdout(Stdio::piped());
        // An interrupt from the terminal is for us alone: we end the script, and it has no error to tell.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|error| python.not_started(error))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (sender, lines) = channel();
        // By a thread of its own, so that waiting for a line can be given up.
        std::thread::spawn(move || {
            let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines());
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(Self { python, child, stdin, lines })
    }

    /// Sends some bytes; an error means that it no longer listens.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Lets it know that nothing follows.
    pub fn hang_up(&mut self) {
        self.stdin = None;
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

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}
