//! Guards the kernels: each equals its tensor form, forward and backward, with and without fusion and gradients.

pub mod losses;
mod preprocess;

use burn::backend::DispatchDevice;
use burn::backend::ops::{FloatTensorOps as _, IntTensorOps as _};
use burn::backend::wgpu::CubeBackend;
use burn::tensor::{Device, Int, Tensor, TensorData};
use clove::loss::OwnNegatives;
use clove::patch::Difference;
use clove::preprocess::{Preprocess, RgbImage};
use clove_kernels::{Kernels as _, Packing};
use clove_random::Random;
use clove_tests::{devices, read};

use losses::Losses;

/// The devices whose kernels run; prints those whose kernels don't.
fn gpus() -> Vec<(String, Device)> {
    let (with, without): (Vec<_>, Vec<_>) =
        devices().into_iter().partition(|(_, device)| clove_kernels::run_on(device));
    for (name, _) in without {
        println!("{name}: no kernels, the tensor form runs");
    }
    with
}

fn words(words: &[u32], device: &Device) -> Tensor<1, Int> {
    let words: Vec<i32> = words.iter().map(|word| word.cast_signed()).collect();
    let count = words.len();
    Tensor::from_data(TensorData::new(words, [count]), device)
}

fn vector(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

fn uniform(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.between(-1.0, 1.0)).collect()
}

/// The CPU, and a GPU if burn compiles SPIR-V or MSL (`--features clove-tests/vulkan`): both refuse WGSL.
#[test]
fn where_wgsl_is_refused_the_tensor_form_runs() {
    let mut refused = 0;
    for (name, device) in devices() {
        if clove_kernels::run_on(&device) {
            continue;
        }
        refused += 1;
        println!("{name} takes no WGSL");
        assert!(!clove_kernels::run_on(&device.clone().autodiff()));
        let half = Difference::f16(&[1.0]).unwrap();
        let patched = clove_kernels::patch(
            vector(&[1.0], &device),
            words(&half.words, &device),
            Packing::F16,
            1.0,
        );
        assert!(patched.is_none());
        let image = RgbImage::new(9, 7);
        let preprocess = Preprocess::clip(4).unwrap();
        assert!(preprocess.on_device(&[&image], &device).is_none());

        let batch = Losses::new(3, 2, 8, 1.0, 0);
        let (fused, composed) = (batch.compute(&device, true), batch.compute(&device, false));
        assert!(fused.loss == composed.loss && fused.by_images == composed.by_images);
        let settings = OwnNegatives::default();
        let own = |fused| batch.compute_own(&device, &[0, 2], settings, fused);
        let (fused, composed) = (own(true), own(false));
        assert!(fused.loss == composed.loss && fused.by_negatives == composed.by_negatives);
    }
    assert!(refused > 0, "the CPU takes no WGSL");
    assert_eq!(cfg!(feature = "vulkan"), refused > 1, "nor does a compiler of SPIR-V");
}

#[test]
fn a_patch_is_the_exact_sum_rounded() {
    for (name, device) in gpus() {
        let mut random = Random::new(&[1]);
        // Around a word, a workgroup and a row of the grid.
        for count in [1, 2, 3, 4, 5, 511, 512, 513, 1_025, 100_003] {
            let base = uniform(&mut random, count);
            let deltas: Vec<f32> = uniform(&mut random, count)
                .iter()
                .enumerate()
                // Down to the smallest of f16.
                .map(|(at, value)| value * 0.5_f32.powi(at as i32 % 24))
                .collect();
            let bytes: Vec<i8> = (0..count).map(|_| random.below(256) as u8 as i8).collect();
            let packed = [Difference::f16(&deltas).unwrap(), Difference::i8(&bytes, 0.003)];
            for difference in packed {
                for alpha in [0.0, 0.3, 0.5, 1.0] {
                    let patched = clove_kernels::patch(
                        vector(&base, &device),
                        words(&difference.words, &device),
                        difference.packing,
                        alpha,
                    );
                    let patched = read(patched.unwrap());
                    assert_eq!(patched.len(), count);
                    for (at, delta) in difference.values().into_iter().enumerate() {
                        let once = alpha.mul_add(delta, base[at]);
                        let twice = base[at] + alpha * delta;
                        assert!(
                            patched[at] == once || patched[at] == twice,
                            "{name}: {count}, alpha {alpha}, {at}: {} {once} {twice}",
                            patched[at]
                        );
                        // A product of few bits is exact in any rounding.
                        let exact = alpha == 0.5 || alpha == 1.0;
                        assert!(!exact || once == twice || difference.packing != Packing::F16);
                    }
                }
            }
        }
    }
}

#[test]
fn without_fusion_and_without_gradients_the_results_are_the_same() {
    for (name, device) in gpus() {
        let DispatchDevice::Cube(cube) = device.as_dispatch() else {
            panic!("{name} has kernels");
        };
        let read_cube = |tensor| {
            let data = burn::tensor::read_sync(CubeBackend::float_into_data(tensor)).unwrap();
            data.try_to_vec::<f32>().unwrap()
        };
        let mut random = Random::new(&[2]);
        let base = uniform(&mut random, 1_001);
        let difference = Difference::f16(&uniform(&mut random, 1_001)).unwrap();
        let packed: Vec<i32> = difference.words.iter().map(|w| w.cast_signed()).collect();
        let direct = CubeBackend::clove_patch(
            CubeBackend::float_from_data(TensorData::new(base.clone(), [1_001]), cube),
            CubeBackend::int_from_data(TensorData::new(packed, [501]), cube),
            0.3,
            0.0,
            false,
        );
        let direct = read_cube(direct);
        for device in [device.clone(), device.clone().autodiff()] {
            // With operations around it that fusion combines.
            let base = vector(&base, &device) * 2.0;
            let packed = words(&difference.words, &device);
            let patched = clove_kernels::patch(base * 0.5, packed, Packing::F16, 0.3);
            assert!(read(patched.unwrap() + 0.0) == direct, "{name}");
        }

        let batch = Losses::new(37, 21, 40, 20.0, 0);
        let plain = read(batch.loss(&device, true));
        let differentiated = batch.compute(&device, true);
        assert!(plain[0] == differentiated.loss, "{name}");
        let tensor = |values: &[f32], rows: usize| {
            let data = TensorData::new(values.to_vec(), [rows, batch.width]);
            CubeBackend::float_from_data(data, cube)
        };
        let candidates = [batch.texts.as_slice(), &batch.negatives].concat();
        let scale = CubeBackend::float_from_data(TensorData::from([batch.logit_scale]), cube);
        let nothing = CubeBackend::int_from_data(TensorData::from([0_i32]), cube);
        let direct = CubeBackend::clove_contrastive(
            tensor(&batch.images, 37),
            tensor(&candidates, 58),
            scale,
            nothing,
        );
        let direct = read_cube(direct)[0];
        // Fused operations may add up in another order.
        assert!((direct - plain[0]).abs() <= 1e-6 * plain[0].abs(), "{name}");
    }
}
