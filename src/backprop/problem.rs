//! The matrices of the exercise, and whether they fit together.

use super::BackpropError;
use crate::document::number::bytes as readable;
use crate::exec::heap;
use crate::random::{self, Purpose};

/// A matrix in float64, row by row.
#[derive(Clone, PartialEq, Debug)]
pub struct Matrix {
    /// Extent of a column.
    pub rows: usize,
    /// Extent of a row.
    pub columns: usize,
    /// `rows * columns` entries.
    pub values: Vec<f64>,
}

impl Matrix {
    /// The largest absolute value; NaN where there is one.
    pub fn largest(&self) -> f64 {
        largest(self.values.iter().map(|x| x.abs()))
    }

    /// The largest absolute difference to the entries of another; NaN where one is, or where they are not as many.
    pub fn distance(&self, other: &[f64]) -> f64 {
        if other.len() != self.values.len() {
            return f64::NAN;
        }
        largest(self.values.iter().zip(other).map(|(a, b)| (a - b).abs()))
    }

    /// The extents as people write them: `4×50`.
    pub fn extents(&self) -> String {
        format!("{}×{}", self.rows, self.columns)
    }
}

/// The largest of numbers that are not negative, 0 of none; NaN where there is one.
pub(super) fn largest(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let larger = |largest: f64, x: f64| if largest.is_nan() || x <= largest { largest } else { x };
    numbers.into_iter().fold(0.0, larger)
}

/// Data, targets and weights that fit together.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    x: Matrix,
    y: Matrix,
    weights: Vec<Matrix>,
}

/// Multiplications that the value may take: more are too many to keep and to print.
const MOST_WORK: usize = 100_000_000;

/// Numbers that the data, the weights and all nodes may have together.
const MOST_NUMBERS: usize = 10_000_000;

impl Problem {
    /// The exercise's widths: X 5×50, W1 4×5, W2 3×4, W3 2×3, Y 2×50.
    pub const SHAPE: [usize; 4] = [5, 4, 3, 2];
    /// The exercise's columns.
    pub const COLUMNS: usize = 50;

    /// Where the entries of [`Self::random`] are from, in words.
    pub fn origin(seed: u64) -> String {
        format!("entries standard normal, seed {seed}")
    }

    /// Puts matrices together: X (n₀, columns), Wᵢ (nᵢ, nᵢ₋₁), Y (nₙ, columns).
    ///
    /// # Errors
    /// When two of them do not fit, which names both; when there is no weight, or a matrix is empty; when a number is
    /// not finite; when there are too many numbers.
    pub fn new(x: Matrix, y: Matrix, weights: Vec<Matrix>) -> Result<Self, BackpropError> {
        let names = (1..=weights.len()).map(|layer| format!("W{layer}"));
        let named: Vec<(String, &Matrix)> =
            std::iter::once(("X".into(), &x)).chain(names.zip(&weights)).chain([("Y".into(), &y)]).collect();
        let (first, last) = (&named[0], &named[named.len() - 2]);
        if weights.is_empty() {
            return Err(BackpropError::NoWeights);
        }
        for (name, matrix) in &named {
            if matrix.rows == 0 || matrix.columns == 0 {
                return Err(BackpropError::Empty { name: name.clone(), extents: matrix.extents() });
            }
        }
        for pair in named[..named.len() - 1].windows(2) {
            let [(before, input), (name, weight)] = pair else { continue };
            if weight.columns != input.rows {
                return Err(BackpropError::Chain {
                    name: name.clone(),
                    extents: weight.extents(),
                    other: before.clone(),
                    other_extents: input.extents(),
                    rule: format!("{name} needs as many columns as {before} has rows"),
                });
            }
        }
        let wrong = |(name, other): (&String, &Matrix), rule: &str| BackpropError::Chain {
            name: "Y".into(),
            extents: y.extents(),
            other: name.clone(),
            other_extents: other.extents(),
            rule: format!("Y needs as many {rule} as {name}"),
        };
        if y.rows != last.1.rows {
            return Err(wrong((&last.0, last.1), "rows"));
        }
        if y.columns != x.columns {
            return Err(wrong((&first.0, first.1), "columns"));
        }
        for (name, matrix) in &named {
            if let Some(at) = matrix.values.iter().position(|value| !value.is_finite()) {
                let (row, column) = (at / matrix.columns + 1, at % matrix.columns + 1);
                return Err(BackpropError::NotFinite {
                    name: name.clone(),
                    row,
                    column,
                    value: matrix.values[at],
                });
            }
        }
        let shape: Vec<usize> = std::iter::once(x.rows).chain(weights.iter().map(|w| w.rows)).collect();
        check_size(&shape, x.columns)?;
        Ok(Self { x, y, weights })
    }

    /// Independent standard normal entries for the layer widths `shape` (n₀, …, nₙ): each matrix is drawn row by row
    /// from a stream of its own, so that it does not depend on the others' extents.
    ///
    /// # Errors
    /// When there are fewer than two widths, one is 0, or there would be too many numbers.
    pub fn random(shape: &[usize], columns: usize, seed: u64) -> Result<Self, BackpropError> {
        if shape.len() < 2 || columns == 0 || shape.contains(&0) {
            return Err(BackpropError::Widths);
        }
        check_size(shape, columns)?;
        let draw = |rows: usize, columns: usize, purpose: Purpose, index: usize| {
            let mut rng = random::chacha(seed, purpose, index as u64);
            let values = (0..rows * columns).map(|_| random::standard_normal(&mut rng)).collect();
            Matrix { rows, columns, values }
        };
        let x = draw(shape[0], columns, Purpose::Exercise, 0);
        let y = draw(shape[shape.len() - 1], columns, Purpose::Exercise, 1);
        let layers = shape.windows(2).enumerate();
        let weights = layers.map(|(layer, pair)| draw(pair[1], pair[0], Purpose::Weights, layer)).collect();
        Self::new(x, y, weights)
    }

