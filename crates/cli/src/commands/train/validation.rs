//! Held-out pairs while a model trains: whether it finds what it hasn't seen, and prefers a caption to hard negatives of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clove::device::Device;
use clove::evaluate::{
    Embeddings, Recall, class_embeddings, classify, fill_template, prompts, retrieval,
};
use clove::model::Clip;
use clove::score::{IMAGES_PER_BATCH, Scorer};
use clove_data::benchmarks::class_set::{ClassSet, lines};
use clove_data::fetch::Cache;
use clove_data::sets::{ImagePlace, ImageTextSet};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::config::{self, Config};
use super::samples::{self, Samples};
use super::source::{Pool, Source};
use super::start::Parts;
use crate::copies::Copies;
use crate::interrupt::Interrupt;
use crate::negatives::counted;
use crate::photos;
use crate::progress::Progress;

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

/// Photos to be told apart by their classes' names.
#[derive(Debug)]
struct Classes {
    set: ClassSet,
    templates: Vec<String>,
}

/// What stands where a class's name does, without templates of the user's.
const TEMPLATE: &str = "a photo of a {c}.";

impl Classes {
    fn open(settings: &config::Validation, copies: &Copies<'_>) -> Result<Option<Self>> {
        let Some(path) = &settings.classes else {
            return Ok(None);
        };
        let lines_of = |file: &Option<PathBuf>| file.as_deref().map(lines).transpose();
        let names = lines_of(&settings.class_names).context("validation.class_names")?;
        let templates = lines_of(&settings.templates).context("validation.templates")?;
        let templates = templates.unwrap_or_else(|| vec![TEMPLATE.to_owned()]);
        for template in &templates {
            fill_template(template, "").context("validation.templates")?;
        }
        let open = |cache: &Cache<'_>| Ok(ClassSet::open(path, names.as_deref(), cache)?);
        let mut set = copies.with(open).context("validation.classes")?;
        // Of all classes some: they stand one after another.
        let all = set.photos.len();
        let taken = all.min(settings.most);
        let mut number = 0;
        set.photos.retain(|_| {
            number += 1;
            number * taken / all > (number - 1) * taken / all
        });
        Ok(Some(Self { set, templates }))
    }

    /// The share of photos whose class is found, and how many there are.
    fn run(
        &self,
        scorer: &Scorer,
        parts: &Parts,
        progress: &Progress,
    ) -> Result<(Option<f64>, usize)> {
        let prompts = prompts(&self.set.classes, &self.templates)?;
        progress.say(&format!("validating: {} prompts of classes", prompts.len()));
        let prompts = pollster::block_on(scorer.embed_texts(&prompts, &mut |_| ()))?;
        let classes = class_embeddings(&prompts, self.set.classes.len())?;
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        for (done, chunk) in self.set.photos.chunks(IMAGES_PER_BATCH).enumerate() {
            progress.say(&format!(
                "validating: {} of {} photos of classes",
                done * IMAGES_PER_BATCH,
                self.set.photos.len()
            ));
            let mut batch = Vec::new();
            for (pixels, (_, class)) in pixels(chunk.par_iter().map(|(place, _)| place), parts)
                .into_iter()
                .zip(chunk)
            {
                if let Ok(pixels) = pixels {
                    batch.extend(pixels);
                    labels.push(*class);
                }
            }
            if !batch.is_empty() {
                let embedded = pollster::block_on(scorer.embed_pixels(batch))?;
                rows.extend_from_slice(embedded.as_slice());
            }
        }
        let rows = Embeddings::from_rows(parts.config.embed_dim, rows)?;
        let report = classify(&rows, &classes, &labels)?;
        Ok((report.top1, report.rows))
    }
}

