//! Bootstrap intervals, resampled by photo.
//!
//! Photos are drawn with replacement, each with all of its rows, because rows of one photo aren't independent. Efron and Tibshirani,
//! An Introduction to the Bootstrap, 1993, chapters 8 and 13 (percentile interval).

use std::collections::HashMap;

use clove_random::Random;
use serde::{Deserialize, Serialize};

use super::{MeanIntervals, Report, RowsBySubset};

/// Draws.
const DRAWS: usize = 1_000;
const SEED: u64 = 1_993;

/// The difference of another model on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The other model's mean of subsets minus the first's.
    pub macro_mean: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
}

/// The population: photos with their rows, each given by its subset and whether it's right.
struct Photos {
    rows: Vec<Vec<(usize, bool)>>,
    subsets: usize,
}

impl Photos {
    fn of(rows: &RowsBySubset) -> Self {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut found: Vec<Vec<(usize, bool)>> = Vec::new();
        for (subset, (_, rows)) in rows.iter().enumerate() {
            for row in rows {
                let place = *places.entry(&row.image).or_insert(found.len());
                if place == found.len() {
                    found.push(Vec::new());
                }
                found[place].push((subset, row.margin > 0.0));
            }
        }
        Self { rows: found, subsets: rows.len() }
    }

    /// Right rows and all rows of the drawn photos, by subset.
    fn count(&self, drawn: &[usize]) -> Vec<(u32, u32)> {
        let mut counts = vec![(0, 0); self.subsets];
        for (subset, is_right) in drawn.iter().flat_map(|photo| &self.rows[*photo]) {
            let (right, all) = &mut counts[*subset];
            *right += u32::from(*is_right);
            *all += 1;
        }
        counts
    }

    fn draw(&self, random: &mut Random) -> Vec<usize> {
        let count = self.rows.len();
        (0..count).map(|_| random.below(count)).collect()
    }
}

fn share((right, all): (u32, u32)) -> Option<f64> {
    (all > 0).then(|| f64::from(right) / f64::from(all))
}

/// The mean of the `primary` subsets, and the mean of their rows.
fn means(counts: &[(u32, u32)], primary: &[bool]) -> Option<(f64, f64)> {
    let counts = counts.iter().zip(primary).filter(|(_, counts)| **counts);
    let (mut sum, mut subsets, mut right, mut all) = (0.0, 0_u32, 0, 0);
    for (count, _) in counts {
        if let Some(share) = share(*count) {
            sum += share;
            subsets += 1;
        }
        right += count.0;
        all += count.1;
    }
    Some((sum / f64::from(subsets), share((right, all))?)).filter(|_| subsets > 0)
}

/// Whether each subset of a report is part of its means, that is, has the first metric.
fn primary(report: &Report) -> Vec<bool> {
    let first = report.subsets.first().map(|subset| &subset.metric);
    let subsets = report.subsets.iter();
    subsets.map(|subset| Some(&subset.metric) == first).collect()
}

/// The range of the central 95 % of the values; `None` without values.
fn interval(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| values.get((share * (values.len().max(1) - 1) as f64).round() as usize);
    Some([*at(0.025)?, *at(0.975)?])
}

/// Adds intervals to a report, from the outcomes of its rows. The result is deterministic.
pub fn add_intervals(report: &mut Report, rows: &RowsBySubset) {
    let photos = Photos::of(rows);
    if photos.rows.is_empty() {
        return;
    }
    let primary = primary(report);
    let mut random = Random::new(&[SEED]);
    let mut by_subset = vec![Vec::with_capacity(DRAWS); photos.subsets];
    let (mut of_subsets, mut of_rows) = (Vec::new(), Vec::new());
    for _ in 0..DRAWS {
        let counts = photos.count(&photos.draw(&mut random));
        for (values, count) in by_subset.iter_mut().zip(&counts) {
            values.extend(share(*count));
        }
        if let Some((subsets, rows)) = means(&counts, &primary) {
            of_subsets.push(subsets);
            of_rows.push(rows);
        }
    }
    for (subset, values) in report.subsets.iter_mut().zip(by_subset) {
        subset.interval = interval(values);
    }
    let means = interval(of_subsets).zip(interval(of_rows));
    report.intervals =
        means.map(|(macro_mean, weighted_mean)| MeanIntervals { macro_mean, weighted_mean });
}

