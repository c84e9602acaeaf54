//! The y axis: a scale, and below a logarithmic one a foot for zeros, if there are any.
//!
//! A logarithmic axis never reaches 0, but a loss does. Leaving zeros out would end a line too soon, and lifting them to
//! some smallest value would invent a number. So the axis is broken, as one breaks an axis by hand: the decades end above
//! the plot's bottom line, and that line is 0.

use super::super::scale::{Scale, ScaleKind, Tick};
use super::chart::{LineChart, YFormat};

/// From the lowest decade to the line of zeros: room for a number each, and for the break.
const FOOT: f64 = 34.0;
const TICKS: usize = 8;

/// What the axis covers, before it has a place.
pub(super) struct YAxis {
    kind: ScaleKind,
    domain: (f64, f64),
    /// The numbers beside it, but for that of the foot.
    pub ticks: Vec<Tick>,
    /// What stands beside the line of zeros, if there is one.
    pub foot: Option<&'static str>,
}

impl YAxis {
    pub fn of(chart: &LineChart) -> YAxis {
        let kind = chart.y_scale;
        let percent = chart.y_format == YFormat::Percent;
        let values = chart.y_values();
        let mut domain = kind.domain(values.iter().copied());
        // no axis shows 102% of the test set
        if percent && values.iter().all(|&v| !kind.shows(v) || v <= 1.0) {
            domain.1 = domain.1.min(1.0);
        }
        // without a value nothing says which numbers belong here
        let ticks = match values.iter().any(|&value| kind.shows(value)) {
            true => Scale::new(kind, domain, (0.0, 1.0)).ticks(TICKS, percent, false),
            false => Vec::new(),
        };
        let has_foot = values.iter().any(|&value| kind.is_below(value));
        let foot = has_foot.then_some(if percent { "0%" } else { "0" });
        YAxis { kind, domain, ticks, foot }
    }

    /// The axis of a plot whose top and bottom are given.
    pub fn placed(&self, top: f64, bottom: f64) -> YScale {
        let foot = self.foot.map(|_| bottom);
        let lowest = if foot.is_some() { bottom - FOOT } else { bottom };
        YScale { kind: self.kind, scale: Scale::new(self.kind, self.domain, (lowest, top)), foot }
    }
}

/// The axis at its place.
pub(super) struct YScale {
    kind: ScaleKind,
    scale: Scale,
    /// Where the line of zeros lies.
    pub foot: Option<f64>,
}

impl YScale {
    /// Where a value lies, or `None` if it has no place.
    pub fn position(&self, value: f64) -> Option<f64> {
        self.scale.position(value).or_else(|| self.foot.filter(|_| self.kind.is_below(value)))
    }

    /// The same for the edge of a band, which is held to the axis where it is infinite, or has no logarithm.
    pub fn band_edge(&self, value: f64) -> Option<f64> {
        if value.is_nan() {
            return None;
        }
        let held = match value > 0.0 && !self.kind.is_below(value) {
            true => self.scale.highest(),
            false => self.foot.unwrap_or_else(|| self.scale.lowest()),
        };
        Some(self.position(value).unwrap_or(held))
    }

    /// Where the decades end, if zeros lie below them.
    pub fn broken_at(&self) -> Option<f64> {
        self.foot.map(|_| self.scale.lowest())
    }
}
