//! What several runs that differ in the seed give: mean, spread and the worst of them.

use serde::Serialize;

/// Some numbers, summed up.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Statistics {
    /// Their sum by their number.
    pub mean: f64,
    /// Of a sample (n − 1); nothing for one number.
    pub standard_deviation: Option<f64>,
    /// The lowest of them.
    pub minimum: f64,
}

impl Statistics {
    /// The statistics of these numbers; nothing where there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        Some(Self {
            mean,
            standard_deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
            minimum: values.iter().copied().fold(f64::INFINITY, f64::min),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        // Mean 5, squares 9 + 1 + 16 = 26 over n − 1 = 2.
        let expected = Statistics { mean: 5.0, standard_deviation: Some(13_f64.sqrt()), minimum: 2.0 };
        assert_eq!(Statistics::of(&[2.0, 4.0, 9.0]), Some(expected));
    }

    #[test]
    fn one_number_has_no_deviation_and_none_have_no_statistics() {
        let expected = Statistics { mean: 0.5, standard_deviation: None, minimum: 0.5 };
        assert_eq!(Statistics::of(&[0.5]), Some(expected));
        assert_eq!(Statistics::of(&[]), None);
    }
}
