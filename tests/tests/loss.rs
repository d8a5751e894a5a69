//! Guards the losses: each equals its formula, computed number by number in f64.

use burn::tensor::Tensor;
use clove::loss::{OwnNegatives, contrastive, own_negatives};
use clove_tests::{cpu, devices, read};

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

#[test]
fn two_pairs_by_hand() {
    let tensor = |rows: [[f32; 2]; 2]| Tensor::<2>::from_data(rows, &cpu());
    let images = tensor([[1.0, 0.0], [0.0, 1.0]]);
    let texts = tensor([[0.6, 0.8], [0.0, 1.0]]);
    let negatives = tensor([[0.8, 0.6], [1.0, 0.0]]);
    let scale = Tensor::<1>::from_data([2.0_f32.ln()], &cpu());
    let cross_entropy = |logits: &[f64], label: usize| {
        logits.iter().map(|logit| (2.0 * logit).exp()).sum::<f64>().ln() - 2.0 * logits[label]
    };
    let to_images = (cross_entropy(&[0.6, 0.8], 0) + cross_entropy(&[0.0, 1.0], 1)) / 2.0;
    let plain = (cross_entropy(&[0.6, 0.0], 0) + cross_entropy(&[0.8, 1.0], 1)) / 2.0;
    let wide =
        (cross_entropy(&[0.6, 0.0, 0.8, 1.0], 0) + cross_entropy(&[0.8, 1.0, 0.6, 0.0], 1)) / 2.0;
    let loss = |negatives| contrastive(images.clone(), texts.clone(), negatives, scale.clone());
    check(loss(None), (plain + to_images) / 2.0);
    check(loss(Some(negatives)), (wide + to_images) / 2.0);
}
