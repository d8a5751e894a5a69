//! Digests of what a run reads. They stand in run.toml, so that a resumed run notices other inputs.

use clove::preprocess::Preprocess;
use clove::weights::{ModelSource, parameters};
use clove_data::fetch::Shown;
use clove_data::sets::{ImagePlace, ImageTextSet, IndexedSet, Sample};
use rayon::prelude::*;

use crate::config::{Config, Inputs};
use crate::error::Result;
use crate::event::{Listener, ask};
use crate::start::Parts;
use crate::validation::Validation;
use crate::words::counted;

/// Samples whose files are looked at together.
const CHUNK: usize = 1 << 16;
/// Samples between two reports.
const TOLD: usize = 1 << 20;

/// BLAKE3 of parts with their lengths: otherwise the boundary between two parts could move.
#[derive(Default)]
pub struct Digest(blake3::Hasher);

impl Digest {
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn add_samples(&mut self, samples: &[Sample]) {
        // Each takes a call of the system.
        let stamps: Vec<Vec<u8>> = samples.par_iter().map(|sample| sample.image.stamp()).collect();
        for (sample, stamp) in samples.iter().zip(&stamps) {
            self.add(stamp);
            for texts in [&sample.captions, &sample.negatives] {
                self.add(&(texts.len() as u64).to_le_bytes());
                for text in texts {
                    self.add(text.as_bytes());
                }
            }
            let fields = sample.fields.iter();
            self.add(&fields.flat_map(|field| field.to_le_bytes()).collect::<Vec<u8>>());
        }
    }

