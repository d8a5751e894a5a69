//! Validation on held-out pairs during training: retrieval, hard negatives and zero-shot classification.

mod line;

use std::path::Path;

use clove::device::Device;
use clove::evaluate::retrieval;
use clove::model::Clip;
use clove::score::Scorer;
use clove_data::sets::ImageTextSet;
use rayon::prelude::*;

#[cfg(test)]
pub(crate) use self::line::of_twenty;
pub use self::line::{Line, read_lines};
use crate::config::{self, Config};
use crate::copies::copying;
use crate::error::{Context as _, Result};
use crate::evaluation::{Classes, EmbeddedPhotos, EmbeddedSet, Embedder, Store};
use crate::event::Listener;
use crate::inputs::Digest;
use crate::samples::{self, Samples};
use crate::source::{Pool, Source};
use crate::start::Parts;
use crate::unreadable::check_missing;
use crate::words::counted;

#[derive(Debug)]
pub struct Validation {
    set: ImageTextSet,
    /// For each sample the index of one of its captions and that caption's hard negatives, if the run has any.
    hard: Vec<(usize, Vec<String>)>,
    classes: Option<Classes>,
    /// Rows merged into others with the same photo.
    merged: usize,
    every: usize,
    patience: Option<usize>,
    /// The best so far.
    best: Option<Line>,
    /// Number of validations over the same photos since the best.
    since: usize,
}

/// How a validation compares with the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It's the best so far.
    Best,
    NotBest,
    /// It's over other photos.
    NotCompared,
}

impl Validation {
    /// Opens the held-out pairs and generates their hard negatives as for training. Images are read at each validation.
    pub fn open(
        settings: &config::Validation,
        config: &Config,
        parts: &Parts,
        listener: &mut Listener<'_>,
    ) -> Result<Self> {
        let copies = config.data.copies();
        let from = settings.set();
        let mut set = samples::open_held_out(&from, copies, listener).context("validation.path")?;
        let (kinds, skipped) = (set.skipped_by_kind(), set.skipped.iter().cloned().map(Ok));
        let (samples, bearable) = (set.samples.len() as u64, config.data.bearable());
        check_missing(samples, &kinds, skipped, bearable, "validation.images")
            .context("validation.path")?;
        // In a table with a row for each caption, a photo's other captions would count as wrong.
        let merged = set.merge_same_images();
        set.samples.truncate(settings.most);
        let source = Source::Pool(Pool::of(set.clone(), from)?);
        let samples = Samples::new(source, config, parts)?;
        let hard = (0..set.samples.len() as u64).into_par_iter();
        let hard = hard.map(|index| samples.hard(index)).collect::<Result<_>>()?;
        let mut classes = None;
        if let Some(path) = &settings.classes {
            let [names, templates] =
                [&settings.class_names, &settings.templates].map(|file| file.as_deref());
            let found = copying(copies, listener, |cache| {
                Classes::open(path, names, templates, "validation.", cache)
            });
            let mut found = found.context("validation.classes")?;
            found.thin_out(settings.most);
            classes = Some(found);
        }
        Ok(Self {
            set,
            hard,
            classes,
            merged,
            every: settings.every,
            patience: settings.patience,
            best: None,
            since: 0,
        })
    }

    /// Restores the best score of a run that resumes after `step` from its validation.jsonl.
    pub fn remember(&mut self, file: &Path, step: usize) -> Result<()> {
        (self.best, self.since) = (None, 0);
        for line in read_lines::<Line>(file)? {
            if line.step < step {
                self.add(&line);
            }
        }
        Ok(())
    }

    /// Records a validation, and compares it with those before it over the same photos. One over more photos begins anew.
    pub fn add(&mut self, line: &Line) -> Standing {
        let is_same = self.best.as_ref().is_some_and(|best| best.is_over_same(line));
        let is_better = match &self.best {
            Some(best) if is_same => line.worth() > best.worth(),
            // An earlier version counted other rows.
            Some(best) => line.scored() > best.scored() || best.rows.is_none(),
            None => true,
        };
        if line.nothing().is_none() && is_better {
            (self.best, self.since) = (Some(line.clone()), 0);
            return Standing::Best;
        }
        if !is_same {
            return Standing::NotCompared;
        }
        self.since += 1;
        Standing::NotBest
    }

    /// Whether there was a validation with photos.
    pub fn has_scored(&self) -> bool {
        self.best.is_some()
    }

    /// The step of the best validation so far.
    pub fn best_step(&self) -> Option<usize> {
        self.best.as_ref().map(|best| best.step)
    }

    /// The held-out samples.
    pub fn set(&self) -> &ImageTextSet {
        &self.set
    }

    /// The photos to classify, if any.
    pub fn classes(&self) -> Option<&Classes> {
        self.classes.as_ref()
    }

    /// Whether there were `validation.patience` validations in a row without a better one.
    pub fn is_exhausted(&self) -> bool {
        self.patience.is_some_and(|patience| self.since >= patience)
    }

    /// One line of text.
    pub fn summary(&self) -> String {
        let mut pairs = self.set.summary();
        if self.merged > 0 {
            let merged = counted(self.merged as u64, "row");
            pairs = format!("{pairs}; {merged} merged into others with the same photo");
        }
        match &self.classes {
            None => pairs,
            Some(classes) => {
                let skipped = classes.skipped().map(|skipped| format!("; {skipped}"));
                let templates = counted(classes.templates.len() as u64, "template");
                let summary = classes.summary();
                format!("{pairs}; {summary}, by {templates}{}", skipped.unwrap_or_default())
            }
        }
    }

    /// Whether to validate after `step` of `steps`.
    pub fn is_due(&self, step: usize, steps: usize) -> bool {
        step == steps || step.is_multiple_of(self.every)
    }

