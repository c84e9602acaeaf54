//! From values to positions, and the choice of round ticks.
//!
//! A tick is a mantissa of 1, 2 or 5 times a power of ten wherever the room allows: those are the
//! numbers that people divide by without thinking. Labels are made from the decimal digits of the
//! step, not from the rounded binary value, so that no `0.30000000000000004` appears.

use crate::document::number::superscript;

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScaleKind {
    /// Equal differences, equal distances.
    #[default]
    Linear,
    /// Equal ratios, equal distances; values that are not positive have no place.
    Log,
}

/// A place on an axis that deserves a line, and a label if there is room for one.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// The value that it marks.
    pub value: f64,
    /// What stands beside it; `None` for a minor tick of a logarithmic axis.
    pub label: Option<String>,
}

/// A mapping of the values `low..=high` to the positions `from..=to` (pixels, either way round).
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    kind: ScaleKind,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

/// Beyond these magnitudes a value is treated as not finite, so that differences and logarithms of
/// those that remain are finite.
const LARGEST: f64 = 1e300;
const SMALLEST_LOG: f64 = 1e-300;

impl ScaleKind {
    /// Whether a value has a place on such an axis.
    pub fn shows(self, value: f64) -> bool {
        match self {
            ScaleKind::Linear => value.abs() <= LARGEST,
            ScaleKind::Log => (SMALLEST_LOG..=LARGEST).contains(&value),
        }
    }

    /// Whether a value is too small for such an axis, but not negative: 0 on a logarithmic axis.
    pub fn is_below(self, value: f64) -> bool {
        self == ScaleKind::Log && (0.0..SMALLEST_LOG).contains(&value)
    }

    /// The values an axis must cover so that all `values` (those that it shows) lie inside with a
    /// little air. A linear axis of values near zero begins at zero. Without values: 0 to 1, or a
    /// decade.
    pub fn domain(self, values: impl IntoIterator<Item = f64>) -> (f64, f64) {
        let shown = values.into_iter().filter(|&v| self.shows(v));
        let (low, high) =
            shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        match self {
            ScaleKind::Linear if low > high => (0.0, 1.0),
            ScaleKind::Linear => {
                let magnitude = low.abs().max(high.abs());
                // values that differ by rounding alone are one value
                let pad = if high - low > magnitude * 1e-9 {
                    (high - low) * 0.06
                } else if magnitude > 0.0 {
                    magnitude * 0.05
                } else {
                    1.0
                };
                let near_zero = low >= 0.0 && low <= 0.3 * high;
                (if near_zero { 0.0 } else { low - pad }, high + pad)
            }
            ScaleKind::Log if low > high => (0.1, 1.0),
            ScaleKind::Log => {
                let pad = ((high.log10() - low.log10()) * 0.06).clamp(0.03, 1.0);
                (low * 10f64.powf(-pad), high * 10f64.powf(pad))
            }
        }
    }
}

impl Scale {
    /// Maps `domain` (low, high) to `range` (position of low, position of high). The domain must be
    /// one that [`ScaleKind::domain`] could give: finite, low below high, both above zero for a
    /// logarithmic scale.
    pub fn new(kind: ScaleKind, domain: (f64, f64), range: (f64, f64)) -> Scale {
        debug_assert!(domain.0 < domain.1 && (domain.1 - domain.0).is_finite(), "{domain:?}");
        debug_assert!(kind == ScaleKind::Linear || domain.0 > 0.0, "{domain:?}");
        Scale { kind, low: domain.0, high: domain.1, from: range.0, to: range.1 }
    }

    /// The position of a value, or `None` if it has none: not finite, or not positive on a
    /// logarithmic axis. Values outside the domain are held to its ends.
    pub fn position(&self, value: f64) -> Option<f64> {
        if !self.kind.shows(value) {
            return None;
        }
        let t = match self.kind {
            ScaleKind::Linear => (value - self.low) / (self.high - self.low),
            ScaleKind::Log => {
                // a difference of logarithms: the ratio may overflow
                let decades = |from: f64, to: f64| to.log10() - from.log10();
                decades(self.low, value) / decades(self.low, self.high)
            }
        };
        Some(self.from + (self.to - self.from) * t.clamp(0.0, 1.0))
    }

    /// The position of the lowest value of the domain.
    pub fn lowest(&self) -> f64 {
        self.from
    }

    /// The position of the highest value of the domain.
    pub fn highest(&self) -> f64 {
        self.to
    }

    /// Round ticks within the domain, about `at_most` of them labelled; shown as percentages if
    /// `percent`, at whole numbers only if `integers` (linear axes).
    pub fn ticks(&self, at_most: usize, percent: bool, integers: bool) -> Vec<Tick> {
        match self.kind {
            ScaleKind::Linear => linear_ticks(self.low, self.high, at_most, percent, integers),
            ScaleKind::Log => log_ticks(self.low, self.high, at_most, percent)
                .unwrap_or_else(|| linear_ticks(self.low, self.high, at_most, percent, false)),
        }
    }
}

