//! Guards the losses: each equals its formula, computed number by number in f64.

use burn::tensor::Tensor;
use clove::loss::{Embedded, Loss, Mask, OwnNegatives, contrastive, own_negatives};
use clove_random::Random;
use clove_tests::{cpu, devices, read, relative};

use super::kernels::losses::{Computed, Losses};

/// The logarithm of the factor of the logits.
const SCALE: f32 = 2.5;

/// f32 against f64, relative to the length of a gradient: sums of some dozen terms of both signs.
const MASKED: f64 = 1e-4;

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
    let loss = |negatives, mask: &Mask| {
        contrastive(images.clone(), texts.clone(), negatives, mask, scale.clone())
    };
    let nothing = Mask::default();
    check(loss(None, &nothing), (plain + to_images) / 2.0);
    check(loss(Some(negatives.clone()), &nothing), (wide + to_images) / 2.0);

    // The first image's negatives without the second text and the first negative; the second text is told from no other image.
    let mut mask = Mask::new(2, 4);
    mask.leave_out(0, 1);
    mask.leave_out(0, 2);
    let to_images = (cross_entropy(&[0.6, 0.8], 0) + cross_entropy(&[1.0], 0)) / 2.0;
    let wide = (cross_entropy(&[0.6, 1.0], 0) + cross_entropy(&[0.8, 1.0, 0.6, 0.0], 1)) / 2.0;
    check(loss(Some(negatives), &mask), (wide + to_images) / 2.0);
    // Nothing is left to be told from.
    mask.leave_out(1, 0);
    assert_eq!(read(loss(None, &mask)), [0.0]);
}

/// The losses and their gradients, by tensor operations on the CPU and by kernels on a GPU, against f64 with the logits that are left
/// out at minus infinity.
#[test]
fn what_is_left_out_has_no_part_in_any_loss() {
    let (pairs, negatives) = (35, 40);
    let mut batch = Losses::new(pairs, negatives, 24, 10.0, 0);
    let mut random = Random::new(&[8]);
    // Some of everything; nearly a whole block of a kernel for one image, and all negatives of another.
    for _ in 0..300 {
        batch.mask.leave_out(random.below(pairs), random.below(pairs + negatives));
    }
    for text in 0..pairs {
        batch.mask.leave_out(33, text);
    }
    for negative in pairs..pairs + negatives {
        batch.mask.leave_out(7, negative);
    }
    let owners: Vec<usize> = (0..negatives).map(|negative| negative % 12).collect();
    for negative in (7..negatives).step_by(12) {
        assert!(batch.mask.leaves_out(owners[negative], pairs + negative));
    }
    let exact = batch.exact();
    let settings = OwnNegatives::default();
    let own = batch.exact_own(&owners, settings);
    let contrast = Losses { negatives: Vec::new(), ..batch.clone() }.exact();
    let sum = |contrast: &[f64], own: &[f64]| -> Vec<f64> {
        contrast.iter().zip(own).map(|(one, other)| one + settings.weight * other).collect()
    };
    let fsc = Computed {
        loss: contrast.loss + settings.weight * own.loss,
        by_images: sum(&contrast.by_images, &own.by_images),
        by_texts: sum(&contrast.by_texts, &own.by_texts),
        by_negatives: own.by_negatives.iter().map(|by| settings.weight * by).collect(),
        by_scale: contrast.by_scale + settings.weight * own.by_scale,
    };
    for (name, device) in devices() {
        for (loss, exact) in [(Loss::Clove, &exact), (Loss::Fsc(settings), &fsc)] {
            let found = batch.differentiate(&device, |[images, texts, negatives], scale| {
                let (negatives, owners, mask) = (Some(negatives), &owners[..], &batch.mask);
                let embedded = Embedded { images, texts, negatives, owners, mask };
                Some(loss.of(embedded, scale, name != "cpu"))
            });
            let found = found.unwrap();
            for (what, found, exact) in [
                ("loss", &[found.loss][..], &[exact.loss][..]),
                ("images", &found.by_images, &exact.by_images),
                ("texts", &found.by_texts, &exact.by_texts),
                ("negatives", &found.by_negatives, &exact.by_negatives),
                ("scale", &[found.by_scale], &[exact.by_scale]),
            ] {
                let apart = relative(found, exact);
                println!("{name}, {loss:?}: {what}: {apart:e}");
                assert!(apart < MASKED, "{name}, {loss:?}: {what}: {apart:e}");
            }
        }
    }
}
