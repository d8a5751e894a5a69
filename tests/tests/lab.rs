//! Guards the lab's scene models, which come with the program: their size, their deltas and their figures.

use clove::model::Parameters as _;
use clove::weights::{Snapshot, parameters};
use clove_lab::{
    SceneSuite, Sizes, blind_rows, figures, finetuned, pretrained, read_deltas, read_model, scorer,
    write_deltas, write_model,
};
use clove_scenes::Split;
use clove_tests::training::shape;
use clove_tests::{cpu, wait};

/// Bytes of both files: a page downloads them before it can show anything.
const LARGEST: usize = 800_000;

fn values(model: &Snapshot) -> Vec<(String, Vec<f32>)> {
    parameters(model.config())
        .into_iter()
        .map(|(name, shape)| (name.clone(), model.clone().values(&name, &shape).unwrap()))
        .collect()
}

#[test]
fn the_shipped_models_are_small_and_different() {
    let (before, after) = (pretrained().unwrap(), finetuned().unwrap());
    let weights = write_model(&before).unwrap();
    // The shipped file is what would be written again.
    assert_eq!(values(&read_model(&weights).unwrap()), values(&before), "f16 survives");
    let deltas = write_deltas(&before, &after).unwrap();
    assert!(weights.len() + deltas.len() <= LARGEST, "{} {}", weights.len(), deltas.len());
    assert_ne!(values(&before), values(&after));
}

#[test]
fn deltas_keep_a_model_to_half_a_step_of_each_tensor() {
    let model = |seed| wait(Snapshot::of(&shape().init(seed, &cpu()), &shape()));
    let (left, right) = (model(1), model(2));
    let deltas = write_deltas(&left, &right).unwrap();
    let found = read_deltas(&left, &deltas).unwrap();
    for (((name, left), (_, right)), (_, found)) in
        values(&left).iter().zip(values(&right)).zip(values(&found))
    {
        let largest = left.iter().zip(&right).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // 31 steps to the largest, and some rounding of f32.
        let allowed = largest / 31.0 * 0.5 + 1e-5;
        assert!(right.iter().zip(found).all(|(a, b)| (a - b).abs() <= allowed), "{name}");
    }
    assert!(read_deltas(&left, &deltas[..deltas.len() / 2]).is_err());
}

#[test]
fn the_shipped_models_tell_the_methods_story_and_blind_rules_do_not() {
    let suite =
        SceneSuite::new(Split::Validation, Sizes { twins_per_kind: 40, specimens: 200, common: 0 });
    let score = |model: &Snapshot| {
        let scorer = wait(scorer(model, &cpu()));
        wait(suite.evaluate(&scorer, &mut |_| {}))
    };
    let (before, after) = (score(&pretrained().unwrap()), score(&finetuned().unwrap()));
    // Far below the lab's report, because the standard error of 560 rows is 2 points.
    assert!(figures(&after).0 > figures(&before).0 + 0.08);
    for row in blind_rows(&before) {
        assert!((row.composition - 0.5).abs() < 1e-9, "{}", row.name);
    }
    // Chance, the length rules and the n-gram model.
    assert!(blind_rows(&before).len() >= 4);
}