/// The smallest step of 1, 2 or 5 times a power of ten that is at least `least`, as
/// (mantissa, exponent).
fn round_step(least: f64) -> (f64, i32) {
    let exponent = least.log10().floor() as i32;
    let scaled = least / 10f64.powi(exponent);
    // a hair of tolerance: 2.0000000001 is 2
    match [1.0, 2.0, 5.0].into_iter().find(|m| scaled <= m * (1.0 + 1e-9)) {
        Some(mantissa) => (mantissa, exponent),
        None => (1.0, exponent + 1),
    }
}

fn linear_ticks(low: f64, high: f64, at_most: usize, percent: bool, integers: bool) -> Vec<Tick> {
    let unit = if percent { 100.0 } else { 1.0 };
    let least = (high - low) * unit / at_most.max(1) as f64;
    let (mantissa, exponent) = round_step(if integers { least.max(1.0) } else { least });
    let step = mantissa * 10f64.powi(exponent);
    let slack = 1e-9;
    let first = (low * unit / step - slack).ceil();
    let last = (high * unit / step + slack).floor();
    let count = (last - first).max(-1.0) as usize + 1;
    let largest = first.abs().max(last.abs()) * step;
    (0..count)
        .map(|i| {
            let shown = (first + i as f64) * step;
            let number = linear_label(shown, exponent, largest);
            Tick { value: shown / unit, label: Some(if percent { number + "%" } else { number }) }
        })
        .collect()
}

/// A multiple of a step of `10^exponent`, in the notation that suits the `largest` label.
fn linear_label(value: f64, exponent: i32, largest: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let minus = if value < 0.0 { "−" } else { "" };
    let value = value.abs();
    if largest < 1e6 && exponent >= -5 {
        let decimals = (-exponent).max(0) as usize;
        return format!("{minus}{value:.decimals$}");
    }
    let common = (largest * (1.0 + 1e-9)).log10().floor() as i32;
    let decimals = (common - exponent).max(0) as usize;
    let mantissa = value / 10f64.powi(common);
    format!("{minus}{mantissa:.decimals$}×10{}", superscript(common))
}

