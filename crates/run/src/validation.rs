//! Held-out pairs while a model trains: whether it finds what it hasn't seen, and prefers a caption to hard negatives of it.

use std::fs;
use std::path::Path;

use clove::device::Device;
use clove::evaluate::{Recall, retrieval};
use clove::model::Clip;
use clove::score::Scorer;
use clove_data::sets::ImageTextSet;
use rayon::prelude::*;
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

/// Held-out pairs.
#[derive(Debug)]
pub struct Validation {
    set: ImageTextSet,
    /// Of each sample a caption's place among its own, and its hard negatives, where the run has such.
    hard: Vec<(usize, Vec<String>)>,
    classes: Option<Classes>,
    every: usize,
    patience: Option<usize>,
    best: Best,
}

/// The best so far, and how often the model was tried since.
#[derive(Debug, Clone, Copy, Default)]
struct Best {
    worth: Option<f64>,
    since: usize,
}

impl Best {
    /// Whether it's better than all before.
    fn add(&mut self, worth: f64) -> bool {
        let is_better = self.worth.is_none_or(|best| worth > best);
        if is_better {
            self.worth = Some(worth);
            self.since = 0;
        } else {
            self.since += 1;
        }
        is_better
    }
}

/// A line of validation.jsonl.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Steps that the model had learned from.
    pub step: usize,
    /// Photos that were ranked.
    pub images: usize,
    /// Captions that were ranked.
    pub captions: usize,
    /// Photos of the set that couldn't be read.
    pub unreadable: usize,
    /// A photo's captions among all.
    pub image_to_text: Recall,
    /// A caption's photo among all.
    pub text_to_image: Recall,
    /// Captions compared with a hard negative of theirs, and how many of them are closer to the photo.
    pub pairs: usize,
    /// Their share.
    pub pair_accuracy: Option<f64>,
    /// Photos classified by their classes' names, and the share of them that was right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classified: Option<usize>,
    /// The share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_shot: Option<f64>,
}

/// Of a line, what is read again.
#[derive(Debug, Deserialize)]
struct Told {
    step: usize,
    image_to_text: AtOne,
    text_to_image: AtOne,
    #[serde(default)]
    pair_accuracy: Option<f64>,
    #[serde(default)]
    zero_shot: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct AtOne {
    at_1: Option<f64>,
}

impl Told {
    /// The higher the better: the mean of both directions' R@1, and of that, the pairs' accuracy where there are pairs, and the
    /// zero-shot accuracy where there are classes. So an alpha that is chosen by it keeps what was learned of composition, and what was
    /// known before.
    fn worth(&self) -> f64 {
        let at_1 =
            [&self.image_to_text, &self.text_to_image].map(|recall| recall.at_1.unwrap_or(0.0));
        let retrieval = (at_1[0] + at_1[1]) / 2.0;
        let parts = [Some(retrieval), self.pair_accuracy, self.zero_shot];
        let parts: Vec<f64> = parts.into_iter().flatten().collect();
        parts.iter().sum::<f64>() / parts.len() as f64
    }
}

impl Line {
    /// Each figure with TensorBoard's name for it.
    #[must_use]
    pub fn scalars(&self) -> Vec<(String, f32)> {
        let directions =
            [("image_to_text", &self.image_to_text), ("text_to_image", &self.text_to_image)];
        let figures = directions.into_iter().flat_map(|(name, recall)| {
            [("r1", recall.at_1), ("r5", recall.at_5), ("r10", recall.at_10)]
                .into_iter()
                .filter_map(move |(at, value)| {
                    Some((format!("validation/{name}_{at}"), value? as f32))
                })
        });
        let shares = [
            ("validation/pair_accuracy", self.pair_accuracy),
            ("validation/zero_shot", self.zero_shot),
        ];
        let shares =
            shares.into_iter().filter_map(|(name, share)| Some((name.to_owned(), share? as f32)));
        figures.chain(shares).collect()
    }

