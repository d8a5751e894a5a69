//! Scores a model on a benchmark.

use std::borrow::Cow;
use std::collections::HashMap;

use clove::evaluate::{
    Embeddings, MAX_LISTED_IMAGES, PairEmbeddings, Rank, Trial, TrialSet, add_intervals,
    evaluate_trials, judge, most_similar, ranks, row_index, share_interval, texts_of,
};
use clove::score::Scorer;
use clove::tokenizer::Tokenizer;
use clove_data::sets::ImageTextSet;
use serde_json::json;

use super::classes::Classified;
use super::figures::{chance, recall_intervals};
use super::{Bench, BothWays, Classes, EmbeddedPhotos, Embedder, Figures, Outcome, Photo, Store};
use super::{Suite, Tests};
use crate::error::{Error, Result};
use crate::event::{Listener, working};
use crate::words::counted;

impl Bench {
    /// Evaluates a model. Reuses stored embeddings.
    ///
    /// # Errors
    /// If the device fails, a weight or an embedding isn't finite, or there is no row to score.
    pub fn score(
        &self,
        scorer: &Scorer,
        store: &mut Store,
        listener: &mut Listener<'_>,
    ) -> Result<Outcome> {
        let embedder = &mut Embedder { scorer, store, listener };
        match &self.tests {
            Tests::Scenes(suite) => {
                let (mut done, all) = (0, suite.pictures());
                let report = pollster::block_on(suite.evaluate(scorer, &mut |pictures| {
                    done += pictures;
                    working(embedder.listener, "scenes", done, all);
                }))?;
                Ok(Outcome::of(Figures::Trials(Box::new(report))))
            }
            Tests::Trials { sets, photos, absent } => self.trials(sets, (photos, absent), embedder),
            Tests::Retrieval(set) => self.retrieval(set, embedder),
            Tests::ZeroShot(classes) => self.zero_shot(classes, embedder),
        }
    }

    /// The error of a suite without a row to score. No figure is one of no rows.
    fn nothing(&self, missing: usize, why: &str) -> Error {
        let (suite, missing) = (self.suite(), counted(missing as u64, "row"));
        Error::Wrong(format!(
            "the suite {suite} has no row to score: {missing} without a photo; {why}"
        ))
    }