/// Ticks at m·10ᵏ, with the finest choice of m that leaves at most `at_most` labels; `None` if
/// the domain spans too little of a decade for any to fit well.
fn log_ticks(low: f64, high: f64, at_most: usize, percent: bool) -> Option<Vec<Tick>> {
    let unit = if percent { 100.0 } else { 1.0 };
    let (low, high) = (low * unit, high * unit);
    let decades = low.log10().floor() as i32..=high.log10().floor() as i32;
    let value_of = |m: i32, k: i32| f64::from(m) * 10f64.powi(k);
    let inside = |v: f64| v >= low * (1.0 - 1e-9) && v <= high * (1.0 + 1e-9);

    // from fine to coarse: which mantissas, in every how many decades
    let choices: [(&[i32], i32); 8] = [
        (&[1, 2, 3, 4, 5, 6, 7, 8, 9], 1),
        (&[1, 2, 5], 1),
        (&[1, 3], 1),
        (&[1], 1),
        (&[1], 2),
        (&[1], 5),
        (&[1], 20),
        (&[1], 100),
    ];
    let all = |mantissas: &[i32], every: i32| -> Vec<(i32, i32)> {
        let chosen = decades.clone().filter(|k| k.rem_euclid(every) == 0);
        let pairs = chosen.flat_map(|k| mantissas.iter().map(move |&m| (m, k)));
        pairs.filter(|&(m, k)| inside(value_of(m, k))).collect()
    };
    let labelled = choices
        .iter()
        .map(|&(mantissas, every)| all(mantissas, every))
        .find(|ticks| ticks.len() <= at_most)?;
    if labelled.len() < 3 && high / low < 100.0 {
        return None;
    }

    let plain = labelled.iter().all(|&(_, k)| (-4..5).contains(&k));
    let label = |m: i32, k: i32| {
        let number = match m {
            _ if plain => format!("{:.*}", (-k).max(0) as usize, value_of(m, k)),
            1 => format!("10{}", superscript(k)),
            m => format!("{m}×10{}", superscript(k)),
        };
        if percent { number + "%" } else { number }
    };
    // the lines between, as long as they do not become a grey wash
    let fine = if decades.clone().count() <= 7 { all(choices[0].0, 1) } else { labelled.clone() };
    let ticks = fine.into_iter().map(|(m, k)| Tick {
        value: value_of(m, k) / unit,
        label: labelled.contains(&(m, k)).then(|| label(m, k)),
    });
    Some(ticks.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(kind: ScaleKind, low: f64, high: f64, at_most: usize, percent: bool) -> Vec<String> {
        let scale = Scale::new(kind, (low, high), (0.0, 1.0));
        let ticks = scale.ticks(at_most, percent, false);
        for tick in &ticks {
            let inside = tick.value >= low * (1.0 - 1e-6) && tick.value <= high * (1.0 + 1e-6);
            assert!(inside || tick.value == 0.0, "{tick:?} outside {low}..{high}");
        }
        ticks.into_iter().filter_map(|tick| tick.label).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        use ScaleKind::Linear;
        assert_eq!(
            labels(Linear, 0.0, 0.32, 7, false),
            ["0", "0.05", "0.10", "0.15", "0.20", "0.25", "0.30"]
        );
        assert_eq!(labels(Linear, -1.1, 1.1, 5, false), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
        assert_eq!(labels(Linear, 0.0, 1000.0, 6, false), ["0", "200", "400", "600", "800", "1000"]);
    }

    #[test]
    fn percentages_have_the_decimals_of_their_step() {
        use ScaleKind::Linear;
        assert_eq!(labels(Linear, 0.958, 0.989, 4, true), ["96%", "97%", "98%"]);
        assert_eq!(
            labels(Linear, 0.979, 0.9812, 5, true),
            ["97.90%", "97.95%", "98.00%", "98.05%", "98.10%"]
        );
    }

    #[test]
    fn very_small_and_very_large_values_are_written_with_powers_of_ten() {
        use ScaleKind::Linear;
        assert_eq!(labels(Linear, 0.0, 3e-7, 3, false), ["0", "1×10⁻⁷", "2×10⁻⁷", "3×10⁻⁷"]);
        assert_eq!(labels(Linear, 0.0, 2e8, 4, false), ["0", "0.5×10⁸", "1.0×10⁸", "1.5×10⁸", "2.0×10⁸"]);
    }

    #[test]
    fn epochs_are_whole_numbers_even_on_a_wide_axis() {
        let scale = Scale::new(ScaleKind::Linear, (0.9, 3.1), (0.0, 500.0));
        let values: Vec<_> = scale.ticks(12, false, true).iter().map(|t| t.value).collect();
        assert_eq!(values, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn log_ticks_suit_the_span() {
        use ScaleKind::Log;
        assert_eq!(labels(Log, 0.009, 0.35, 8, false), ["0.01", "0.02", "0.05", "0.1", "0.2"]);
        assert_eq!(labels(Log, 1e-9, 2.0, 6, false), ["10⁻⁸", "10⁻⁶", "10⁻⁴", "10⁻²", "10⁰"]);
        // less than a decade: as on a linear axis
        assert_eq!(labels(Log, 0.21, 0.29, 5, false), ["0.22", "0.24", "0.26", "0.28"]);
    }

    #[test]
    fn log_ticks_between_the_labels_have_none() {
        let scale = Scale::new(ScaleKind::Log, (0.009, 1.1), (0.0, 1.0));
        let ticks = scale.ticks(3, false, false);
        let labelled = ticks.iter().filter(|t| t.label.is_some()).count();
        assert_eq!((labelled, ticks.len()), (3, 20));
    }

    #[test]
    fn the_axis_begins_at_zero_only_if_the_values_reach_near_it() {
        let near = ScaleKind::Linear.domain([0.01, 0.3]);
        assert!(near.0 == 0.0 && near.1 > 0.3, "{near:?}");
        let far = ScaleKind::Linear.domain([0.96, 0.987]);
        assert!(far.0 > 0.95 && far.0 < 0.96 && far.1 < 1.0, "{far:?}");
    }

    #[test]
    fn values_without_a_place_are_left_out() {
        for kind in [ScaleKind::Linear, ScaleKind::Log] {
            let clean = kind.domain([1.0, 2.0]);
            let dirty = kind.domain([1.0, f64::NAN, 2.0, f64::INFINITY, f64::NEG_INFINITY]);
            assert_eq!(clean, dirty);
            let scale = Scale::new(kind, clean, (100.0, 0.0));
            assert_eq!(scale.position(f64::NAN), None);
            assert!(scale.position(1.5).is_some());
        }
        let log = ScaleKind::Log.domain([0.0, -3.0, 0.5, 5.0]);
        assert!(log.0 > 0.4 && log.0 < 0.5, "{log:?}");
        assert_eq!(Scale::new(ScaleKind::Log, log, (0.0, 1.0)).position(0.0), None);
    }

    #[test]
    fn every_domain_gives_finite_positions_and_few_ticks() {
        for kind in [ScaleKind::Linear, ScaleKind::Log] {
            for values in [
                vec![],
                vec![0.0],
                vec![7.0; 3],
                vec![0.1, 0.1 + 1e-17, 0.1 + 1e-16],
                vec![1e-290, 1e290],
                vec![-1e300, 1e300],
                vec![1e17, 1e17 + 32.0],
            ] {
                let domain = kind.domain(values.clone());
                assert!(domain.0 < domain.1, "{kind:?} {values:?}: {domain:?}");
                let scale = Scale::new(kind, domain, (400.0, 0.0));
                for &v in values.iter().filter(|v| kind.shows(**v)) {
                    let position = scale.position(v).unwrap();
                    assert!((0.0..=400.0).contains(&position), "{kind:?} {v}: {position}");
                }
                let labels = scale.ticks(8, false, false);
                let labelled = labels.iter().filter(|t| t.label.is_some()).count();
                assert!((1..=9).contains(&labelled), "{kind:?} {values:?}: {labels:?}");
            }
        }
    }
}