    /// As of a line that is read again.
    #[must_use]
    pub fn worth(&self) -> f64 {
        let of = |recall: &Recall| AtOne { at_1: recall.at_1 };
        let told = Told {
            step: self.step,
            image_to_text: of(&self.image_to_text),
            text_to_image: of(&self.text_to_image),
            pair_accuracy: self.pair_accuracy,
            zero_shot: self.zero_shot,
        };
        told.worth()
    }

    /// In words.
    #[must_use]
    pub fn summary(&self) -> String {
        let percent = |value: Option<f64>| match value {
            Some(value) => format!("{:.1}", 100.0 * value),
            None => "-".to_owned(),
        };
        let recall = |recall: &Recall| {
            format!(
                "{} / {} / {}",
                percent(recall.at_1),
                percent(recall.at_5),
                percent(recall.at_10)
            )
        };
        let pairs = match self.pair_accuracy {
            Some(_) => {
                format!("; {} % of {} hard negatives told", percent(self.pair_accuracy), self.pairs)
            }
            None => String::new(),
        };
        let classes = match self.classified {
            Some(photos) => {
                format!("; {} % of {photos} photos classified", percent(self.zero_shot))
            }
            None => String::new(),
        };
        format!(
            "R@1 / 5 / 10 in % among {} photos: image to text {}, text to image {}{pairs}{classes}",
            self.images,
            recall(&self.image_to_text),
            recall(&self.text_to_image)
        )
    }
}

/// The steps of a validation.jsonl, with each model's worth; none where there's no file.
///
/// # Errors
/// When it can't be read.
pub fn told(file: &Path) -> Result<Vec<(usize, f64)>> {
    let place = || file.display().to_string();
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(place)?,
    };
    text.lines()
        .map(|line| {
            let line: Told = serde_json::from_str(line).with_context(place)?;
            Ok((line.step, line.worth()))
        })
        .collect()
}

impl Validation {
    /// Finds the held-out pairs, and makes their hard negatives as those of training are made; images are read at each validation.
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
        let (tokenizer, preprocess) = (parts.tokenizer.clone(), parts.preprocess.clone());
        let samples = Samples::new(source, config, tokenizer, preprocess)?;
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
            best: Best::default(),
        })
    }

    /// Learns how a run that goes on after `step` has done so far, from its validation.jsonl; there may be none.
    pub fn remember(&mut self, file: &Path, step: usize) -> Result<()> {
        self.best = Best::default();
        for (at, worth) in told(file)? {
            if at < step {
                self.best.add(worth);
            }
        }
        Ok(())
    }

    /// Takes note of how the model did; whether it's the best so far.
    pub fn is_best(&mut self, line: &Line) -> bool {
        self.best.add(line.worth())
    }

    /// Whether it has got no better for as long as the user cares to wait.
    pub fn is_exhausted(&self) -> bool {
        self.patience.is_some_and(|patience| self.best.since >= patience)
    }

    /// In words.
    #[must_use]
    pub fn summary(&self) -> String {
        let pairs = self.set.summary();
        match &self.classes {
            None => pairs,
            Some(classes) => {
                let skipped = &classes.set.skipped;
                let skipped = skipped.first().map_or_else(String::new, |(place, why)| {
                    format!("; {} skipped, the first {place}: {why}", skipped.len())
                });
                let templates = counted(classes.templates.len() as u64, "template");
                format!("{pairs}; {}, by {templates}{skipped}", classes.summary())
            }
        }
    }

    /// Whether the model is looked at after so many of `steps`.
    pub fn is_due(&self, step: usize, steps: usize) -> bool {
        step == steps || step.is_multiple_of(self.every)
    }

    /// Ranks each photo's captions and each caption's photo among all of the set.
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
        // Another step's model has other embeddings.
        let store = &mut Store::forgetful(parts.config.embed_dim);
        let embedder = &mut Embedder { scorer, store, listener };
        let EmbeddedSet { photos, captions, image_of, texts } =
            EmbeddedSet::of(&self.set, embedder)?;
        let report = retrieval(&photos.rows, &texts, &image_of)?;
        // Hard negatives, and for each its photo and its caption.
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