    fn trials(
        &self,
        sets: &[TrialSet],
        (photos, absent): (&[Photo], &[String]),
        embedder: &mut Embedder<'_>,
    ) -> Result<Outcome> {
        let sets: Cow<'_, [TrialSet]> = match self.suite {
            Suite::Order => Cow::Owned(other_orders(sets, embedder.scorer.tokenizer())),
            _ => Cow::Borrowed(sets),
        };
        let sets = &*sets;
        let embedded = embedder.photos(photos)?;
        let places = embedded.places.iter();
        let names: Vec<&str> = places.map(|place| photos[*place].name.as_str()).collect();
        let image_rows = row_index(&names);
        // Rows without a photo aren't scored, so their texts aren't embedded.
        let texts = texts_of(sets, |image| image_rows.contains_key(image));
        let embedded_texts = embedder.texts(&texts)?;
        let text_rows = row_index(&texts);
        let (mut report, mut rows) = evaluate_trials(
            self.suite(),
            sets,
            PairEmbeddings {
                images: &embedded.rows,
                texts: &embedded_texts,
                image_rows: &image_rows,
                text_rows: &text_rows,
            },
            self.captions.as_deref(),
        )?;
        // A photo is its file, whatever its parts and names.
        let places: HashMap<&str, String> =
            photos.iter().map(|photo| (photo.name.as_str(), photo.place.to_string())).collect();
        for photo in rows.iter_mut().flat_map(|(_, rows)| rows).flat_map(|row| &mut row.photos) {
            if let Some(place) = places.get(photo.as_str()) {
                photo.clone_from(place);
            }
        }
        add_intervals(&mut report, &rows);
        // An unreadable photo isn't a missing one.
        report.missing_image_count = absent.len();
        report.missing_images = absent.iter().take(MAX_LISTED_IMAGES).cloned().collect();
        // SVO-Probes also has its own protocol.
        if self.suite == Suite::SvoProbes {
            let similar = |trial: &Trial, photo: usize| {
                let photo = *image_rows.get(trial.images.get(photo)?)?;
                let text = *text_rows.get(trial.texts.first()?)?;
                Some(embedded.rows.dot(photo, &embedded_texts, text))
            };
            let trials = sets.iter().flat_map(|set| &set.trials);
            let pairs = trials.filter_map(|trial| Some((similar(trial, 0)?, similar(trial, 1)?)));
            report.matching = judge(&pairs.collect::<Vec<_>>());
        }
        let outcome = Outcome {
            rows,
            unreadable: embedded.unreadable,
            ..Outcome::of(Figures::Trials(Box::new(report)))
        };
        let counts = outcome.figures.counts();
        if counts.rows > 0 {
            return Ok(outcome);
        }
        let why = match (outcome.unreadable.first(), absent.first()) {
            (Some((name, why)), _) => format!("the first, {name}: {why}"),
            (None, Some(name)) => format!("the first, {name}, isn't in the folder of photos"),
            (None, None) => "all have two equal texts".to_owned(),
        };
        Err(self.nothing(counts.missing, &why))
    }

    /// Embeds the photos of retrieval and of zero-shot classification, each of which is a row.
    fn photos(&self, photos: &[Photo], embedder: &mut Embedder<'_>) -> Result<EmbeddedPhotos> {
        let embedded = embedder.photos(photos)?;
        if !embedded.places.is_empty() {
            return Ok(embedded);
        }
        let first = embedded.unreadable.first();
        let first = first.map(|(name, why)| format!("the first, {name}: {why}"));
        Err(self.nothing(photos.len(), &first.unwrap_or_default()))
    }

    fn retrieval(&self, set: &ImageTextSet, embedder: &mut Embedder<'_>) -> Result<Outcome> {
        let samples = &set.samples;
        let photos = self.photos(&photos_of(set), embedder)?;
        let EmbeddedSet { photos: embedded, captions, image_of, texts } =
            EmbeddedSet::with(photos, set, embedder)?;
        let ranks = ranks(&embedded.rows, &texts, &image_of)?;
        let line = |set: &str, id: &str, rank: &Rank| json!({"set": set, "id": id, "above": rank.greater, "ties": rank.ties});
        let mut lines = Vec::with_capacity(ranks.image_to_text.len() + ranks.text_to_image.len());
        for (place, rank) in embedded.places.iter().zip(&ranks.image_to_text) {
            lines.extend(
                rank.iter()
                    .map(|rank| line("image to text", &samples[*place].image.to_string(), rank)),
            );
        }
        let texts = captions.iter().zip(&ranks.text_to_image);
        lines.extend(texts.map(|(text, rank)| line("text to image", text, rank)));
        let report = ranks.report();
        // Intervals resample photos with all their captions.
        let mut of_photo: Vec<Vec<Rank>> = vec![Vec::new(); samples.len()];
        for (rank, image) in ranks.text_to_image.iter().zip(&image_of) {
            of_photo[*image].push(*rank);
        }
        let of_image: Vec<Vec<Rank>> =
            ranks.image_to_text.iter().map(|rank| rank.iter().copied().collect()).collect();
        let intervals = Box::new(BothWays {
            image_to_text: recall_intervals(&of_image),
            text_to_image: recall_intervals(&of_photo),
        });
        let figures = Figures::Retrieval {
            suite: self.suite(),
            images: embedded.rows.len(),
            captions: captions.len(),
            missing: samples.len() - embedded.rows.len(),
            report,
            chance: chance(embedded.rows.len(), &image_of),
            intervals,
        };
        Ok(Outcome { lines, unreadable: embedded.unreadable, ..Outcome::of(figures) })
    }

    fn zero_shot(&self, classes: &Classes, embedder: &mut Embedder<'_>) -> Result<Outcome> {
        let (set, templates) = (&classes.set, &classes.templates);
        let photos = self.photos(&classes.photos(), embedder)?;
        let classified = classes.embed_with(photos, embedder)?;
        let report = classified.report()?;
        let Classified { photos: EmbeddedPhotos { rows, places, unreadable }, classes, labels } =
            classified;
        let mut right = Vec::with_capacity(places.len());
        let lines = places.iter().enumerate().map(|(row, place)| {
            let said = most_similar(&rows, row, &classes);
            right.push(vec![said == labels[row]]);
            json!({
                "set": "zero-shot",
                "id": set.photos[*place].0.to_string(),
                "class": set.classes[labels[row]],
                "said": set.classes[said],
            })
        });
        let lines = lines.collect();
        let figures = Figures::ZeroShot {
            interval: share_interval(&right),
            suite: self.suite(),
            templates: templates.len(),
            chance: 1.0 / set.classes.len() as f64,
            missing: set.photos.len() - places.len(),
            report,
            names: set.classes.clone(),
        };
        Ok(Outcome { lines, unreadable, ..Outcome::of(figures) })
    }
}

/// Word orders without those that the tokenizer reads as their caption: CLoVe's rule compares token ids, and "the man 's" has those of
/// "the man's" (Netflix/clove: src/training/zero_shot.py, `_run_aro_eval_one`).
fn other_orders(sets: &[TrialSet], tokenizer: &Tokenizer) -> Vec<TrialSet> {
    let mut sets = sets.to_vec();
    for trial in sets.iter_mut().flat_map(|set| &mut set.trials) {
        let mut texts = std::mem::take(&mut trial.texts).into_iter();
        trial.texts.extend(texts.next());
        let ids = trial.texts.first().map(|caption| tokenizer.encode(caption).ids);
        trial.texts.extend(texts.filter(|text| Some(tokenizer.encode(text).ids) != ids));
    }
    sets
}

/// The photos of a set, one a sample.
fn photos_of(set: &ImageTextSet) -> Vec<Photo> {
    set.samples.iter().map(|sample| (&sample.image).into()).collect()
}

pub(crate) struct EmbeddedSet {
    pub photos: EmbeddedPhotos,
    /// Captions of the readable photos.
    pub captions: Vec<String>,
    /// Row of each caption's photo.
    pub image_of: Vec<usize>,
    pub texts: Embeddings,
}

impl EmbeddedSet {
    pub fn of(set: &ImageTextSet, embedder: &mut Embedder<'_>) -> Result<Self> {
        let photos = embedder.photos(&photos_of(set))?;
        Self::with(photos, set, embedder)
    }

    /// The set whose photos are embedded already.
    fn with(
        photos: EmbeddedPhotos,
        set: &ImageTextSet,
        embedder: &mut Embedder<'_>,
    ) -> Result<Self> {
        let (mut captions, mut image_of) = (Vec::new(), Vec::new());
        for (row, place) in photos.places.iter().enumerate() {
            let texts = &set.samples[*place].captions;
            image_of.extend(texts.iter().map(|_| row));
            captions.extend(texts.iter().cloned());
        }
        let texts = embedder.texts(&captions)?;
        Ok(Self { photos, captions, image_of, texts })
    }
}