    pub fn run(
        &self,
        clip: Clip,
        step: usize,
        parts: &Parts,
        device: &Device,
        listener: &mut Listener<'_>,
    ) -> Result<Line> {
        let device = device.clone().without_autodiff();
        let scorer = &pollster::block_on(Scorer::new(
            clip,
            parts.config.clone(),
            parts.tokenizer.clone(),
            parts.preprocess.clone(),
            &device,
        ))?;
        // The model changes with every step, so embeddings are not kept.
        let store = &mut Store::forgetful(parts.config.embed_dim);
        let embedder = &mut Embedder { scorer, store, listener };
        let EmbeddedSet { photos, captions, image_of, texts } =
            EmbeddedSet::of(&self.set, embedder)?;
        let report = retrieval(&photos.rows, &texts, &image_of)?;
        // All hard negatives, and for each the rows of its photo and its caption.
        let (mut negatives, mut against) = (Vec::new(), Vec::new());
        let mut first = 0;
        for (row, place) in photos.places.iter().enumerate() {
            let (caption, hard) = &self.hard[*place];
            against.extend(hard.iter().map(|_| (row, first + caption)));
            negatives.extend(hard.iter().cloned());
            first += self.set.samples[*place].captions.len();
        }
        let wrong = embedder.texts(&negatives)?;
        let is_told = |&(negative, (row, caption)): &(usize, (usize, usize))| {
            photos.rows.dot(row, &texts, caption) > photos.rows.dot(row, &wrong, negative)
        };
        let right = against.into_iter().enumerate().filter(is_told).count();
        let (mut classified, mut zero_shot) = (None, None);
        if let Some(classes) = &self.classes {
            let found = classes.embed(embedder)?;
            if !found.labels.is_empty() {
                zero_shot = found.report()?.top1;
            }
            classified = Some(found.photos);
        }
        let of_classes = classified.as_ref();
        let all = [Some(&photos), of_classes];
        let mut unreadable = all.iter().flatten().flat_map(|photos| &photos.unreadable);
        let why = unreadable.next().map(|(name, why)| {
            // Errors of files name them.
            if why.contains(name.as_str()) { why.clone() } else { format!("{name}: {why}") }
        });
        Ok(Line {
            step,
            images: photos.rows.len(),
            captions: captions.len(),
            unreadable: photos.unreadable.len(),
            image_to_text: report.image_to_text,
            text_to_image: report.text_to_image,
            pairs: negatives.len(),
            pair_accuracy: (!negatives.is_empty()).then(|| right as f64 / negatives.len() as f64),
            classified: of_classes.map(|photos| photos.places.len()),
            unclassified: of_classes.map(|photos| photos.unreadable.len()),
            zero_shot,
            rows: Some(digest(&all)),
            why,
        })
    }
}

/// A hash of the places of the photos that were scored.
fn digest(all: &[Option<&EmbeddedPhotos>]) -> String {
    let mut digest = Digest::default();
    for photos in all.iter().flatten() {
        let places = photos.places.iter();
        digest.add(&places.flat_map(|place| (*place as u64).to_le_bytes()).collect::<Vec<u8>>());
    }
    let mut digest = digest.finish();
    digest.truncate(16);
    digest
}

#[cfg(test)]
mod tests {
    use super::of_twenty as line;
    use super::*;

    fn validation(patience: usize) -> Validation {
        Validation {
            set: ImageTextSet::default(),
            hard: Vec::new(),
            classes: None,
            merged: 0,
            every: 1,
            patience: Some(patience),
            best: None,
            since: 0,
        }
    }

    #[test]
    fn only_validations_over_the_same_photos_compete() {
        let mut validation = validation(2);
        let all = |step, worth| line(step, 20, worth, Some("all"));
        for (line, standing, step) in [
            (all(0, 0.2), Standing::Best, 0),
            (all(1, 0.3), Standing::Best, 1),
            // One photo alone is always found.
            (line(2, 1, 1.0, Some("one")), Standing::NotCompared, 1),
            // As many others.
            (line(3, 20, 0.9, Some("others")), Standing::NotCompared, 1),
            (line(4, 0, 0.0, Some("none")), Standing::NotCompared, 1),
            (all(5, 0.3), Standing::NotBest, 1),
            (all(6, 0.4), Standing::Best, 6),
            (all(7, 0.1), Standing::NotBest, 6),
        ] {
            assert_eq!(validation.add(&line), standing, "{line:?}");
            assert_eq!(validation.best_step(), Some(step));
            assert!(!validation.is_exhausted());
        }
        assert_eq!(validation.add(&all(8, 0.4)), Standing::NotBest);
        assert!(validation.is_exhausted());
    }

    #[test]
    fn one_over_more_photos_begins_anew() {
        let mut validation = validation(9);
        assert_eq!(validation.add(&line(0, 0, 0.0, Some("none"))), Standing::NotCompared);
        assert!(!validation.has_scored());
        assert_eq!(validation.add(&line(1, 1, 1.0, Some("one"))), Standing::Best);
        assert_eq!(validation.add(&line(2, 20, 0.3, Some("all"))), Standing::Best);
        assert_eq!(validation.add(&line(3, 1, 1.0, Some("one"))), Standing::NotCompared);
    }

    #[test]
    fn lines_of_earlier_versions_are_compared_by_their_numbers() {
        let mut validation = validation(9);
        assert_eq!(validation.add(&line(0, 20, 0.3, None)), Standing::Best);
        assert_eq!(validation.add(&line(1, 20, 0.2, Some("all"))), Standing::NotBest);
        // That version counted a photo once for each of its rows.
        assert_eq!(validation.add(&line(2, 10, 0.2, Some("merged"))), Standing::Best);
    }
}
