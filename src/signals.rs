//! What ends the program from outside: Ctrl-C, `kill`, a job scheduler, a terminal that is closed.
//!
//! While a network is trained, the first signal ends that after its batch, so that what was done is kept; otherwise, and at the
//! second, the program ends at once, and with it the programs that it started. The exit status is the shell's: 128 and
//! the signal's number.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A signal that ends the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndSignal(i32);

impl EndSignal {
    /// The exit status that says so.
    pub fn status(self) -> u8 {
        128 + self.0 as u8
    }

    /// `SIGTERM`.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "SIGHUP",
            2 => "SIGINT",
            _ => "SIGTERM",
        }
    }
}

/// The number of the first signal, 0 before it.
static ASKED: AtomicI32 = AtomicI32::new(0);

/// Whether something ends by itself when it is asked to.
static ENDS_ITSELF: AtomicBool = AtomicBool::new(false);

/// When the first came.
static SINCE: Mutex<Option<Instant>> = Mutex::new(None);

/// Signals that come within such a time are one: `timeout` and a terminal send theirs to a program and again to its group.
const BLINK_MS: u128 = 100;

/// The signal that has asked the program to end, if one has.
pub fn asked() -> Option<EndSignal> {
    Some(ASKED.load(SeqCst)).filter(|&number| number != 0).map(EndSignal)
}

/// Until this is dropped, the first signal is left to whoever looks at [`asked`].
pub struct EndsItself(());

impl EndsItself {
    pub fn new() -> Self {
        ENDS_ITSELF.store(true, SeqCst);
        Self(())
    }
}

impl Drop for EndsItself {
    fn drop(&mut self) {
        ENDS_ITSELF.store(false, SeqCst);
    }
}

/// A signal has come.
fn met(number: i32) {
    let mut since = SINCE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if since.is_some_and(|since| since.elapsed().as_millis() < BLINK_MS) {
        return;
    }
    let is_first = since.replace(Instant::now()).is_none();
    if is_first {
        ASKED.store(number, SeqCst);
        if ENDS_ITSELF.load(SeqCst) {
            return;
        }
    }
    cotangent::children::end_all();
    end_now(i32::from(EndSignal(number).status()));
}

/// Listens from now on. What was told not to listen to a signal, as `nohup` does, does not.
#[cfg(unix)]
pub fn listen() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    // A file that outgrows the limit on its size is then an error of writing, which names the file.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::<AtomicBool>::default());
    let ignored = ignored();
    let signals =
        [SIGHUP, SIGINT, SIGTERM].into_iter().filter(move |number| ignored >> (number - 1) & 1 == 0);
    // Where there can be no thread, or no handler, signals do what they always did.
    let (ready, is_ready) = std::sync::mpsc::channel::<()>();
    let listener = std::thread::Builder::new().name("signals".into());
    let started = listener.spawn(move || {
        let signals = signal_hook::iterator::Signals::new(signals);
        drop(ready);
        if let Ok(mut signals) = signals {
            signals.forever().for_each(met);
        }
    });
    if started.is_ok() {
        let _ = is_ready.recv(); // it says nothing, and goes when it listens
    }
}

#[cfg(not(unix))]
pub fn listen() {}

/// Ends the program without what else is done at its end, as other threads are at work.
fn end_now(status: i32) {
    #[cfg(unix)]
    signal_hook::low_level::exit(status);
    #[cfg(not(unix))]
    std::process::exit(status);
}

/// The signals that are ignored, a bit each, where the system tells.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
