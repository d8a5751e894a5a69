//! Validation on held-out pairs during training: retrieval, hard negatives and zero-shot classification.

use std::fs;
use std::path::Path;

use clove::device::Device;
use clove::evaluate::{Recall, retrieval};
use clove::model::Clip;
use clove::score::Scorer;
use clove_data::sets::ImageTextSet;
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::{self, Config};
use crate::copies::copying;
use crate::error::{Context as _, Result};
use crate::evaluation::{Classes, EmbeddedSet, Embedder, Store};
use crate::event::Listener;
use crate::samples::{self, Samples};
use crate::source::{Pool, Source};
use crate::start::Parts;
use crate::words::counted;

#[derive(Debug)]
pub struct Validation {
    set: ImageTextSet,
    /// For each sample the index of one of its captions and that caption's hard negatives, if the run has any.
    hard: Vec<(usize, Vec<String>)>,
    classes: Option<Classes>,
    every: usize,
    patience: Option<usize>,
    /// The best score so far.
    best: Option<f64>,
    /// Number of validations since the best.
    since: usize,
}

/// A line of validation.jsonl.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// Training steps before this validation.
    pub step: usize,
    /// Photos ranked.
    pub images: usize,
    /// Captions ranked.
    pub captions: usize,
    /// Unreadable photos of the set.
    pub unreadable: usize,
    /// Rank of a photo's captions among all captions.
    pub image_to_text: Recall,
    /// Rank of a caption's photo among all photos.
    pub text_to_image: Recall,
    /// Pairs of a caption and one of its hard negatives.
    #[serde(default)]
    pub pairs: usize,
    /// Share of the pairs in which the caption is closer to the photo.
    pub pair_accuracy: Option<f64>,
    /// Photos classified zero-shot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classified: Option<usize>,
    /// Share classified correctly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_shot: Option<f64>,
}

impl Line {
    /// Each figure with its TensorBoard tag.
    pub fn scalars(&self) -> Vec<(String, f32)> {
        let (to_text, to_image) = (&self.image_to_text, &self.text_to_image);
        let figures = [
            ("image_to_text_r1", to_text.at_1),
            ("image_to_text_r5", to_text.at_5),
            ("image_to_text_r10", to_text.at_10),
            ("text_to_image_r1", to_image.at_1),
            ("text_to_image_r5", to_image.at_5),
            ("text_to_image_r10", to_image.at_10),
            ("pair_accuracy", self.pair_accuracy),
            ("zero_shot", self.zero_shot),
        ];
        let figures = figures.into_iter();
        figures
            .filter_map(|(tag, value)| Some((format!("validation/{tag}"), value? as f32)))
            .collect()
    }

    /// The score that selects the best model, from 0 to 1: the mean of R@1 over both directions, of the accuracy on hard negatives
    /// and of zero-shot accuracy, as far as they are measured. An alpha chosen by it keeps composition and earlier knowledge.
    pub fn worth(&self) -> f64 {
        let [to_text, to_image] =
            [&self.image_to_text, &self.text_to_image].map(|recall| recall.at_1.unwrap_or(0.0));
        let retrieval = (to_text + to_image) / 2.0;
        let parts = [Some(retrieval), self.pair_accuracy, self.zero_shot];
        let parts: Vec<f64> = parts.into_iter().flatten().collect();
        parts.iter().sum::<f64>() / parts.len() as f64
    }

    /// One line of text.
    pub fn summary(&self) -> String {
        let percent = |share: Option<f64>| {
            share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", 100.0 * share))
        };
        let recall =
            |recall: &Recall| [recall.at_1, recall.at_5, recall.at_10].map(percent).join(" / ");
        let pairs = self.pair_accuracy.map(|share| {
            format!("; {} % correct on {} hard negatives", percent(Some(share)), self.pairs)
        });
        let classes = self.classified.map(|photos| {
            format!("; {} % of {photos} photos classified correctly", percent(self.zero_shot))
        });
        format!(
            "R@1 / 5 / 10 in % among {} photos: image to text {}, text to image {}{}{}",
            self.images,
            recall(&self.image_to_text),
            recall(&self.text_to_image),
            pairs.unwrap_or_default(),
            classes.unwrap_or_default()
        )
    }
}

/// Reads a file of JSON lines. A missing file has no lines.
///
/// # Errors
/// If the file can't be read or a line can't be parsed.
pub fn read_lines<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>> {
    let place = || file.display().to_string();
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(place)?,
    };
    text.lines().map(|line| serde_json::from_str(line).with_context(place)).collect()
}

impl Validation {
    /// Opens the held-out pairs and generates their hard negatives as for training. Images are read at each validation.
    pub fn open(
        settings: &config::Validation,
        config: &Config,
        parts: &Parts,
        listener: &mut Listener<'_>,
    ) -> Result<Self> {
        let cache = config.data.cache.as_deref();
        let from = settings.set();
        let mut set = samples::open_set(&from, cache, listener).context("validation.path")?;
        set.samples.truncate(settings.most);
        let source = Source::Pool(Pool::of(set.clone(), from));
        let samples = Samples::new(source, config, parts)?;
        let hard =
            (0..set.samples.len()).into_par_iter().map(|index| samples.hard(index)).collect();
        let mut classes = None;
        if let Some(path) = &settings.classes {
            let [names, templates] =
                [&settings.class_names, &settings.templates].map(|file| file.as_deref());
            let found = copying(cache, listener, |cache| {
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

    /// Records a validation. Returns whether it is the best so far.
    pub fn add(&mut self, line: &Line) -> bool {
        let worth = line.worth();
        let is_best = self.best.is_none_or(|best| worth > best);
        (self.best, self.since) =
            if is_best { (Some(worth), 0) } else { (self.best, self.since + 1) };
        is_best
    }

    /// Whether there were `validation.patience` validations in a row without a better one.
    pub fn is_exhausted(&self) -> bool {
        self.patience.is_some_and(|patience| self.since >= patience)
    }

    /// One line of text.
    pub fn summary(&self) -> String {
        let pairs = self.set.summary();
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
        let classified = match &self.classes {
            Some(classes) => Some(classes.embed(embedder)?.report()?),
            None => None,
        };
        Ok(Line {
            step,
            images: photos.rows.len(),
            captions: captions.len(),
            unreadable: photos.unreadable.len(),
            image_to_text: report.image_to_text,
            text_to_image: report.text_to_image,
            pairs: negatives.len(),
            pair_accuracy: (!negatives.is_empty()).then(|| right as f64 / negatives.len() as f64),
            classified: classified.as_ref().map(|report| report.rows),
            zero_shot: classified.and_then(|report| report.top1),
        })
    }
}
