//! Rows of L2-normalised embeddings and the dot product of every score.
//!
//! Every dot product is summed from the first position to the last, alone or in a block, so that ties are well defined.

use std::ops::Range;

use super::EvaluateError;

/// Embeddings `[rows, dim]`, row-major, each row of L2 norm 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    dim: usize,
    data: Vec<f32>,
}

impl Embeddings {
    /// Takes `data` `[rows, dim]`, row-major, and L2-normalises each row. `data` may be empty.
    ///
    /// # Errors
    /// [`EvaluateError::Shape`] if `dim` is 0 or doesn't divide the number of values, [`EvaluateError::NotFinite`] and
    /// [`EvaluateError::ZeroRow`] for rows without a direction.
    pub fn from_rows(dim: usize, mut data: Vec<f32>) -> Result<Self, EvaluateError> {
        if dim == 0 || !data.len().is_multiple_of(dim) {
            let values = data.len();
            return Err(EvaluateError::Shape { dim, values });
        }
        for (row, values) in data.chunks_exact_mut(dim).enumerate() {
            if let Some(position) = values.iter().position(|value| !value.is_finite()) {
                let value = values[position];
                return Err(EvaluateError::NotFinite { row, position, value });
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
    /// If `i` is not below [`len`](Self::len).
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.dim..(i + 1) * self.dim]
    }

    /// Cosine similarity of row `i` with row `j` of `other`.
    ///
    /// # Panics
    /// If a row doesn't exist or the widths differ.
    pub fn dot(&self, i: usize, other: &Self, j: usize) -> f32 {
        assert_eq!(self.dim, other.dim, "embeddings of different widths");
        dot(self.row(i), other.row(j))
    }

    /// All values `[rows, dim]`, row-major.
    pub fn as_slice(&self) -> &[f32] {
        &self.data
    }

    pub(super) fn check_width(&self, other: &Self) -> Result<(), EvaluateError> {
        if self.dim == other.dim {
            return Ok(());
        }
        Err(EvaluateError::Width { left: self.dim, right: other.dim })
    }
}

/// Scales `row` to L2 norm 1. False, without a change, for a row without a direction (all zeros, NaN or infinity).
///
/// The norm is computed in f64, where no finite f32 overflows or underflows.
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

/// The dot product of two rows, summed from the first position to the last, as in [`Panels`].
fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).fold(0.0, |sum, (x, y)| sum + x * y)
}

/// Rows of a panel; one or two registers hold their sums.
const PANEL: usize = 8;
/// Rows multiplied with a panel at once: the 4 x 8 sums fit the sixteen registers of SSE2 and of WASM's simd128.
const TILE: usize = 4;

/// A block of embeddings laid out for multiplication: panels of [`PANEL`] rows, each `[dim, PANEL]`, the last filled up with zeros.
///
/// The sums of different rows are adjacent, so the inner loop vectorises although every sum keeps its order.
pub(super) struct Panels {
    dim: usize,
    rows: usize,
    values: Vec<[f32; PANEL]>,
}

impl Panels {
    /// Lays out the rows of `range`, which must exist.
    pub(super) fn new(embeddings: &Embeddings, range: Range<usize>) -> Self {
        let (dim, rows) = (embeddings.dim, range.len());
        let mut values = vec![[0.0; PANEL]; rows.div_ceil(PANEL) * dim];
        for (at, row) in range.enumerate() {
            let panel = &mut values[at / PANEL * dim..][..dim];
            for (place, &value) in panel.iter_mut().zip(embeddings.row(row)) {
                place[at % PANEL] = value;
            }
        }
        Self { dim, rows, values }
    }

    /// Calls `visit(i, similarities)` for each row of `range` of `embeddings`, with its similarities to the rows of this block.
    pub(super) fn for_each_row(
        &self,
        embeddings: &Embeddings,
        range: Range<usize>,
        mut visit: impl FnMut(usize, &[f32]),
    ) {
        // At least one panel, because chunks can't be empty.
        let stride = (self.values.len() / self.dim).max(1) * PANEL;
        let mut lines = vec![0.0; TILE * stride];
        let mut first = range.start;
        while first < range.end {
            let tile = TILE.min(range.end - first);
            if tile == TILE {
                let rows: [&[f32]; TILE] = std::array::from_fn(|at| embeddings.row(first + at));
                self.multiply(rows, &mut lines);
            } else {
                for (at, line) in lines.chunks_exact_mut(stride).enumerate().take(tile) {
                    self.multiply([embeddings.row(first + at)], line);
                }
            }
            for (at, line) in lines.chunks_exact(stride).enumerate().take(tile) {
                visit(first + at, &line[..self.rows]);
            }
            first += tile;
        }
    }

    /// Similarities of `A` rows with the whole block, `[A, rows filled up to whole panels]`.
    fn multiply<const A: usize>(&self, rows: [&[f32]; A], lines: &mut [f32]) {
        let stride = lines.len() / A;
        for (number, panel) in self.values.chunks_exact(self.dim).enumerate() {
            let sums = multiply_panel(rows, panel);
            for (line, sums) in lines.chunks_exact_mut(stride).zip(sums) {
                line[number * PANEL..][..PANEL].copy_from_slice(&sums);
            }
        }
    }
}

fn multiply_panel<const A: usize>(rows: [&[f32]; A], panel: &[[f32; PANEL]]) -> [[f32; PANEL]; A] {
    // Equal lengths spare the loop its bounds checks.
    let rows = rows.map(|row| &row[..panel.len()]);
    let mut sums = [[0f32; PANEL]; A];
    for (position, values) in panel.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(rows) {
            let x = row[position];
            for (sum, y) in sums.iter_mut().zip(values) {
                *sum += x * y;
            }
        }
    }
    sums
}
