//! Bootstrap intervals, resampled by photo.
//!
//! Photos are drawn with replacement, each with all of its rows, because rows of one photo aren't independent. Photos of one row are
//! drawn together, and so are all that rows connect. Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13
//! (percentile interval).
//!
//! Where rows connect the photos of most rows, as in SVO-Probes, there are too few such groups. Then each photo is drawn by itself, and
//! a row counts as often as the product of its photos' draws, which errs towards wide intervals (Owen 2007, The pigeonhole bootstrap,
//! arXiv 0708.1042).

use std::collections::HashMap;

use clove_random::Random;
use serde::{Deserialize, Serialize};

use super::{MeanIntervals, Report, RowsBySubset, ScoredRow};

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

/// What is drawn, and the rows that come with it.
struct Population {
    /// Number of things that are drawn: photos, or groups of them.
    units: usize,
    cells: Vec<Cell>,
    subsets: usize,
}

/// The rows of a subset that the same things bring.
struct Cell {
    subset: usize,
    units: Vec<usize>,
    right: u32,
    all: u32,
}

impl Population {
    fn of(rows: &RowsBySubset) -> Self {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut photos_of = Vec::new();
        for row in rows.iter().flat_map(|(_, rows)| rows) {
            let mut photos: Vec<usize> = Vec::with_capacity(row.photos.len());
            for photo in &row.photos {
                let next = numbers.len();
                photos.push(*numbers.entry(photo).or_insert(next));
            }
            photos.sort_unstable();
            photos.dedup();
            photos_of.push(photos);
        }
        let groups = groups(&photos_of, numbers.len());
        let mut rows_of = vec![0_usize; numbers.len()];
        for group in photos_of.iter().filter_map(|photos| photos.first()) {
            rows_of[groups[*group]] += 1;
        }
        let largest = rows_of.iter().max().copied().unwrap_or_default();
        let units = groups.iter().max().map_or(0, |last| last + 1);
        let are_groups = units > 1 && 2 * largest <= photos_of.len();
        let mut found = Self {
            units: if are_groups { units } else { numbers.len() },
            cells: Vec::new(),
            subsets: rows.len(),
        };
        let mut places = HashMap::new();
        let subsets = rows.iter().enumerate();
        let outcomes =
            subsets.flat_map(|(subset, (_, rows))| rows.iter().map(move |row| (subset, row)));
        for ((subset, row), photos) in outcomes.zip(&photos_of) {
            let units = match photos.first() {
                Some(first) if are_groups => vec![groups[*first]],
                _ => photos.clone(),
            };
            let next = found.cells.len();
            let place = *places.entry((subset, units.clone())).or_insert(next);
            if place == next {
                found.cells.push(Cell { subset, units, right: 0, all: 0 });
            }
            found.cells[place].right += u32::from(row.right);
            found.cells[place].all += 1;
        }
        found
    }

    /// Right rows and all rows by subset, where each unit was drawn so many times.
    fn count(&self, drawn: &[u32]) -> Vec<(u32, u32)> {
        let mut counts = vec![(0, 0); self.subsets];
        for cell in &self.cells {
            let times: u32 = cell.units.iter().map(|unit| drawn[*unit]).product();
            let (right, all) = &mut counts[cell.subset];
            *right += times * cell.right;
            *all += times * cell.all;
        }
        counts
    }

    fn draw(&self, random: &mut Random) -> Vec<u32> {
        let mut drawn = vec![0; self.units];
        for _ in 0..self.units {
            drawn[random.below(self.units)] += 1;
        }
        drawn
    }
}

