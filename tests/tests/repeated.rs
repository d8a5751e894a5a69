//! Guards batches that have an image or a caption more than once: these are no negatives of each other, and the step says how many.

use burn::tensor::{Tensor, TensorData};
use clove::loss::{Loss, OwnNegatives};
use clove::model::TextBatch;
use clove::tokenizer::Encoding;
use clove::train::{Batch, Pixels, StepReport, TrainConfig, Trainer};
use clove_tests::training::{gradients, scenes, shape, state};
use clove_tests::{cpu, read, wait};

fn trainer(loss: Loss) -> Trainer {
    let mut config = TrainConfig::new(10);
    config.schedule.peak = 1e-4;
    config.loss = loss;
    Trainer::new(shape().init(3, &cpu()), shape(), config, &cpu())
}

fn step(loss: Loss, batch: &Batch) -> StepReport {
    wait(trainer(loss).step(batch))
}

/// The first `count` images of a batch.
fn pixels(batch: &Batch, count: usize) -> Vec<f32> {
    let Pixels::Ready(values) = &batch.pixels else { panic!("the batch has pixels") };
    values[..count * 3 * 48 * 48].to_vec()
}

/// The batch with the rows `rows`.
fn rows(batch: &Batch, rows: &[usize]) -> Batch {
    let all = pixels(batch, batch.texts.len());
    let images: Vec<&[f32]> = all.chunks(3 * 48 * 48).collect();
    Batch {
        pixels: rows.iter().map(|&row| images[row]).collect::<Vec<_>>().concat().into(),
        texts: rows.iter().map(|&row| batch.texts[row].clone()).collect(),
        negatives: rows.iter().map(|&row| batch.negatives[row].clone()).collect(),
        images: rows.iter().map(|&row| batch.images[row]).collect(),
    }
}

/// The cosines of all images with all texts, in f64.
fn cosines(batch: &Batch) -> Vec<Vec<f64>> {
    let clip = shape().init(3, &cpu());
    let pairs = batch.texts.len();
    let data = TensorData::new(pixels(batch, pairs), [pairs, 3, 48, 48]);
    let images = read(clip.embed_images(Tensor::from_data(data, &cpu())));
    let texts: Vec<Encoding> =
        batch.texts.iter().chain(batch.negatives.iter().flatten()).cloned().collect();
    let texts = read(clip.embed_texts(TextBatch::new(&texts, &shape().text, &cpu())));
    let width = shape().embed_dim;
    let dot = |image: &[f32], text: &[f32]| -> f64 {
        image.iter().zip(text).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
    };
    let images = images.chunks(width);
    images.map(|image| texts.chunks(width).map(|text| dot(image, text)).collect()).collect()
}

/// CLoVe's loss with the logits that are left out at minus infinity.
fn exact(batch: &Batch, left_out: &[(usize, usize)]) -> f64 {
    let scale = f64::from(read(shape().init(3, &cpu()).logit_scale.val())[0]).exp();
    let pairs = batch.texts.len();
    let mut logits = cosines(batch);
    for (image, row) in logits.iter_mut().enumerate() {
        for (text, logit) in row.iter_mut().enumerate() {
            let is_out = left_out.contains(&(image, text));
            *logit = if is_out { f64::NEG_INFINITY } else { scale * *logit };
        }
    }
    let log_sum = |logits: &mut dyn Iterator<Item = f64>| logits.map(f64::exp).sum::<f64>().ln();
    let mut loss = 0.0;
    for pair in 0..pairs {
        let right = logits[pair][pair];
        loss += log_sum(&mut logits[pair].iter().copied()) - right;
        loss += log_sum(&mut logits[..pairs].iter().map(|row| row[pair])) - right;
    }
    loss / (2 * pairs) as f64
}

fn assert_near(found: f32, exact: f64) {
    // f32 towers and sums against f64.
    assert!((f64::from(found) - exact).abs() < 1e-5, "{found} {exact}");
}

#[test]
fn the_same_image_and_the_same_caption_are_no_negatives_of_each_other() {
    let all = scenes(5, 1);
    assert!(all.negatives.iter().all(|list| list.len() == 1));
    assert_eq!(step(Loss::Clove, &all).masked, 0);
    assert_near(step(Loss::Clove, &all).loss, exact(&all, &[]));

    // A table with a row for each caption: image 0 is in rows 0 and 2. Rows 1 and 3 have the same caption, and the negative of row 4
    // is the caption of row 0, which is true of row 2 too.
    let mut batch = all;
    batch.images[2] = batch.images[0];
    batch.texts[3] = batch.texts[1].clone();
    batch.negatives[4] = vec![batch.texts[0].clone()];
    let left_out = [(0, 2), (2, 0), (1, 3), (3, 1), (0, 9), (2, 9)];
    let report = step(Loss::Clove, &batch);
    assert_eq!((report.masked, report.wrong), (6, 5 * 4 + 5 * 5 - 6));
    assert_near(report.loss, exact(&batch, &left_out));
    assert!((f64::from(report.loss) - exact(&batch, &[])).abs() > 1e-3);
    // Losses that use fewer texts leave fewer out.
    let counts = |loss| (step(loss, &batch).masked, step(loss, &batch).wrong);
    assert_eq!(counts(Loss::Clip), (4, 5 * 4 - 4));
    assert_eq!(counts(Loss::Fsc(OwnNegatives::default())), (4, 5 * 4 + 5 - 4));
    let clip = Batch { negatives: Vec::new(), ..batch };
    assert_near(step(Loss::Clip, &clip).loss, exact(&clip, &left_out[..4]));
}

#[test]
fn without_repetitions_the_numbers_of_images_change_no_bit() {
    let known = scenes(6, 2);
    let unknown = Batch { images: Vec::new(), ..known.clone() };
    for loss in [Loss::Clip, Loss::Clove, Loss::Fsc(OwnNegatives::default())] {
        let [known, unknown] = [&known, &unknown].map(|batch| gradients(&trainer(loss), batch));
        assert!(known == unknown, "{loss:?}");
    }
}

#[test]
fn a_batch_with_nothing_to_tell_apart_says_so() {
    let batch = scenes(3, 1);
    let none = |batch: Batch| Batch { negatives: Vec::new(), ..batch };
    // One pair, and one pair three times.
    for (batch, masked) in [(none(rows(&batch, &[1])), 0), (none(rows(&batch, &[1, 1, 1])), 6)] {
        let mut trainer = trainer(Loss::Clove);
        let before = state(&trainer).model;
        let report = wait(trainer.step(&batch));
        assert_eq!((report.wrong, report.masked), (0, masked));
        assert!(report.loss.abs() < 1e-6 && report.grad_norm < 1e-3, "{report:?}");
        assert!(before.is_finite() && state(&trainer).model.is_finite());
    }
    // A hard negative is told from the caption.
    let report = step(Loss::Clove, &rows(&batch, &[1]));
    assert_eq!(report.wrong, 1);
    assert!(report.loss > 0.0);
}
