//! Whether the threads of a team meet for a round, or the caller does it alone.
//!
//! Where another program takes a core, a worker loses it in the middle of a task, and all others wait for
//! milliseconds at the end of the round. That can cost more than the worker contributes. Only measuring tells: when
//! waiting takes much of the time, the caller does some rounds alone, and stays with what was faster; the
//! other way is tried again, ever more rarely while it loses. Where no core is taken, nobody waits, and nothing is tried.
//!
//! Work is cut by shape, so results do not depend on it.

use std::time::Duration;

/// So long rounds are measured before anything is decided: several of the scheduler's slices.
const WINDOW: Duration = Duration::from_millis(40);

/// The time from a change to the next try of the other way, which doubles each time that the try fails...
const FIRST: Duration = Duration::from_millis(160);

/// ... up to this: so late a team at most sees that the machine is free again.
const RAREST: Duration = Duration::from_secs(2);

/// Waiting that leads to a try: this part of the time.
const MUCH: u32 = 4;

#[derive(Default)]
pub(super) struct Attendance {
    /// Whether rounds are done alone: because it was faster, or to try it.
    alone: bool,
    /// Whether this window is a try, and what it is compared with.
    tried_against: Option<Pace>,
    /// How long the faster way has been followed, and for how long until the other is tried.
    followed: Duration,
    follow: Duration,
    window: Window,
}

/// Rounds since the last decision.
#[derive(Default, Clone, Copy)]
struct Window {
    rounds: u32,
    time: Duration,
    waited: Duration,
}

/// Time a round.
type Pace = Duration;

impl Attendance {
    /// Whether the caller does the next round alone.
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// A round took so long, of which the caller waited for others.
    pub fn took(&mut self, time: Duration, waited: Duration) {
        self.window.rounds += 1;
        self.window.time += time;
        self.window.waited += waited;
        if self.window.time >= WINDOW {
            let window = std::mem::take(&mut self.window);
            self.decide(window);
        }
    }

    fn decide(&mut self, window: Window) {
        let pace = window.time / window.rounds;
        match self.tried_against.take() {
            Some(other) if pace < other => self.follow = FIRST,
            Some(_) => {
                self.alone = !self.alone;
                self.follow = (2 * self.follow).clamp(FIRST, RAREST);
            }
            None => {
                self.followed += window.time;
                let doubtful = self.alone || window.waited * MUCH > window.time;
                if self.followed < self.follow || !doubtful {
                    return;
                }
                self.alone = !self.alone;
                self.tried_against = Some(pace);
            }
        }
        self.followed = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many rounds are done alone, if a round takes so many microseconds together, so many of them waiting, and alone.
    fn alone(attendance: &mut Attendance, rounds: u32, together: u64, waited: u64, alone: u64) -> u32 {
        let micros = Duration::from_micros;
        let mut done_alone = 0;
        for _ in 0..rounds {
            if attendance.is_alone() {
                done_alone += 1;
                attendance.took(micros(alone), Duration::ZERO);
            } else {
                attendance.took(micros(together), micros(waited));
            }
        }
        done_alone
    }

    #[test]
    fn workers_of_a_free_machine_are_never_left_out() {
        assert_eq!(alone(&mut Attendance::default(), 100_000, 80, 10, 150), 0);
    }

    #[test]
    fn waiting_that_costs_more_than_it_brings_ends() {
        let done_alone = alone(&mut Attendance::default(), 100_000, 200, 100, 150);
        assert!((95_000..100_000).contains(&done_alone), "{done_alone}");
    }

    #[test]
    fn waiting_that_pays_goes_on_with_a_try_now_and_then() {
        let done_alone = alone(&mut Attendance::default(), 100_000, 120, 60, 150);
        assert!((1..4_000).contains(&done_alone), "{done_alone}");
    }

    #[test]
    fn the_workers_are_back_soon_after_the_machine_is_free() {
        let mut attendance = Attendance::default();
        alone(&mut attendance, 100_000, 200, 100, 150);
        let rounds = 100_000;
        let done_alone = alone(&mut attendance, rounds, 80, 5, 150);
        assert!(u64::from(done_alone) * 150 < 2_100_000, "{done_alone}");
        assert_eq!(alone(&mut attendance, rounds, 80, 5, 150), 0);
    }
}