/// Photos as the model takes them, or why they can't be read.
fn pixels<'a>(
    places: impl IndexedParallelIterator<Item = &'a ImagePlace>,
    parts: &Parts,
) -> Vec<Result<Vec<f32>>> {
    let preprocess = &parts.preprocess;
    places
        .map(|place| {
            let image = photos::read_at(place)?;
            let cropped = preprocess.pixels(&image)?;
            Ok(preprocess.normalise(&cropped))
        })
        .collect()
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
    /// Photos that were ranked, and captions.
    pub images: usize,
    pub captions: usize,
    /// Those of the set that couldn't be read.
    pub unreadable: usize,
    pub image_to_text: Recall,
    pub text_to_image: Recall,
    /// Captions compared with a hard negative of theirs, and how many of them are closer to the photo.
    pub pairs: usize,
    pub pair_accuracy: Option<f64>,
    /// Photos classified by their classes' names, and the share of them that was right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classified: Option<usize>,
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
    pub fn scalars(&self) -> Vec<(String, f32)> {
        let directions = [
            ("image_to_text", &self.image_to_text),
            ("text_to_image", &self.text_to_image),
        ];
        let figures = directions.into_iter().flat_map(|(name, recall)| {
            [
                ("r1", recall.at_1),
                ("r5", recall.at_5),
                ("r10", recall.at_10),
            ]
            .into_iter()
            .filter_map(move |(at, value)| Some((format!("validation/{name}_{at}"), value? as f32)))
        });
        let shares = [
            ("validation/pair_accuracy", self.pair_accuracy),
            ("validation/zero_shot", self.zero_shot),
        ];
        let shares = shares
            .into_iter()
            .filter_map(|(name, share)| Some((name.to_owned(), share? as f32)));
        figures.chain(shares).collect()
    }

    /// As of a line that is read again.
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
            Some(_) => format!(
                "; {} % of {} hard negatives told",
                percent(self.pair_accuracy),
                self.pairs
            ),
            None => String::new(),
        };
        let classes = match self.classified {
            Some(photos) => format!(
                "; {} % of {photos} photos classified",
                percent(self.zero_shot)
            ),
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
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let copies = Copies::new(config.data.cache.as_deref(), interrupt);
        let from = settings.set();
        let mut set = samples::open_set(&from, &copies).context("validation.path")?;
        set.samples.truncate(settings.most);
        let source = Source::Pool(Pool::of(set.clone(), from));
        let (tokenizer, preprocess) = (parts.tokenizer.clone(), parts.preprocess.clone());
        let samples = Samples::new(source, config, tokenizer, preprocess)?;
        let hard = (0..set.samples.len())
            .into_par_iter()
            .map(|index| samples.hard(index))
            .collect();
        Ok(Self {
            set,
            hard,
            classes: Classes::open(settings, &copies)?,
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
        self.patience
            .is_some_and(|patience| self.best.since >= patience)
    }

    /// In words.
    pub fn summary(&self) -> String {
        let pairs = self.set.summary();
        match &self.classes {
            None => pairs,
            Some(Classes { set, templates }) => {
                let skipped = match set.skipped.first() {
                    None => String::new(),
                    Some((place, why)) => {
                        format!("; {} skipped, the first {place}: {why}", set.skipped.len())
                    }
                };
                format!(
                    "{pairs}; {} of {} classes, by {}{skipped}",
                    counted(set.photos.len() as u64, "photo"),
                    set.classes.len(),
                    counted(templates.len() as u64, "template")
                )
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
        progress: &Progress,
    ) -> Result<Line> {
        let device = device.clone().without_autodiff();
        let scorer = pollster::block_on(Scorer::new(
            clip,
            parts.config.clone(),
            parts.tokenizer.clone(),
            parts.preprocess.clone(),
            &device,
        ))?;
        let (mut rows, mut captions, mut image_of) = (Vec::new(), Vec::new(), Vec::new());
        // Hard negatives, and for each its photo and its caption.
        let (mut negatives, mut against) = (Vec::new(), Vec::new());
        let mut index = 0;
        let (mut images, mut unreadable) = (0, 0);
        for (done, chunk) in self.set.samples.chunks(IMAGES_PER_BATCH).enumerate() {
            progress.say(&format!(
                "validating: {} of {} photos",
                done * IMAGES_PER_BATCH,
                self.set.samples.len()
            ));
            let pixels = pixels(chunk.par_iter().map(|sample| &sample.image), parts);
            let mut batch = Vec::new();
            for (pixels, sample) in pixels.into_iter().zip(chunk) {
                let (caption, hard) = &self.hard[index];
                index += 1;
                let Ok(pixels) = pixels else {
                    unreadable += 1;
                    continue;
                };
                batch.extend(pixels);
                image_of.extend(sample.captions.iter().map(|_| images));
                against.extend(hard.iter().map(|_| (images, captions.len() + caption)));
                negatives.extend(hard.iter().cloned());
                captions.extend(sample.captions.iter().cloned());
                images += 1;
            }
            if !batch.is_empty() {
                let embedded = pollster::block_on(scorer.embed_pixels(batch))?;
                rows.extend_from_slice(embedded.as_slice());
            }
        }
        let rows = Embeddings::from_rows(parts.config.embed_dim, rows)?;
        progress.say(&format!("validating: {} captions", captions.len()));
        let texts = pollster::block_on(scorer.embed_texts(&captions, &mut |_| ()))?;
        let report = retrieval(&rows, &texts, &image_of)?;
        let right = if negatives.is_empty() {
            0
        } else {
            progress.say(&format!("validating: {} negatives", negatives.len()));
            let wrong = pollster::block_on(scorer.embed_texts(&negatives, &mut |_| ()))?;
            let is_told = |&(negative, (image, caption)): &(usize, (usize, usize))| {
                rows.dot(image, &texts, caption) > rows.dot(image, &wrong, negative)
            };
            against.into_iter().enumerate().filter(is_told).count()
        };
        let classified = self.classes.as_ref();
        let classified = classified.map(|classes| classes.run(&scorer, parts, progress));
        let classified = classified.transpose()?;
        Ok(Line {
            step,
            images,
            captions: captions.len(),
            unreadable,
            image_to_text: report.image_to_text,
            text_to_image: report.text_to_image,
            pairs: negatives.len(),
            pair_accuracy: (!negatives.is_empty()).then(|| right as f64 / negatives.len() as f64),
            classified: classified.map(|(_, photos)| photos),
            zero_shot: classified.and_then(|(top1, _)| top1),
        })
    }
}