    pub fn finish(self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// The samples in their order: texts, and names and sizes of images, wherever these are.
pub fn of_set(set: &IndexedSet, listener: &mut Listener<'_>) -> Result<String> {
    let mut digest = Digest::default();
    let (mut done, mut told) = (0, TOLD);
    for samples in set.chunks() {
        let samples = samples?;
        digest.add_samples(&samples);
        done += samples.len();
        if done >= told {
            told += TOLD;
            ask(listener, "looking for changes", done, set.len() as usize)?;
        }
    }
    Ok(digest.finish())
}

/// The same of a set in memory.
fn of_held_out(set: &ImageTextSet) -> String {
    let mut digest = Digest::default();
    set.samples.chunks(CHUNK).for_each(|samples| digest.add_samples(samples));
    digest.finish()
}

/// The bytes of photos, in their order.
fn of_photos(photos: &[&ImagePlace]) -> String {
    let hash = |place: &&ImagePlace| {
        // An unreadable photo has none.
        place.read().map_or([0; 32], |bytes| *blake3::hash(&bytes).as_bytes())
    };
    let hashes: Vec<[u8; 32]> = photos.par_iter().map(hash).collect();
    blake3::hash(hashes.as_flattened()).to_hex().to_string()
}

/// The weights of a model, in any layout.
fn of_weights(source: &ModelSource, listener: &mut Listener<'_>) -> Result<String> {
    let mut digest = Digest::default();
    let mut weights = source.weights()?;
    let parameters = parameters(source.config());
    for (number, (name, shape)) in parameters.iter().enumerate() {
        ask(listener, "reading the model", number, parameters.len())?;
        let (dtype, bytes) = weights.bytes(name, shape)?;
        digest.add(format!("{name} {dtype:?} {shape:?}").as_bytes());
        digest.add(&bytes);
    }
    ask(listener, "reading the model", parameters.len(), parameters.len())?;
    Ok(digest.finish())
}

/// What two kinds of preprocessing that do the same have in common. The centre crop follows from the layout of the model's files.
pub fn of_preprocess(preprocess: &Preprocess) -> String {
    let mut digest = Digest::default();
    let size = (preprocess.size(), preprocess.resize(), preprocess.filter());
    digest.add(format!("{size:?}").as_bytes());
    for value in [preprocess.mean(), preprocess.std()].as_flattened() {
        digest.add(&value.to_le_bytes());
    }
    // JSON may change the last bit.
    digest.add(&(preprocess.rescale() as f32).to_le_bytes());
    digest.finish()
}

impl Inputs {
    /// What the run reads. `set` is the training set, if it's on disk; `makes_negatives` if they come from its captions.
    pub(crate) fn of(
        parts: &Parts,
        set: Option<&IndexedSet>,
        makes_negatives: bool,
        validation: Option<&Validation>,
        listener: &mut Listener<'_>,
    ) -> Result<Self> {
        let held_out = validation.map(Validation::set);
        let photos = |set: &ImageTextSet| {
            of_photos(&set.samples.iter().map(|sample| &sample.image).collect::<Vec<_>>())
        };
        let classes = validation.and_then(Validation::classes).map(|classes| {
            let mut digest = Digest::default();
            let (places, labels): (Vec<_>, Vec<_>) =
                classes.set.photos.iter().map(|(place, class)| (place, *class as u64)).unzip();
            digest.add(of_photos(&places).as_bytes());
            for label in labels {
                digest.add(&label.to_le_bytes());
            }
            for text in classes.set.classes.iter().chain(&classes.templates) {
                digest.add(text.as_bytes());
            }
            digest.finish()
        });
        let source = parts.directory();
        // A model without a tokenizer has CLIP's.
        let tokenizer = parts.tokenizer_json().unwrap_or("CLIP");
        let tokenizer = blake3::hash(tokenizer.as_bytes()).to_hex().to_string();
        Ok(Self {
            weights: source.map(|source| of_weights(source, listener)).transpose()?,
            tokenizer: source.map(|_| tokenizer),
            preprocessing: source.map(|_| of_preprocess(&parts.preprocess)),
            samples: set.map(IndexedSet::len),
            held_out: held_out.map(|set| set.samples.len() as u64),
            held_out_digest: held_out.map(of_held_out),
            held_out_photos: held_out.map(photos),
            classes,
            negatives: makes_negatives.then_some(clove_negatives::RULES),
        })
    }

    /// A line if the negatives of a run were made by other rules before.
    pub(crate) fn other_negatives(&self, before: &Self) -> Option<String> {
        let now = self.negatives?;
        // Version 1 wasn't noted.
        let was = before.negatives.unwrap_or(1);
        (was != now).then(|| {
            format!(
                "note: negatives were made by version {was} of the rules, and are made by version {now} from here on: captions get other ones"
            )
        })
    }

    /// What differs from what was read before, in words. What wasn't recorded then or isn't read now doesn't count: other keys say so.
    pub(crate) fn changes(&self, before: &Self, config: &Config) -> Vec<String> {
        let differs = |before: Option<&str>, now: Option<&str>| {
            before.is_some() && now.is_some() && before != now
        };
        let model = config.model.init.as_deref().map_or_else(String::new, Shown::path);
        let held_out = config.validation.as_ref();
        let held_out = held_out.map_or_else(String::new, |held_out| Shown::path(&held_out.path));
        let mut changes = Vec::new();
        for (before, now, what) in [
            (&before.weights, &self.weights, "weights"),
            (&before.tokenizer, &self.tokenizer, "tokenizer"),
            (&before.preprocessing, &self.preprocessing, "preprocessing"),
        ] {
            if differs(before.as_deref(), now.as_deref()) {
                changes.push(format!("the {what} of {model} (model.init)"));
            }
        }
        if differs(before.held_out_digest.as_deref(), self.held_out_digest.as_deref()) {
            let how = how(before.held_out, self.held_out);
            changes.push(format!("the held-out samples of {held_out} (validation.path: {how})"));
        } else if differs(before.held_out_photos.as_deref(), self.held_out_photos.as_deref()) {
            changes.push(format!("the held-out photos of {held_out} (validation.path)"));
        }
        if differs(before.classes.as_deref(), self.classes.as_deref()) {
            let what = "the photos to classify, their classes or the prompts (validation.classes)";
            changes.push(what.to_owned());
        }
        changes
    }

    /// How the training set differs from what was read before, in words.
    pub(crate) fn change_of_set(&self, before: &Self, config: &Config) -> String {
        let sets = config.data.sets();
        let paths: Vec<String> = sets.iter().map(|set| Shown::path(&set.path)).collect();
        let how = how(before.samples, self.samples);
        format!("the training samples of {} (data.path: {how})", paths.join(", "))
    }
}

/// How two sets differ, by their numbers of samples.
fn how(before: Option<u64>, now: Option<u64>) -> String {
    match (before, now) {
        (Some(before), Some(now)) if before != now => {
            format!("{} before, {} now", counted(before, "sample"), counted(now, "sample"))
        }
        _ => "other texts, names or sizes of photos, or another order".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::event::Control;

    fn config() -> Config {
        let text = "[model]\ninit = \"clip\"\n[data]\nkind = \"folder\"\npath = \"photos\"\n[validation]\npath = \"held-out\"\n";
        Config::from_toml("x.toml", text).unwrap()
    }

    fn inputs() -> Inputs {
        let some = |text: &str| Some(text.to_owned());
        Inputs {
            weights: some("w"),
            tokenizer: None,
            preprocessing: some("p"),
            samples: Some(1_000),
            held_out: Some(20),
            held_out_digest: some("h"),
            held_out_photos: some("b"),
            classes: None,
            negatives: None,
        }
    }

    #[test]
    fn what_changed_is_said_in_words() {
        let (now, config) = (inputs(), config());
        let changes = |change: fn(&mut Inputs)| {
            let mut before = inputs();
            change(&mut before);
            now.changes(&before, &config).join("; ")
        };
        assert_eq!(changes(|_| ()), "");
        assert_eq!(changes(|before| *before = Inputs::default()), "");
        assert_eq!(
            changes(|before| before.weights = Some("other".to_owned())),
            "the weights of clip (model.init)"
        );
        let words = changes(|before| {
            before.held_out = Some(3);
            before.held_out_digest = Some("other".to_owned());
            before.held_out_photos = Some("other".to_owned());
        });
        let expected =
            "the held-out samples of held-out (validation.path: 3 samples before, 20 samples now)";
        assert_eq!(words, expected);
        let words = changes(|before| before.held_out_photos = Some("other".to_owned()));
        assert_eq!(words, "the held-out photos of held-out (validation.path)");
        let before = Inputs { samples: Some(1_001), ..inputs() };
        let words = now.change_of_set(&before, &config);
        let expected =
            "the training samples of photos (data.path: 1,001 samples before, 1,000 samples now)";
        assert_eq!(words, expected);
    }

    #[test]
    fn a_sets_digest_is_of_texts_names_and_sizes_not_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let of = |dir: &str, bytes: &str, caption: &str| {
            let dir = folder.path().join(dir);
            fs::create_dir_all(&dir).unwrap();
            let image = dir.join("a.jpg");
            fs::write(&image, bytes).unwrap();
            let sample = Sample {
                image: image.into(),
                captions: vec![caption.to_owned()],
                fields: Vec::new(),
                negatives: Vec::new(),
                place: String::new(),
                part: 0,
            };
            let set = ImageTextSet { samples: vec![sample], ..ImageTextSet::default() };
            let digest = of_held_out(&set);
            let indexed = IndexedSet::of(set).unwrap();
            assert_eq!(of_set(&indexed, &mut |_| Control::Continue).unwrap(), digest);
            digest
        };
        let first = of("one", "pixels", "a cat");
        assert_eq!(of("moved", "PIXELS", "a cat"), first);
        assert_ne!(of("one", "pixel", "a cat"), first);
        assert_ne!(of("one", "pixels", "a dog"), first);
    }
}
