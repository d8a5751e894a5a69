//! Summary statistics of numbers.

use serde::Serialize;

#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub min: u32,
    pub median: u32,
    pub mean: f64,
    pub percentile_95: u32,
    pub max: u32,
}

impl Spread {
    pub const COLUMNS: [&str; 5] = ["min", "median", "mean", "95 %", "max"];

    pub fn of(mut numbers: Vec<u32>) -> Self {
        numbers.sort_unstable();
        let (Some(&min), Some(&max)) = (numbers.first(), numbers.last()) else {
            return Self::default();
        };
        // By nearest rank.
        let rank = |percent: usize| numbers[(numbers.len() * percent).div_ceil(100).max(1) - 1];
        let sum: u64 = numbers.iter().map(|&number| u64::from(number)).sum();
        Self {
            min,
            median: rank(50),
            mean: sum as f64 / numbers.len() as f64,
            percentile_95: rank(95),
            max,
        }
    }

    pub fn cells(&self) -> [String; 5] {
        [
            self.min.to_string(),
            self.median.to_string(),
            format!("{:.1}", self.mean),
            self.percentile_95.to_string(),
            self.max.to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn figures_are_nearest_ranks() {
        assert_eq!(Spread::of(vec![]), Spread::default());
        assert_eq!(Spread::of(vec![7]).cells(), ["7", "7", "7.0", "7", "7"]);
        let hundred = Spread::of((1..=100).rev().collect());
        assert_eq!(hundred.cells(), ["1", "50", "50.5", "95", "100"]);
        assert_eq!(Spread::of(vec![1, 2, 3]).median, 2);
    }
}
