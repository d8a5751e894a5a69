//! Trials: the rows of every benchmark that compares similarities, such as those of a photo with its caption and with a hard negative, or
//! of Winoground's two photos with its two captions. `clove-data` reads benchmark files into trials.

use super::pairs::distinct;
use super::{EvaluateError, PairEmbeddings, ScoredRow, Subset, SubsetReport, SubsetScore};

/// A similarity in a trial, by the places of its photos and texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Similarity {
    /// A photo and a text.
    Photo(usize, usize),
    /// Two texts.
    Texts(usize, usize),
}

/// A condition: `over` is strictly greater than `under`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Comparison {
    /// The greater similarity.
    pub over: Similarity,
    /// The smaller similarity.
    pub under: Similarity,
}

/// A metric: a trial is right if all comparisons hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Name; empty if the benchmark has only one metric.
    pub name: String,
    /// The comparisons. Those with a text that a trial lacks don't apply to it.
    pub comparisons: Vec<Comparison>,
    /// Whether a tie is right, as where a benchmark's code takes the first of equals, which is the caption.
    pub ties_win: bool,
}

/// A row of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The row's key in its set.
    pub id: String,
    /// File names of its photos.
    pub images: Vec<String>,
    /// Its texts.
    pub texts: Vec<String>,
}

/// A named part of a benchmark, with the same metrics for all rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialSet {
    /// Name.
    pub name: String,
    /// The metrics; means are of the first.
    pub metrics: Vec<Metric>,
    /// Rows, in the file's order.
    pub trials: Vec<Trial>,
}

impl Metric {
    /// The photo's similarity to its first text is greater than those to the next `others`.
    pub fn first_of(name: &str, others: usize) -> Self {
        let other =
            |text| Comparison { over: Similarity::Photo(0, 0), under: Similarity::Photo(0, text) };
        Self {
            name: name.to_owned(),
            comparisons: (1..=others).map(other).collect(),
            ties_win: false,
        }
    }

    /// Whether a row of this margin is right.
    fn is_right(&self, margin: f32) -> bool {
        margin > 0.0 || (self.ties_win && margin == 0.0)
    }

    /// Whether no model can get a trial right: a similarity must be greater than itself, or than a text's similarity to itself.
    pub fn is_unanswerable(&self, trial: &Trial) -> bool {
        // By content, not by place; the two texts of a similarity have no order.
        let key = |similarity: Similarity| match similarity {
            Similarity::Photo(photo, text) => (trial.images.get(photo), trial.texts.get(text)),
            Similarity::Texts(one, other) => {
                let (one, other) = (trial.texts.get(one), trial.texts.get(other));
                (one.min(other), one.max(other))
            }
        };
        let is_itself = |similarity: Similarity| match similarity {
            Similarity::Photo(..) => false,
            Similarity::Texts(one, other) => trial.texts.get(one) == trial.texts.get(other),
        };
        let fails =
            |found: Comparison| key(found.over) == key(found.under) || is_itself(found.under);
        !self.ties_win && self.of(trial).any(fails)
    }

    /// The comparisons that apply to a trial.
    pub(super) fn of<'a>(&'a self, trial: &'a Trial) -> impl Iterator<Item = Comparison> + 'a {
        let is_there = |similarity: Similarity| match similarity {
            Similarity::Photo(_, text) => text < trial.texts.len(),
            Similarity::Texts(one, other) => one.max(other) < trial.texts.len(),
        };
        let comparisons = self.comparisons.iter().copied();
        comparisons.filter(move |found| is_there(found.over) && is_there(found.under))
    }

    /// Whether it compares photos.
    pub(super) fn sees_photos(&self) -> bool {
        let is_of_photo = |similarity| matches!(similarity, Similarity::Photo(..));
        let mut comparisons = self.comparisons.iter();
        comparisons.any(|found| is_of_photo(found.over) || is_of_photo(found.under))
    }
}

impl From<&Subset> for TrialSet {
    fn from(subset: &Subset) -> Self {
        let trials = subset.rows.iter().map(|pair| Trial {
            id: pair.id.clone(),
            images: vec![pair.image.clone()],
            texts: vec![pair.caption.clone(), pair.negative.clone()],
        });
        Self {
            name: subset.name.clone(),
            metrics: vec![Metric::first_of("", 1)],
            trials: trials.collect(),
        }
    }
}

/// File names of all photos of `sets`, each once, in order of appearance.
pub fn photos_of(sets: &[TrialSet]) -> Vec<String> {
    distinct(trials_of(sets).flat_map(|trial| &trial.images))
}

/// All texts of the trials whose photos are all `present`, each once, in order of appearance.
pub fn texts_of(sets: &[TrialSet], present: impl Fn(&str) -> bool) -> Vec<String> {
    let whole = |trial: &&Trial| trial.images.iter().all(|image| present(image));
    distinct(trials_of(sets).filter(whole).flat_map(|trial| &trial.texts))
}

fn trials_of(sets: &[TrialSet]) -> impl Iterator<Item = &Trial> {
    sets.iter().flat_map(|set| &set.trials)
}

