//! Classification of photo and text as matching or not.
//!
//! SVO-Probes' own protocol (Hendricks and Nematzadeh 2021, arXiv 2106.09141, section 4): each photo and sentence is classified as
//! matching or not, and both accuracies are averaged. The threshold is chosen on one half of the rows and applied to the other.

use serde::{Deserialize, Serialize};

/// Accuracies of the classification, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MatchReport {
    /// On matching pairs.
    pub positive: f64,
    /// On other pairs.
    pub negative: f64,
    /// The mean of both.
    pub mean: f64,
    /// The thresholds of similarity, chosen on the odd rows and on the even ones.
    pub thresholds: [f32; 2],
}

/// Classifies rows by their similarities to the matching photo and to the other one; `None` with fewer than two rows.
pub fn judge(rows: &[(f32, f32)]) -> Option<MatchReport> {
    let half =
        |odd: usize| -> Vec<(f32, f32)> { rows.iter().copied().skip(odd).step_by(2).collect() };
    let halves = [half(0), half(1)];
    let thresholds = [threshold(&halves[1])?, threshold(&halves[0])?];
    let (mut positive, mut negative) = (0, 0);
    for (half, threshold) in halves.iter().zip(thresholds) {
        positive += half.iter().filter(|row| row.0 > threshold).count();
        negative += half.iter().filter(|row| row.1 <= threshold).count();
    }
    let share = |right: usize| right as f64 / rows.len() as f64;
    let (positive, negative) = (share(positive), share(negative));
    Some(MatchReport { positive, negative, mean: (positive + negative) / 2.0, thresholds })
}

/// The similarity that best separates matches from others.
fn threshold(rows: &[(f32, f32)]) -> Option<f32> {
    let mut all: Vec<(f32, bool)> = Vec::with_capacity(2 * rows.len());
    for (own, other) in rows {
        all.extend([(*own, true), (*other, false)]);
    }
    // In ascending order: a threshold above a match loses it, one above another pair gains it.
    all.sort_unstable_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(&one.1)));
    let (mut right, mut best) = (0_i64, None);
    for (place, (similarity, is_match)) in all.iter().enumerate() {
        right += if *is_match { -1 } else { 1 };
        let next = all.get(place + 1).map(|next| next.0);
        if next == Some(*similarity) || best.is_some_and(|(most, _)| right <= most) {
            continue;
        }
        // Midway between the two.
        best = Some((right, next.map_or(*similarity, |next| f32::midpoint(*similarity, next))));
    }
    best.map(|(_, similarity)| similarity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separable_rows_are_all_right() {
        let rows: Vec<(f32, f32)> =
            (0..10_u8).map(|n| (0.5 + f32::from(n), -1.0 - f32::from(n))).collect();
        let report = judge(&rows).unwrap();
        assert_eq!((report.positive, report.negative, report.mean), (1.0, 1.0, 1.0));
        assert!(report.thresholds.iter().all(|found| (-1.0..0.5).contains(found)), "{report:?}");
    }

    #[test]
    fn equal_similarities_are_at_chance() {
        let report = judge(&[(0.25, 0.25); 8]).unwrap();
        assert_eq!(report.mean, 0.5);
        assert_eq!(judge(&[(1.0, 0.0)]), None);
    }

    #[test]
    fn each_half_has_the_threshold_of_the_other() {
        // Even rows have higher similarities than odd ones, so the thresholds don't fit.
        let rows = [(10.0, 9.0), (2.0, 1.0), (10.0, 9.0), (2.0, 1.0)];
        let report = judge(&rows).unwrap();
        assert_eq!(report.thresholds, [1.5, 9.5]);
        assert_eq!((report.positive, report.negative), (0.5, 0.5));
    }
}
