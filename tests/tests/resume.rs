//! Guards resumed runs: they equal an uninterrupted run bit for bit, and states that don't fit are refused.

use clove::loss::Loss;
use clove::model::Parameters as _;
use clove::train::{Locked, LossScale, StateError, TrainConfig, Trainer, TrainerState};
use clove::weights::{Snapshot, parameters};
use clove_lab::{Plan, Recipe, Scenes, Texts, Tuning};
use clove_scenes::Style;
use clove_tests::training::{scenes, shape, state, through_checkpoint};
use clove_tests::{cpu, training, wait};

const PLAN: Plan = Plan {
    texts: Texts::Captions { style: Some(Style::Mixed), negatives: 2 },
    scenes: Scenes::New,
    recipe: Recipe {
        steps: 6,
        batch: 4,
        learning_rate: 1e-3,
        warmup: 2,
        negatives: 2,
        image_rate: 0.5,
        loss: Loss::Clove,
    },
    seed: 5,
};

fn blank() -> Snapshot {
    wait(Snapshot::of(&shape().init(3, &cpu()), &shape()))
}

fn train(tuning: &mut Tuning, steps: usize) -> Vec<f32> {
    (0..steps).map(|_| wait(tuning.step()).loss).collect()
}

#[test]
fn a_run_that_went_through_a_checkpoint_is_bit_identical() {
    let device = cpu();
    let mut whole = Tuning::new(&blank(), PLAN, &device).unwrap();
    let losses = train(&mut whole, 6);
    assert!(whole.is_done());

    let mut first = Tuning::new(&blank(), PLAN, &device).unwrap();
    assert_eq!(train(&mut first, 3), losses[..3]);
    let read = through_checkpoint(&wait(first.state()), 3, 12);
    let mut second = Tuning::resume(read, PLAN, &device).unwrap();
    assert_eq!(train(&mut second, 3), losses[3..]);
    assert_eq!(wait(whole.state()), wait(second.state()));
}

#[test]
fn a_loss_scale_of_any_size_survives_a_checkpoint() {
    let mut tuning = Tuning::new(&blank(), PLAN, &cpu()).unwrap();
    train(&mut tuning, 1);
    let state = wait(tuning.state());
    for factor in [65_536.0, 1.0, 0.125] {
        let loss_scale = Some(LossScale { factor, steps: 7 });
        // Reading compares.
        through_checkpoint(&TrainerState { loss_scale, ..state.clone() }, 1, 4);
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused_by_name() {
    let device = cpu();
    let mut tuning = Tuning::new(&blank(), PLAN, &device).unwrap();
    train(&mut tuning, 1);
    let state = wait(tuning.state());
    let refused = |state| match Tuning::resume(state, PLAN, &device) {
        Err(error) => error.to_string(),
        Ok(_) => String::new(),
    };
    let mut missing = state.clone();
    missing.moments.remove("image.projection");
    assert!(refused(missing).contains("image.projection is missing"));
    let mut extra = state.clone();
    extra.moments.insert("image.other".into(), [vec![0.0], vec![0.0]]);
    assert!(refused(extra).contains("image.other isn't used"));
    let mut short = state.clone();
    short.moments.get_mut("logit_scale").unwrap()[1] = Vec::new();
    assert!(refused(short).contains("logit_scale"));
    assert!(refused(state).is_empty());
}

#[test]
fn locked_towers_stay_and_the_others_learn() {
    let device = cpu();
    let start = blank();
    let batch = scenes(4, 2);
    for (locked, fixed) in [
        (Locked { image: true, text: false }, "image."),
        (Locked { image: false, text: true }, "text."),
    ] {
        let mut train = PLAN.recipe.train_config();
        (train.locked, train.loss) = (locked, Loss::Fsc(clove::loss::OwnNegatives::default()));
        let clip = shape().build(&mut start.clone(), &device).unwrap();
        let mut trainer = Trainer::new(clip, shape(), train.clone(), &device);
        training::train(&mut trainer, &batch, 2);
        let state = state(&trainer);
        assert!(state.moments.keys().all(|name| !name.starts_with(fixed)));
        for (name, shape) in parameters(start.config()) {
            let before = start.clone().values(&name, &shape).unwrap();
            let after = state.model.clone().values(&name, &shape).unwrap();
            assert_eq!(before == after, name.starts_with(fixed), "{name}");
        }
        // Only a run with the same lock resumes from its state.
        let open = TrainConfig { locked: Locked::default(), ..train.clone() };
        assert!(Trainer::resume(state.clone(), shape(), train, &device).is_ok());
        let other = Trainer::resume(state, shape(), open, &device);
        assert!(matches!(other, Err(StateError::Moments { .. })));
    }
}
