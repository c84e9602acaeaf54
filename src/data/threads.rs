//! Short pieces of work on all images, carried out side by side while nothing else is done yet.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// The most threads: with more, such work waits for the memory.
const MOST: usize = 4;

/// Does `work` on every item, on the machine's threads. This one takes part, so all is done even where no other can be started.
pub fn for_each<T: Send>(items: impl IntoIterator<Item = T, IntoIter: Send>, work: impl Fn(T) + Sync) {
    let items = Mutex::new(items.into_iter());
    // A lock that a panic left behind is fine: the scope passes that panic on.
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take_part = || {
        while let Some(item) = next() {
            work(item);
        }
    };
    let others = thread::available_parallelism().map_or(0, |threads| threads.get().min(MOST) - 1);
    thread::scope(|scope| {
        for _ in 0..others {
            if thread::Builder::new().spawn_scoped(scope, take_part).is_err() {
                break;
            }
        }
        take_part();
    });
}
