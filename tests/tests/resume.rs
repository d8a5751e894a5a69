//! Guards runs that are put aside: what goes on is what would have come, bit for bit, and nothing that doesn't fit is taken.

use clove::device::{Device, DeviceChoice};
use clove::loss::Loss;
use clove::train::{Locked, StateError, Trainer};
use clove::weights::{Snapshot, parameters};
use clove_data::run::{Checkpoint, Companions, Position, RunFolder, read_state, write_state};
use clove_lab::{
    Plan, Recipe, Scenes, Texts, Tuning, config, preprocess, tokenizer, tokenizer_json,
};
use clove_scenes::Style;

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

fn cpu() -> Device {
    clove::device::open(DeviceChoice::Cpu).unwrap().device
}

fn blank() -> Snapshot {
    let config = config(&tokenizer().unwrap());
    pollster::block_on(Snapshot::of(&config.init(3, &cpu()), &config)).unwrap()
}

fn train(tuning: &mut Tuning, steps: usize) -> Vec<f32> {
    (0..steps).map(|_| pollster::block_on(tuning.step()).unwrap().loss).collect()
}

#[test]
fn a_run_that_went_through_a_checkpoint_is_bit_identical() {
    let device = cpu();
    let mut whole = Tuning::new(&blank(), PLAN, &device).unwrap();
    let losses = train(&mut whole, 6);
    assert!(whole.is_done());

    let mut first = Tuning::new(&blank(), PLAN, &device).unwrap();
    assert_eq!(train(&mut first, 3), losses[..3]);
    let state = pollster::block_on(first.state()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&dir.path().join("run"), "seed = 5\n").unwrap();
    let companions =
        Companions { preprocess: preprocess().unwrap(), tokenizer: Some(tokenizer_json()) };
    let position = Position {
        step: 3,
        samples: 12,
        skipped: 0,
        recoveries: 0,
        seed: 5,
        config_hash: folder.config_hash().to_owned(),
    };
    let saved: Checkpoint =
        folder.save_checkpoint(3, 1, |to| write_state(to, &state, &position, &companions)).unwrap();
    let (read, found) = read_state(&saved).unwrap();
    assert_eq!(found, position);
    assert_eq!(read, state);

    let mut second = Tuning::resume(read, PLAN, &device).unwrap();
    assert_eq!(train(&mut second, 3), losses[3..]);
    let (left, right) =
        (pollster::block_on(whole.state()).unwrap(), pollster::block_on(second.state()).unwrap());
    assert_eq!(left, right);
}

#[test]
fn a_state_that_does_not_fit_is_refused_by_name() {
    let device = cpu();
    let mut tuning = Tuning::new(&blank(), PLAN, &device).unwrap();
    train(&mut tuning, 1);
    let state = pollster::block_on(tuning.state()).unwrap();
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
    let shape = start.config().clone();
    let batch = PLAN.texts.batch(5, 0..4, &tokenizer().unwrap(), &preprocess().unwrap());
    for (locked, fixed) in [
        (Locked { image: true, text: false }, "image."),
        (Locked { image: false, text: true }, "text."),
    ] {
        let mut train = PLAN.recipe.train_config();
        (train.locked, train.loss) = (locked, Loss::Fsc(clove::loss::OwnNegatives::default()));
        let clip = shape.build(&mut start.clone(), &device).unwrap();
        let mut trainer = Trainer::new(clip, shape.clone(), train.clone(), &device);
        for _ in 0..2 {
            pollster::block_on(trainer.step(&batch)).unwrap();
        }
        let state = pollster::block_on(trainer.state()).unwrap();
        assert!(state.moments.keys().all(|name| !name.starts_with(fixed)));
        for (name, shape) in parameters(start.config()) {
            use clove::model::Parameters as _;
            let before = start.clone().values(&name, &shape).unwrap();
            let after = state.model.clone().values(&name, &shape).unwrap();
            assert_eq!(before == after, name.starts_with(fixed), "{name}");
        }
        // And the state of a locked run is taken up by a run with the same lock alone.
        let open = clove::train::TrainConfig { locked: Locked::default(), ..train.clone() };
        assert!(Trainer::resume(state.clone(), shape.clone(), train, &device).is_ok());
        let other = Trainer::resume(state, shape.clone(), open, &device);
        assert!(matches!(other, Err(StateError::Moments { .. })));
    }
}
