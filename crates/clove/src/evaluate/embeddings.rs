//! Rows of L2-normalised embeddings and the one dot product that every score uses.
//!
//! Called by all of `evaluate`. The order of additions in a dot product depends on its width alone, never on the block it is
//! computed in, so the similarity of two rows is the same number everywhere and comparing for equality (ties) is meaningful.

use super::EvaluateError;

/// Partial sums a dot product keeps: one AVX register or two SSE registers of f32.
const LANES: usize = 8;

/// Embeddings `[rows, dim]`, row-major, each row of L2 norm 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    dim: usize,
    data: Vec<f32>,
}

impl Embeddings {
    /// Takes `data` `[rows, dim]`, row-major, and L2-normalises each row. No rows at all is fine.
    ///
    /// # Errors
    /// [`EvaluateError::Shape`] if `dim` is 0 or doesn't divide the number of values, [`EvaluateError::NotFinite`] and
    /// [`EvaluateError::ZeroRow`] for rows without a direction; they name the row.
    pub fn from_rows(dim: usize, mut data: Vec<f32>) -> Result<Self, EvaluateError> {
        if dim == 0 || !data.len().is_multiple_of(dim) {
            let values = data.len();
            return Err(EvaluateError::Shape { dim, values });
        }
        for (row, values) in data.chunks_exact_mut(dim).enumerate() {
            if let Some(position) = values.iter().position(|value| !value.is_finite()) {
                let value = values[position];
                return Err(EvaluateError::NotFinite {
                    row,
                    position,
                    value,
                });
            }
            if !normalise(values) {
                return Err(EvaluateError::ZeroRow { row });
            }
        }
        Ok(Self { dim, data })
    }

    /// Width of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    /// True if there are no rows.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Row `i`, `[dim]`, of norm 1.
    ///
    /// # Panics
    /// Like a slice, if `i` is not below [`len`](Self::len). The scoring functions check their indices and return errors.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.dim..(i + 1) * self.dim]
    }

    /// Cosine similarity of row `i` with row `j` of `other`.
    ///
    /// # Panics
    /// Like a slice, if a row doesn't exist or the widths differ. The scoring functions check and return errors.
    pub fn dot(&self, i: usize, other: &Self, j: usize) -> f32 {
        assert_eq!(self.dim, other.dim, "embeddings of different widths");
        dots([self.row(i)], [other.row(j)])[0][0]
    }

    /// All values `[rows, dim]`, row-major.
    pub fn as_slice(&self) -> &[f32] {
        &self.data
    }

    pub(super) fn check_width(&self, other: &Self) -> Result<(), EvaluateError> {
        if self.dim == other.dim {
            return Ok(());
        }
        Err(EvaluateError::Width {
            left: self.dim,
            right: other.dim,
        })
    }
}

/// Scales `row` to L2 norm 1 and returns true; leaves a row without a direction (all zeros, NaN or infinity) as it is and returns false.
///
/// The norm is taken in f64, where no finite f32 overflows or underflows.
pub fn normalise(row: &mut [f32]) -> bool {
    let squares: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
    let norm = squares.sqrt();
    if !(norm.is_finite() && norm > 0.0) {
        return false;
    }
    for value in row {
        *value = (f64::from(*value) / norm) as f32;
    }
    true
}

/// Dot products of each of `A` rows with each of `B` rows, `[A, B]`; all rows must be of one length.
///
/// Several rows at once, because every loaded value then serves several products.
#[inline(always)]
pub(super) fn dots<const A: usize, const B: usize>(
    left: [&[f32]; A],
    right: [&[f32]; B],
) -> [[f32; B]; A] {
    let left = left.map(|row| row.as_chunks::<LANES>());
    let right = right.map(|row| row.as_chunks::<LANES>());
    let blocks = left.first().map_or(0, |(chunks, _)| chunks.len());
    // Cut to one length here, so that the loop below needs no bounds checks.
    let left_blocks = left.map(|(chunks, _)| &chunks[..blocks]);
    let right_blocks = right.map(|(chunks, _)| &chunks[..blocks]);
    let mut sums = [[[0f32; LANES]; B]; A];
    for block in 0..blocks {
        for a in 0..A {
            for b in 0..B {
                let (x, y) = (&left_blocks[a][block], &right_blocks[b][block]);
                for lane in 0..LANES {
                    sums[a][b][lane] += x[lane] * y[lane];
                }
            }
        }
    }
    let mut products = [[0f32; B]; A];
    for a in 0..A {
        for b in 0..B {
            let s = &sums[a][b];
            let whole = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
            let tail = left[a].1.iter().zip(right[b].1);
            products[a][b] = tail.fold(whole, |sum, (x, y)| sum + x * y);
        }
    }
    products
}
