//! Guards the losses: each equals its formula, computed number by number in f64.

use burn::tensor::{Device, Tensor, TensorData};
use clove::device::read_back;
use clove::loss::{OwnNegatives, contrastive, own_negatives};
use clove::model::normalise_rows;
use clove_tests::devices;

/// f32 against f64 over sums of a few dozen terms.
const TOLERANCE: f64 = 2e-5;

const SCALE: f32 = 2.5;

/// Rows of length one, from a fixed sequence.
fn rows(count: usize, width: usize, salt: u32, device: &Device) -> (Tensor<2>, Vec<Vec<f64>>) {
    let values: Vec<f32> = (0..count * width)
        .map(|place| {
            let mixed = (place as u32 + 1).wrapping_mul(2_654_435_761).wrapping_add(salt * 40_503);
            (mixed >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect();
    let tensor = normalise_rows(Tensor::from_data(TensorData::new(values, [count, width]), device));
    let host = pollster::block_on(read_back(tensor.clone())).unwrap();
    let host =
        host.chunks(width).map(|row| row.iter().map(|value| f64::from(*value)).collect()).collect();
    (tensor, host)
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn cross_entropy(logits: &[f64], label: usize) -> f64 {
    logits.iter().map(|logit| logit.exp()).sum::<f64>().ln() - logits[label]
}

fn check(found: Tensor<1>, expected: f64) {
    let found = f64::from(pollster::block_on(read_back(found)).unwrap()[0]);
    assert!((found - expected).abs() < TOLERANCE, "{found} {expected}");
}

#[test]
fn contrastive_loss_is_its_formula_with_and_without_negatives() {
    for (_, device) in devices() {
        let ((images, x), (texts, t), (wrong, n)) =
            (rows(5, 8, 1, &device), rows(5, 8, 2, &device), rows(3, 8, 3, &device));
        let scale = Tensor::<1>::from_data([SCALE], &device);
        let s = f64::from(SCALE).exp();
        for with in [false, true] {
            let mut expected = 0.0;
            for row in 0..5 {
                let mut logits: Vec<f64> = t.iter().map(|text| s * dot(&x[row], text)).collect();
                if with {
                    logits.extend(n.iter().map(|text| s * dot(&x[row], text)));
                }
                expected += cross_entropy(&logits, row);
                let logits: Vec<f64> = x.iter().map(|image| s * dot(&t[row], image)).collect();
                expected += cross_entropy(&logits, row);
            }
            let found = contrastive(
                images.clone(),
                texts.clone(),
                with.then(|| wrong.clone()),
                scale.clone(),
            );
            check(found, expected / 10.0);
        }
    }
}

#[test]
fn the_loss_of_own_negatives_is_its_formula_for_uneven_numbers_of_them() {
    for (_, device) in devices() {
        let ((images, x), (texts, t), (wrong, n)) =
            (rows(4, 8, 1, &device), rows(4, 8, 2, &device), rows(6, 8, 3, &device));
        // Three of the first, none of the second, one of the third, two of the last; not in order.
        let owners = [3, 0, 0, 2, 3, 0];
        let scale = Tensor::<1>::from_data([SCALE], &device);
        let s = f64::from(SCALE).exp();
        for settings in [
            OwnNegatives::default(),
            OwnNegatives { gamma: 0, smoothing: 0.0, ..OwnNegatives::default() },
            OwnNegatives { smoothing: 0.3, ..OwnNegatives::default() },
        ] {
            let (mut expected, mut taking_part) = (0.0, 0.0);
            for row in [0, 2, 3] {
                let mut logits = vec![s * dot(&x[row], &t[row])];
                for (negative, owner) in owners.iter().enumerate() {
                    if *owner == row {
                        logits.push(s * dot(&x[row], &n[negative]));
                    }
                }
                let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
                let even = settings.smoothing / logits.len() as f64;
                for (place, logit) in logits.iter().enumerate() {
                    let p = logit.exp() / sum;
                    let label = if place == 0 { 1.0 - settings.smoothing + even } else { even };
                    expected -= label * (1.0 - p).powi(settings.gamma) * p.ln();
                }
                taking_part += 1.0;
            }
            let found =
                own_negatives(&images, &texts, wrong.clone(), &owners, scale.clone(), settings);
            check(found.unwrap(), expected / taking_part);
        }
    }
}
