//! Slopes of steps of all sizes, from short to long: which limits they have, and whether these agree.

/// The slope between two points beside the given one.
pub(super) struct Slope {
    pub step: f64,
    /// The step that was asked for, which its ends are not exactly at.
    pub asked: f64,
    pub slope: f64,
    /// How far rounding may have moved it.
    pub rounding: f64,
    /// How much the value changes on either side, beyond rounding.
    pub change: f64,
    /// How much the slope does, for a step of 1.
    pub bend: f64,
    /// How far the value at the point is from the middle of those at both ends.
    pub jump: f64,
    /// The slopes of the operations that are watched.
    pub watched: Vec<Watched>,
}

/// An operation's slope.
#[derive(Clone, Copy)]
pub(super) struct Watched {
    pub slope: f64,
    pub rounding: f64,
    pub jump: f64,
    /// Whether rounding is not small beside the operation's values, so that what it does cannot be seen.
    pub is_noise: bool,
}

/// A limit of slopes, of fourth order, and how far rounding may have moved it.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub value: f64,
    pub rounding: f64,
}

impl Limit {
    /// From slopes, with their rounding, of a step and of one that is `ratio` times as long.
    pub fn of(narrow: (f64, f64), wide: (f64, f64), ratio: f64) -> Self {
        let weight = 1.0 / (ratio * ratio - 1.0);
        Self {
            value: narrow.0 + (narrow.0 - wide.0) * weight,
            rounding: narrow.1 + (narrow.1 + wide.1) * weight,
        }
    }
}

/// Where a limit of shorter steps may lie.
#[derive(Clone, Copy)]
pub(super) struct Span(pub f64, pub f64);

/// How near each other limits must come with halved steps, as a share of the last. Errors fall to a sixteenth; limits that
/// come near each other by chance, where the operation ripples within the step, do not.
const NEARER: [f64; 3] = [0.005, 0.02, 0.1];

/// The share of rounding in an operation's value from which on it may hide everything.
pub(super) const NOISE: f64 = 1e-3;

/// Rounding is estimated; differences beyond this many estimates are real.
pub(super) const BEYOND: f64 = 4.0;

/// On as many of the shortest steps values change by rounding alone.
pub(super) const NOISIEST: usize = 6;

/// As many shorter steps, with the same limit, are as good as limits that come near each other.
const ENOUGH: usize = 3;

impl Span {
    pub const EVERYTHING: Self = Self(f64::NEG_INFINITY, f64::INFINITY);

    /// Whether the first of these limits, of steps from short to long, is to be trusted after so many of shorter steps.
    /// The span becomes what that limit leaves of it.
    pub fn takes(&mut self, limits: &[Limit; 4], before: usize) -> bool {
        let first = limits[0];
        let apart = |k: usize| (limits[k].value - limits[k + 1].value).abs();
        let rounding = |k: usize| BEYOND * (limits[k].rounding + limits[k + 1].rounding);
        let mut near = NEARER.iter().enumerate();
        let is_near = near.all(|(k, share)| apart(k) <= share * first.value.abs() + rounding(k));
        let is_of_fourth_order = || (0..2).all(|k| apart(k) <= apart(k + 1) / 8.0 + rounding(k));
        let room = BEYOND * first.rounding + apart(0) / 4.0;
        let (low, high) = (first.value - room, first.value + room);
        let is_within = low <= self.1 && high >= self.0;
        *self = Self(self.0.max(low), self.1.min(high));
        is_within && (is_near || before >= ENOUGH && is_of_fourth_order())
    }
}

/// What the steps of all sizes, from short to long, have shown.
pub(super) struct Ladder {
    /// The spans of all operations that are watched, and of the formula.
    pub spans: Vec<Span>,
    pub formula: Span,
    /// How far their values jump from one of the nearest points to the next: rounding, in whatever way it arises.
    pub noises: Vec<f64>,
    pub noise: f64,
    /// How many limits there were.
    pub limits: usize,
}

impl Ladder {
    /// A step so short that slopes do not change within it.
    pub fn listen(&mut self, slope: &Slope) {
        self.noise = self.noise.max(slope.jump);
        for (noise, watched) in self.noises.iter_mut().zip(&slope.watched) {
            *noise = noise.max(watched.jump);
        }
    }

    /// The formula's limit from the first of these slopes, if it is to be trusted, and about how far it is off.
    pub fn limit(&mut self, slopes: &[Slope; 5]) -> Option<(Limit, f64)> {
        let of = |slope: &dyn Fn(&Slope) -> (f64, f64)| -> [Limit; 4] {
            std::array::from_fn(|k| {
                let (narrow, wide) = (&slopes[k], &slopes[k + 1]);
                Limit::of(slope(narrow), slope(wide), wide.step / narrow.step)
            })
        };
        let limits = of(&|slope| (slope.slope, slope.rounding.max(self.noise / slope.step)));
        let mut is_trusted = self.formula.takes(&limits, self.limits);
        for (row, span) in self.spans.iter_mut().enumerate() {
            let noise = self.noises[row];
            let rows =
                of(&|slope| (slope.watched[row].slope, slope.watched[row].rounding.max(noise / slope.step)));
            is_trusted &= span.takes(&rows, self.limits) && !slopes[0].watched[row].is_noise;
        }
        self.limits += 1;
        let [first, second, third, _] = limits;
        let change = (first.value - second.value).abs().max((second.value - third.value).abs() / 64.0);
        is_trusted.then_some((first, change + first.rounding))
    }
}
