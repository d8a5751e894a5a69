//! Guards that no loss is computed with a tensor that its device can't bind.

use clove::loss::{Loss, OwnNegatives};
use clove::score::ScoreError;
use clove::tokenizer::Encoding;
use clove::train::{Batch, TrainConfig, Trainer};
use clove_tests::training::shape;
use clove_tests::{assert_contains, devices};

/// A batch of so many captions, a negative each. Nothing is embedded before the sizes are known to fit.
fn batch(pairs: usize) -> Batch {
    let text = |word: usize| Encoding { ids: vec![1, word as u32, 2], end: 2, dropped: 0 };
    Batch {
        texts: (0..pairs).map(text).collect(),
        negatives: (pairs..2 * pairs).map(|word| vec![text(word)]).collect(),
        ..Batch::default()
    }
}

#[test]
fn a_batch_whose_similarities_cannot_be_bound_is_refused_with_the_remedy() {
    for (name, device) in devices() {
        let most = clove_kernels::largest_buffer(&device);
        if name == "cpu" {
            assert_eq!(most, u64::MAX);
            continue;
        }
        // The least batch whose similarities with captions alone are too many.
        let pairs = ((most / 4) as f64).sqrt() as usize + 1;
        let model = shape();
        let told = |loss| {
            let config = TrainConfig { loss, ..TrainConfig::new(1) };
            let trainer = Trainer::new(model.init(1, &device), model.clone(), config, &device);
            let refused = pollster::block_on(trainer.gradients(&batch(pairs))).unwrap_err();
            assert!(matches!(refused, ScoreError::Loss(_)), "{refused:?}");
            refused.to_string()
        };
        for loss in [Loss::Clip, Loss::Clove, Loss::Fsc(OwnNegatives::default())] {
            let most = format!("the device binds {most}; ");
            assert_contains(&told(loss), &[&most, "lower train.batch"]);
        }
        if clove_kernels::run_on(&device) {
            assert_contains(&told(Loss::Clove), &["set loss.fused = true"]);
        }
    }
}
