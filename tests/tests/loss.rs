//! Guards the losses: each equals its formula, computed number by number in f64.

use burn::tensor::Tensor;
use clove::loss::{OwnNegatives, own_negatives};
use clove_tests::{devices, read};

use super::kernels::losses::Losses;

/// The logarithm of the factor of the logits.
const SCALE: f32 = 2.5;

fn check(found: Tensor<1>, exact: f64) {
    let found = f64::from(read(found)[0]);
    // f32 against f64 over sums of a few dozen terms.
    assert!((found - exact).abs() < 2e-5, "{found} {exact}");
}

#[test]
fn contrastive_loss_is_its_formula_with_and_without_negatives() {
    for (_, device) in devices() {
        for negatives in [0, 3] {
            let batch = Losses::new(5, negatives, 8, SCALE.exp(), 0);
            check(batch.loss(&device, false), batch.exact().loss);
        }
    }
}

#[test]
fn the_loss_of_own_negatives_is_its_formula_for_uneven_numbers_of_them() {
    // Three of the first, none of the second, one of the third, two of the last; not in order.
    let owners = [3, 0, 0, 2, 3, 0];
    let batch = Losses::new(4, 6, 8, SCALE.exp(), 0);
    for (_, device) in devices() {
        for settings in [
            OwnNegatives::default(),
            OwnNegatives { gamma: 0, smoothing: 0.0, ..OwnNegatives::default() },
            OwnNegatives { smoothing: 0.3, ..OwnNegatives::default() },
        ] {
            let [images, texts, negatives] = batch.tensors(&device);
            let scale = Tensor::from_data([SCALE], &device);
            let found = own_negatives(&images, &texts, negatives, &owners, scale, settings);
            check(found.unwrap(), batch.exact_own(&owners, settings).loss);
        }
    }
}