/// The greatest difference of two cosines: the margin of a row that compares nothing, which holds.
const GREATEST_MARGIN: f32 = 2.0;

/// Scores the trials whose photos all have an embedding, for each metric of the set.
///
/// Rows that [no model can get right](Metric::is_unanswerable) by a metric are listed and not scored by it.
///
/// # Errors
/// Different widths, an index past the embeddings, or a text of a trial with photos that has no embedding.
pub fn score_trials(
    set: &TrialSet,
    embeddings: PairEmbeddings<'_>,
) -> Result<Vec<SubsetScore>, EvaluateError> {
    embeddings.images.check_width(embeddings.texts)?;
    set.metrics.iter().map(|metric| score_metric(set, metric, embeddings)).collect()
}

fn score_metric(
    set: &TrialSet,
    metric: &Metric,
    embeddings: PairEmbeddings<'_>,
) -> Result<SubsetScore, EvaluateError> {
    let (mut rows, mut skipped, mut without_photo) = (Vec::new(), Vec::new(), Vec::new());
    let mut missing = 0;
    for trial in &set.trials {
        if metric.is_unanswerable(trial) {
            skipped.push(trial.id.clone());
            continue;
        }
        let is_missing = |image: &&String| !embeddings.image_rows.contains_key(*image);
        let before = without_photo.len();
        without_photo.extend(trial.images.iter().filter(is_missing));
        if without_photo.len() > before {
            missing += 1;
            continue;
        }
        let similar = |similarity| similarity_of(set, trial, similarity, embeddings);
        let mut margin = GREATEST_MARGIN;
        for comparison in metric.of(trial) {
            // With subnormals the difference of two f32 is zero only if they are equal, so its sign is exact.
            margin = margin.min(similar(comparison.over)? - similar(comparison.under)?);
        }
        rows.push(ScoredRow {
            id: trial.id.clone(),
            image: trial.images.first().cloned().unwrap_or_default(),
            margin,
            right: metric.is_right(margin),
            photos: trial.images.clone(),
        });
    }
    let correct = rows.iter().filter(|row| row.right).count();
    let report = SubsetReport {
        name: set.name.clone(),
        metric: (!metric.name.is_empty()).then(|| metric.name.clone()),
        accuracy: (!rows.is_empty()).then(|| correct as f64 / rows.len() as f64),
        interval: None,
        rows: rows.len(),
        correct,
        ties: rows.iter().filter(|row| row.margin == 0.0).count(),
        missing,
        skipped: skipped.len(),
    };
    Ok(SubsetScore { report, rows, skipped, missing_images: distinct(without_photo.into_iter()) })
}

fn similarity_of(
    set: &TrialSet,
    trial: &Trial,
    similarity: Similarity,
    embeddings: PairEmbeddings<'_>,
) -> Result<f32, EvaluateError> {
    let text_row = |place: usize| {
        let text = trial.texts.get(place).map_or("", String::as_str);
        let row = embeddings.text_rows.get(text).copied();
        let row = row.ok_or_else(|| {
            EvaluateError::TextNotEncoded(set.name.clone(), trial.id.clone(), text.to_owned())
        })?;
        check_index("text", text, row, embeddings.texts.len())?;
        Ok(row)
    };
    match similarity {
        Similarity::Photo(photo, text) => {
            let name = trial.images.get(photo).map_or("", String::as_str);
            let missing = || EvaluateError::Index {
                what: "image",
                at: name.to_owned(),
                row: photo,
                rows: trial.images.len(),
            };
            let row = *embeddings.image_rows.get(name).ok_or_else(missing)?;
            check_index("image", name, row, embeddings.images.len())?;
            Ok(embeddings.images.dot(row, embeddings.texts, text_row(text)?))
        }
        Similarity::Texts(one, other) => {
            let (one, other) = (text_row(one)?, text_row(other)?);
            Ok(embeddings.texts.dot(one, embeddings.texts, other))
        }
    }
}

fn check_index(what: &'static str, at: &str, row: usize, rows: usize) -> Result<(), EvaluateError> {
    if row < rows {
        return Ok(());
    }
    Err(EvaluateError::Index { what, at: at.to_owned(), row, rows })
}

