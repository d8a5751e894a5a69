//! Trainers to test: their batches, gradients, losses and states.

use std::collections::BTreeMap;

use clove::model::ClipConfig;
use clove::tokenizer::Encoding;
use clove::train::{Batch, Trainer, TrainerState};
use clove_data::run::{Position, RunFolder, read_state, write_state};
use clove_lab::{Texts, config, preprocess, tokenizer};
use clove_random::Random;
use clove_scenes::Style;

use super::{companions, read, wait};

/// The shape of the scene models.
pub fn shape() -> ClipConfig {
    config(&tokenizer().unwrap())
}

/// A batch of scenes with mixed negatives, `negatives` for each caption.
pub fn scenes(pairs: u64, negatives: usize) -> Batch {
    let texts = Texts::Captions { style: Some(Style::Mixed), negatives };
    texts.batch(5, 0..pairs, &tokenizer().unwrap(), &preprocess().unwrap())
}

/// A text of random words, at least `shortest`; the last two ids of the vocabulary are start and end.
pub fn noise(random: &mut Random, shortest: usize, context: usize, vocabulary: u32) -> Encoding {
    let length = shortest + random.below(context - 2 - shortest);
    let (start, end) = (vocabulary - 2, vocabulary - 1);
    let mut ids = vec![start];
    ids.extend((0..length).map(|_| random.below(start as usize) as u32));
    ids.push(end);
    ids.resize(context, 0);
    Encoding { ids, end: length + 1, dropped: 0 }
}

/// The losses of `steps` steps with one batch.
pub fn train(trainer: &mut Trainer, batch: &Batch, steps: usize) -> Vec<f32> {
    (0..steps).map(|_| wait(trainer.step(batch)).loss).collect()
}

/// The loss, and the gradients by the names of their parameters.
pub fn gradients(trainer: &Trainer, batch: &Batch) -> (f32, BTreeMap<String, Vec<f32>>) {
    let (loss, gradients) = wait(trainer.gradients(batch));
    let values = |name: &str| (name.to_owned(), read(gradients.get(name).unwrap()));
    (loss, gradients.names().map(values).collect())
}

/// All gradients in one row.
pub fn flat(gradients: &BTreeMap<String, Vec<f32>>) -> Vec<f32> {
    gradients.values().flatten().copied().collect()
}

/// The state that a trainer saves.
pub fn state(trainer: &Trainer) -> TrainerState {
    wait(trainer.state())
}

/// A state after it was saved in a checkpoint of `step` and read again.
pub fn through_checkpoint(state: &TrainerState, step: usize, samples: u64) -> TrainerState {
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&dir.path().join("run"), "seed = 5\n").unwrap();
    let config_hash = folder.config_hash().to_owned();
    let position = Position { step, samples, skipped: 0, recoveries: 0, seed: 5, config_hash };
    let write = |to: &std::path::Path| write_state(to, state, &position, &companions());
    let saved = folder.save_checkpoint(step, 1, write).unwrap();
    let (read, found) = read_state(&saved).unwrap();
    assert_eq!(found, position);
    assert_eq!(&read, state);
    read
}