    /// The data: a column an example.
    pub fn x(&self) -> &Matrix {
        &self.x
    }

    /// The targets.
    pub fn y(&self) -> &Matrix {
        &self.y
    }

    /// W₁ to Wₙ.
    pub fn weights(&self) -> &[Matrix] {
        &self.weights
    }

    /// The widths n₀, …, nₙ.
    pub fn shape(&self) -> Vec<usize> {
        std::iter::once(self.x.rows).chain(self.weights.iter().map(|weight| weight.rows)).collect()
    }
}

/// Bytes that a number takes, as a value, as a gradient and in checks, and in the text that shows it: measured up to 165, of
/// JSON with the numbers in full.
const BYTES: usize = 224;

/// That the machine gives what a problem takes, before anything of it is made.
fn check_memory(numbers: usize) -> Result<(), BackpropError> {
    let bytes = numbers.saturating_mul(BYTES);
    match heap::has(bytes) {
        true => Ok(()),
        false => Err(BackpropError::Memory { numbers, bytes: readable(bytes as f64) }),
    }
}

fn check_size(shape: &[usize], columns: usize) -> Result<(), BackpropError> {
    let sum = |sizes: &mut dyn Iterator<Item = usize>| sizes.fold(0, usize::saturating_add);
    let weights = |pair: &[usize]| pair[0].saturating_mul(pair[1]);
    let all_weights = sum(&mut shape.windows(2).map(weights));
    // A layer has a value before its relu and one behind, the last one Y and D.
    let nodes = sum(&mut shape.iter().map(|width| width.saturating_mul(2).saturating_mul(columns)));
    let (numbers, work) = (all_weights.saturating_add(nodes), all_weights.saturating_mul(columns));
    if numbers > MOST_NUMBERS || work > MOST_WORK {
        return Err(BackpropError::TooLarge {
            numbers,
            work,
            most_numbers: MOST_NUMBERS,
            most_work: MOST_WORK,
        });
    }
    check_memory(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zeros(rows: usize, columns: usize) -> Matrix {
        Matrix { rows, columns, values: vec![0.0; rows * columns] }
    }

    #[test]
    fn shapes_that_do_not_chain_are_refused_and_both_are_named() {
        let refused = |x, y, weights| Problem::new(x, y, weights).unwrap_err().to_string();
        let inner = refused(zeros(5, 50), zeros(2, 50), vec![zeros(4, 5), zeros(3, 7), zeros(2, 3)]);
        assert!(inner.starts_with("W2 (3×7) does not fit W1 (4×5): W2 needs as many columns"), "{inner}");
        let first = refused(zeros(6, 50), zeros(2, 50), vec![zeros(2, 5)]);
        assert!(first.starts_with("W1 (2×5) does not fit X (6×50)"), "{first}");
        let rows = refused(zeros(5, 50), zeros(3, 50), vec![zeros(2, 5)]);
        assert!(rows.starts_with("Y (3×50) does not fit W1 (2×5): Y needs as many rows"), "{rows}");
        let columns = refused(zeros(5, 50), zeros(2, 49), vec![zeros(2, 5)]);
        assert!(columns.starts_with("Y (2×49) does not fit X (5×50): Y needs as many columns"), "{columns}");
        let mut bad = zeros(2, 5);
        bad.values[6] = f64::NAN;
        let not_finite = refused(zeros(5, 1), zeros(2, 1), vec![bad]);
        assert!(not_finite.starts_with("W1 holds NaN in row 2, column 2"), "{not_finite}");
        assert!(Problem::random(&[100_000, 100_000], 1, 0).unwrap_err().to_string().contains("too many"));
    }

    #[test]
    fn a_matrix_does_not_depend_on_the_extents_of_the_others() {
        let (a, b) =
            (Problem::random(&[5, 4, 3], 50, 7).unwrap(), Problem::random(&[5, 4, 2, 1], 50, 7).unwrap());
        assert_eq!((a.x(), &a.weights()[0]), (b.x(), &b.weights()[0]));
        assert_ne!(a.weights()[1].values[..8], b.weights()[0].values[..8]);
        let c = Problem::random(&[5, 4, 3], 50, 8).unwrap();
        assert_ne!(a.x(), c.x());
    }

    #[test]
    fn nan_is_the_largest_wherever_it_stands() {
        assert_eq!(largest([1.0, 3.0, 2.0]), 3.0);
        for place in 0..3 {
            let mut numbers = [1.0, 3.0, 2.0];
            numbers[place] = f64::NAN;
            assert!(largest(numbers).is_nan());
            let matrix = Matrix { rows: 1, columns: 3, values: numbers.to_vec() };
            assert!(matrix.largest().is_nan() && matrix.distance(&[1.0, 3.0, 2.0]).is_nan());
        }
        assert!(zeros(1, 2).distance(&[0.0]).is_nan());
    }

    #[test]
    fn entries_are_standard_normal() {
        let values = &Problem::random(&[200, 2], 100, 3).unwrap().x;
        let n = values.values.len() as f64;
        let mean = values.values.iter().sum::<f64>() / n;
        let variance = values.values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        assert!(
            mean.abs() < 4.0 / n.sqrt() && (variance - 1.0).abs() < 4.0 * (2.0 / n).sqrt(),
            "{mean} {variance}"
        );
    }
}