/// The probability that a trial is right, with similarities from `value`, where those at most `tie` apart are ordered at random.
pub(super) fn credit(
    comparisons: &[Comparison],
    value: impl Fn(Similarity) -> f64,
    tie: f64,
) -> f64 {
    let mut named: Vec<Similarity> = Vec::new();
    for comparison in comparisons {
        for similarity in [comparison.over, comparison.under] {
            if !named.contains(&similarity) {
                named.push(similarity);
            }
        }
    }
    let place = |similarity: Similarity| named.iter().position(|found| *found == similarity);
    let values: Vec<f64> = named.iter().map(|similarity| value(*similarity)).collect();
    let compared: Vec<(usize, usize)> = comparisons
        .iter()
        .filter_map(|found| Some((place(found.over)?, place(found.under)?)))
        .collect();
    let is_tied = |(over, under): &(usize, usize)| (values[*over] - values[*under]).abs() <= tie;
    if compared.iter().any(|pair| !is_tied(pair) && values[pair.0] < values[pair.1]) {
        return 0.0;
    }
    let open: Vec<(usize, usize)> = compared.into_iter().filter(is_tied).collect();
    if open.is_empty() {
        return 1.0;
    }
    // One of several equals is the greatest.
    let first = open[0].0;
    if open.iter().all(|(over, _)| *over == first) {
        return 1.0 / (open.len() + 1) as f64;
    }
    let (mut right, mut all) = (0_u32, 0_u32);
    permutations(&mut (0..named.len()).collect::<Vec<_>>(), 0, &mut |ranks| {
        all += 1;
        right += u32::from(open.iter().all(|(over, under)| ranks[*over] > ranks[*under]));
    });
    f64::from(right) / f64::from(all)
}

/// Every order of the items from `from` on.
fn permutations(items: &mut Vec<usize>, from: usize, found: &mut impl FnMut(&[usize])) {
    if from == items.len() {
        return found(items);
    }
    for other in from..items.len() {
        items.swap(from, other);
        permutations(items, from + 1, found);
        items.swap(from, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(over: (usize, usize), under: (usize, usize)) -> Comparison {
        Comparison {
            over: Similarity::Photo(over.0, over.1),
            under: Similarity::Photo(under.0, under.1),
        }
    }

    #[test]
    fn credit_without_knowledge_is_chance() {
        let own = [((0, 0), (0, 1)), ((1, 1), (1, 0))].map(|(a, b)| photo(a, b));
        let other = [((0, 0), (1, 0)), ((1, 1), (0, 1))].map(|(a, b)| photo(a, b));
        let group: Vec<Comparison> = own.into_iter().chain(other).collect();
        let options = Metric::first_of("", 4).comparisons;
        let both = [photo((0, 0), (0, 2)), photo((0, 1), (0, 2))];
        for (comparisons, chance) in [
            (&own[..1], 1.0 / 2.0),
            (&own[..], 1.0 / 4.0),
            (&other[..], 1.0 / 4.0),
            // The published chance of Winoground's group score.
            (&group[..], 1.0 / 6.0),
            (&options[..], 1.0 / 5.0),
            (&both[..], 1.0 / 3.0),
        ] {
            let found = credit(comparisons, |_| 0.0, 0.0);
            assert!((found - chance).abs() < 1e-12, "{found} {chance}");
        }
    }

    #[test]
    fn credit_is_all_or_nothing_except_for_ties() {
        let options = Metric::first_of("", 3).comparisons;
        let of = |values: [f64; 4]| {
            let value = |similarity| match similarity {
                Similarity::Photo(_, text) => values[text],
                Similarity::Texts(..) => f64::NAN,
            };
            credit(&options, value, 1e-9)
        };
        assert_eq!(of([2.0, 1.0, 0.0, 1.0]), 1.0);
        assert_eq!(of([2.0, 1.0, 3.0, 2.0]), 0.0);
        assert_eq!(of([2.0, 1.0, 2.0 + 1e-12, 1.0]), 0.5);
        assert!((of([2.0, 2.0, 2.0, 1.0]) - 1.0 / 3.0).abs() < 1e-12);
    }

    /// A row of texts and a photo.
    fn trial(texts: &[&str]) -> Trial {
        Trial {
            id: "1".to_owned(),
            images: vec!["a.jpg".to_owned()],
            texts: texts.iter().map(ToString::to_string).collect(),
        }
    }

    fn metric(comparisons: &[Comparison]) -> Metric {
        Metric { name: String::new(), comparisons: comparisons.to_vec(), ties_win: false }
    }

    #[test]
    fn rows_that_no_model_can_get_right_are_found() {
        let pair = Metric::first_of("", 1);
        let texts =
            |text| Comparison { over: Similarity::Texts(0, 1), under: Similarity::Texts(text, 2) };
        let tot = metric(&[texts(0), texts(1)]);
        let itt = metric(&[photo((0, 0), (0, 2)), photo((0, 1), (0, 2))]);
        for (metric, texts, expected) in [
            (&pair, &["a", "a"][..], true),
            (&pair, &["a", "b"], false),
            // Nothing is compared.
            (&pair, &["a"], false),
            // Two captions that are equal are closer to one another than to any other text, and both have a similarity to the photo.
            (&tot, &["a", "a", "b"], false),
            (&itt, &["a", "a", "b"], false),
            (&tot, &["a", "b", "a"], true),
            (&itt, &["a", "b", "a"], true),
            (&tot, &["a", "b", "b"], true),
            (&tot, &["a", "b", "c"], false),
        ] {
            assert_eq!(metric.is_unanswerable(&trial(texts)), expected, "{texts:?}");
        }
        let first = Metric { ties_win: true, ..pair };
        assert!(!first.is_unanswerable(&trial(&["a", "a"])));
        assert!(first.is_right(0.0) && !first.is_right(-f32::MIN_POSITIVE));
    }
}