/// The group of each photo, by number, in the order of their first rows: photos of one row are in one group.
fn groups(photos_of: &[Vec<usize>], photos: usize) -> Vec<usize> {
    let mut above: Vec<usize> = (0..photos).collect();
    let root = |above: &mut Vec<usize>, mut photo: usize| {
        while above[photo] != photo {
            above[photo] = above[above[photo]];
            photo = above[photo];
        }
        photo
    };
    for photos in photos_of {
        for pair in photos.windows(2) {
            let (one, other) = (root(&mut above, pair[0]), root(&mut above, pair[1]));
            above[one.max(other)] = one.min(other);
        }
    }
    let mut numbers = HashMap::new();
    (0..photos)
        .map(|photo| {
            let next = numbers.len();
            *numbers.entry(root(&mut above, photo)).or_insert(next)
        })
        .collect()
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

/// Adds intervals to a report, from the outcomes of its rows. The result is deterministic. A single photo has no interval.
pub fn add_intervals(report: &mut Report, rows: &RowsBySubset) {
    let population = Population::of(rows);
    if population.units < 2 {
        return;
    }
    let primary = primary(report);
    let mut random = Random::new(&[SEED]);
    let mut by_subset = vec![Vec::with_capacity(DRAWS); population.subsets];
    let (mut of_subsets, mut of_rows) = (Vec::new(), Vec::new());
    for _ in 0..DRAWS {
        let counts = population.count(&population.draw(&mut random));
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

/// 95 % interval of the share of right outcomes, given by photo; `None` with fewer than two photos.
pub fn share_interval(photos: &[Vec<bool>]) -> Option<[f64; 2]> {
    let cells = photos.iter().enumerate().map(|(photo, rows)| Cell {
        subset: 0,
        units: vec![photo],
        right: rows.iter().filter(|is_right| **is_right).count() as u32,
        all: rows.len() as u32,
    });
    let population = Population { units: photos.len(), cells: cells.collect(), subsets: 1 };
    if population.units < 2 {
        return None;
    }
    let mut random = Random::new(&[SEED]);
    let draws =
        (0..DRAWS).filter_map(|_| share(population.count(&population.draw(&mut random))[0]));
    interval(draws.collect())
}

/// The difference of another model's mean of subsets; `None` if its rows or their photos differ, or there is one photo. The same
/// photos are drawn for both.
pub fn difference(
    report: &Report,
    rows: &RowsBySubset,
    other: &RowsBySubset,
) -> Option<Difference> {
    let alike = rows.len() == other.len()
        && rows.iter().zip(other).all(|((_, one), (_, other))| {
            let key = |row: &ScoredRow| (row.id.clone(), row.photos.clone());
            one.iter().map(key).eq(other.iter().map(key))
        });
    if !alike {
        return None;
    }
    let (first, second) = (Population::of(rows), Population::of(other));
    if first.units < 2 {
        return None;
    }
    let primary = primary(report);
    let less = |drawn: &[u32]| {
        let (one, _) = means(&first.count(drawn), &primary)?;
        let (other, _) = means(&second.count(drawn), &primary)?;
        Some(other - one)
    };
    let macro_mean = less(&vec![1; first.units])?;
    let mut random = Random::new(&[SEED]);
    let values = (0..DRAWS).filter_map(|_| less(&first.draw(&mut random)));
    Some(Difference { macro_mean, interval: interval(values.collect())? })
}

#[cfg(test)]
mod tests {
    use super::super::SubsetReport;
    use super::*;

    fn row(id: usize, photos: &[usize], right: bool) -> ScoredRow {
        let photos: Vec<String> = photos.iter().map(ToString::to_string).collect();
        let (id, image) = (id.to_string(), photos[0].clone());
        ScoredRow { id, image, margin: if right { 1.0 } else { -1.0 }, right, photos }
    }

    /// Rows of as many photos, of which so many are right.
    fn rows(photos: usize, each: usize, right: usize) -> RowsBySubset {
        let row = |number: usize| row(number, &[number / each], number / each < right);
        vec![("a".to_owned(), (0..photos * each).map(row).collect())]
    }

    fn report(rows: &RowsBySubset) -> Report {
        let subset = SubsetReport { name: "a".to_owned(), ..SubsetReport::default() };
        let mut report = Report { subsets: vec![subset], ..Report::default() };
        add_intervals(&mut report, rows);
        report
    }

    /// The interval of the mean of all rows.
    fn width(rows: Vec<ScoredRow>) -> f64 {
        let [low, high] = report(&vec![("a".to_owned(), rows)]).intervals.unwrap().weighted_mean;
        high - low
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
        assert_eq!(share_interval(&[vec![true, false]]), None);
    }

    #[test]
    fn photos_that_rows_connect_are_drawn_together() {
        assert_eq!(groups(&[vec![0, 1], vec![2], vec![3, 4], vec![1, 4]], 5), [0, 0, 1, 0, 0]);
        // Two rows share a photo, and are right or wrong together: as many independent outcomes as pairs of rows.
        let pairs = 100;
        let rows = (0..2 * pairs).map(|at| {
            let first = at / 2 * 3 + at % 2;
            row(at, &[first, first + 1], at / 2 % 2 == 0)
        });
        let expected = 2.0 * 1.96 / (2.0 * (pairs as f64).sqrt());
        let found = width(rows.collect());
        assert!((found - expected).abs() < 0.03, "{found} {expected}");
        // The same photo twice is one photo.
        let alone = (0..2 * pairs).map(|at| row(at, &[at, at], at % 2 == 0));
        let expected = 2.0 * 1.96 / (2.0 * (2.0 * pairs as f64).sqrt());
        let found = width(alone.collect());
        assert!((found - expected).abs() < 0.03, "{found} {expected}");
    }

    #[test]
    fn photos_that_rows_connect_to_a_whole_are_drawn_alone() {
        let count = 200;
        let rows = (0..count).map(|at| row(at, &[at, (at + 1) % count], at % 2 == 0));
        // Not narrower than that of independent rows, and no wider than the threefold variance of products of two draws.
        let least = 2.0 * 1.96 / (2.0 * (count as f64).sqrt());
        let found = width(rows.collect());
        assert!(found > 0.8 * least && found < 2.0 * least, "{found} {least}");
        assert!(report(&vec![("a".to_owned(), vec![row(0, &[1], true)])]).intervals.is_none());
    }

    #[test]
    fn a_difference_is_paired() {
        let one = rows(50, 2, 25);
        // The same rows, but for one photo: whatever is drawn, the difference is small.
        let mut other = one.clone();
        for row in other[0].1.iter_mut().filter(|row| row.image == "30") {
            row.right = true;
        }
        let found = difference(&report(&one), &one, &other).unwrap();
        assert!((found.macro_mean - 0.02).abs() < 1e-12);
        assert!(found.interval[0] >= 0.0 && found.interval[1] <= 0.08, "{found:?}");
        let [low, high] = report(&one).intervals.unwrap().macro_mean;
        assert!(high - low > 0.2, "each alone is far wider");
        assert_eq!(difference(&report(&one), &one, &rows(49, 2, 25)), None);
    }
}