/// 95 % interval of the share of right outcomes, given by photo.
pub fn share_interval(photos: &[Vec<bool>]) -> Option<[f64; 2]> {
    let photos = Photos {
        rows: photos
            .iter()
            .map(|rows| rows.iter().map(|is_right| (0, *is_right)).collect())
            .collect(),
        subsets: 1,
    };
    if photos.rows.is_empty() {
        return None;
    }
    let mut random = Random::new(&[SEED]);
    let draws = (0..DRAWS).filter_map(|_| share(photos.count(&photos.draw(&mut random))[0]));
    interval(draws.collect())
}

/// The difference of another model's mean of subsets; `None` if its rows differ. The same photos are drawn for both.
pub fn difference(
    report: &Report,
    rows: &RowsBySubset,
    other: &RowsBySubset,
) -> Option<Difference> {
    let alike = rows.len() == other.len()
        && rows.iter().zip(other).all(|((_, one), (_, other))| {
            one.iter().map(|row| &row.id).eq(other.iter().map(|row| &row.id))
        });
    if !alike {
        return None;
    }
    let (first, second) = (Photos::of(rows), Photos::of(other));
    let primary = primary(report);
    let all: Vec<usize> = (0..first.rows.len()).collect();
    let less = |drawn: &[usize]| {
        let (one, _) = means(&first.count(drawn), &primary)?;
        let (other, _) = means(&second.count(drawn), &primary)?;
        Some(other - one)
    };
    let mut random = Random::new(&[SEED]);
    let values = (0..DRAWS).filter_map(|_| less(&first.draw(&mut random)));
    Some(Difference { macro_mean: less(&all)?, interval: interval(values.collect())? })
}

#[cfg(test)]
mod tests {
    use super::super::{ScoredRow, SubsetReport};
    use super::*;

    /// Rows of as many photos, of which so many are right.
    fn rows(photos: usize, each: usize, right: usize) -> RowsBySubset {
        let row = |number: usize| ScoredRow {
            id: number.to_string(),
            image: (number / each).to_string(),
            margin: if number / each < right { 1.0 } else { -1.0 },
        };
        vec![("a".to_owned(), (0..photos * each).map(row).collect())]
    }

    #[test]
    fn an_interval_has_the_width_of_its_photos() {
        let outcomes = |photos: usize, each: usize| -> Vec<Vec<bool>> {
            (0..photos).map(|photo| vec![photo % 2 == 0; each]).collect()
        };
        // A share of a half among n has a standard error of 1 / (2 sqrt n).
        for photos in [100, 400] {
            for each in [1, 5] {
                let [low, high] = share_interval(&outcomes(photos, each)).unwrap();
                let half = 1.96 / (2.0 * (photos as f64).sqrt());
                assert!((low - (0.5 - half)).abs() < 0.015, "{photos} {each}: {low}");
                assert!((high - (0.5 + half)).abs() < 0.015, "{photos} {each}: {high}");
            }
        }
        assert_eq!(share_interval(&vec![vec![true]; 9]), Some([1.0, 1.0]));
        assert_eq!(share_interval(&[]), None);
    }

    #[test]
    fn a_difference_is_paired() {
        let one = rows(50, 2, 25);
        // The same rows, but for one photo: whatever is drawn, the difference is small.
        let mut other = one.clone();
        for row in other[0].1.iter_mut().filter(|row| row.image == "30") {
            row.margin = 1.0;
        }
        let photos = (Photos::of(&one), Photos::of(&other));
        assert_eq!(photos.0.rows.len(), photos.1.rows.len());
        let report = |rows: &RowsBySubset| -> Report {
            let subset = SubsetReport { name: "a".to_owned(), ..SubsetReport::default() };
            let mut report = Report { subsets: vec![subset], ..Report::default() };
            add_intervals(&mut report, rows);
            report
        };
        let found = difference(&report(&one), &one, &other).unwrap();
        assert!((found.macro_mean - 0.02).abs() < 1e-12);
        assert!(found.interval[0] >= 0.0 && found.interval[1] <= 0.08, "{found:?}");
        let [low, high] = report(&one).intervals.unwrap().macro_mean;
        assert!(high - low > 0.2, "each alone is far wider");
        assert_eq!(difference(&report(&one), &one, &rows(49, 2, 25)), None);
    }
}
