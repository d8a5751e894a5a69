//! How much faster the project's kernels are than burn's operations on the same device, as ratios from one run.
//!
//! `cargo xtask bench kernels [--device gpu:N]`
//!
//! Each time is the median of several alternating runs, each until the device is done; a ratio below 1 means that the kernel is
//! faster. Memory is the size of the device's pools after one run, with inputs and results.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark talks to its terminal")]

use std::cell::LazyCell;
use std::process::Command;

use burn::tensor::{Device, Int, Tensor, TensorData};
use clove::device::{self, DeviceChoice};
use clove::loss::{Embedded, Loss, Mask, OwnNegatives};
use clove::model::normalise_rows;
use clove::patch::Difference;
use clove::preprocess::{Preprocess, RgbImage};
use clove_random::Random;
use clove_tests::timing::{alternate, options, ratio};

const RUNS: usize = 7;
const MEBI: f64 = (1 << 20) as f64;
const COMPOSED: &str = "composed";
const KERNEL: &str = "kernel";

fn main() {
    let usage = "cargo xtask bench kernels [--device gpu:N]";
    let [device, only] = options(usage, ["--device", "--memory"]);
    let choice = device.map_or(DeviceChoice::Gpu(None), |device| device.parse().unwrap());
    let only = only.and_then(|only| {
        let (side, what) = only.split_once(' ')?;
        Some((what.to_owned(), side.to_owned()))
    });
    let open = device::open(choice).unwrap();
    if only.is_none() {
        println!("{}\n", open.description);
    }
    if !clove_kernels::run_on(&open.device) {
        println!("the kernels don't run here");
        return;
    }
    if only.is_none() {
        println!(
            "| operation | burn's operations | the kernel | ratio | their memory | its memory |"
        );
        println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    }
    let bench = Bench { device: open.device, only };
    bench.patch();
    for (pairs, negatives) in [(64, 64), (256, 256), (1024, 1024)] {
        bench.loss(Loss::Clove, pairs, negatives);
    }
    for (pairs, negatives) in [(256, 256), (1024, 3072)] {
        bench.loss(Loss::Fsc(OwnNegatives::default()), pairs, negatives);
    }
    bench.preprocess("16 photos of 640 x 480", 16, 640, 480);
    bench.preprocess("a photo of 4000 x 3000", 1, 4000, 3000);
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    tensor.reshape([count])
}

struct Bench {
    device: Device,
    /// The operation and the side whose memory is measured; without them, everything is timed.
    only: Option<(String, String)>,
}

impl Bench {
    /// Weights between two models: from two in f32, or from one and a packed difference.
    fn patch(&self) {
        const WEIGHTS: usize = 20 << 20;
        let device = &self.device;
        let mut random = Random::new(&[1]);
        let values: Vec<f32> = (0..WEIGHTS).map(|_| random.between(-0.1, 0.1)).collect();
        let vector = |values: &[f32]| {
            Tensor::<1>::from_data(TensorData::new(values.to_vec(), [WEIGHTS]), device)
        };
        let base = LazyCell::new(|| vector(&values));
        let tuned = LazyCell::new(|| vector(&values));
        let bytes: Vec<i8> = (0..WEIGHTS).map(|at| at as i8).collect();
        let packed =
            [("f16", Difference::f16(&values).unwrap()), ("8 bits", Difference::i8(&bytes, 0.001))];
        for (name, difference) in packed {
            let words = LazyCell::new(|| {
                let words: Vec<i32> = difference.words.iter().map(|w| w.cast_signed()).collect();
                let count = words.len();
                Tensor::<1, Int>::from_data(TensorData::new(words, [count]), device)
            });
            self.row(
                &format!("patch, 20 M weights, {name}"),
                || {
                    vec![
                        Tensor::clone(&base).mul_scalar(0.4)
                            + Tensor::clone(&tuned).mul_scalar(0.6),
                    ]
                },
                || {
                    let words = Tensor::clone(&words);
                    let patched =
                        clove_kernels::patch(Tensor::clone(&base), words, difference.packing, 0.6);
                    vec![patched.unwrap()]
                },
            );
        }
    }

    /// A loss of embeddings of 512 numbers, with its gradients.
    fn loss(&self, loss: Loss, pairs: usize, negatives: usize) {
        let name = if loss == Loss::Clove { "CLoVe" } else { "FSC" };
        let what = format!("{name}'s loss and gradients, {pairs} pairs, {negatives} negatives");
        if self.skips(&what) {
            return;
        }
        let device = self.device.clone().autodiff();
        let mut random = Random::new(&[2]);
        let mut rows = |count: usize| {
            let values: Vec<f32> = (0..count * 512).map(|_| random.between(-1.0, 1.0)).collect();
            let rows = Tensor::<2>::from_data(TensorData::new(values, [count, 512]), &device);
            normalise_rows(rows).detach().require_grad()
        };
        let (images, texts, wrong) = (rows(pairs), rows(pairs), rows(negatives));
        let owners: Vec<usize> = (0..negatives).map(|negative| negative % pairs).collect();
        let scale = Tensor::<1>::from_data([3.0_f32], &device).require_grad();
        let step = |fused: bool| {
            let embedded = Embedded {
                images: images.clone(),
                texts: texts.clone(),
                negatives: Some(wrong.clone()),
                owners: &owners,
                mask: &Mask::default(),
            };
            let value = loss.of(embedded, scale.clone(), fused);
            let gradients = value.backward();
            let all = [&images, &texts, &wrong];
            let mut all: Vec<Tensor<1>> =
                all.iter().filter_map(|tensor| Some(flat(tensor.grad(&gradients)?))).collect();
            all.extend(scale.grad(&gradients));
            all
        };
        self.row(&what, || step(false), || step(true));
    }

    /// Photos from their bytes to the device, resized by one thread of the host or by the device.
    fn preprocess(&self, what: &str, photos: usize, width: u32, height: u32) {
        let mut random = Random::new(&[3]);
        let photo =
            RgbImage::from_fn(width, height, |_, _| image::Rgb([random.below(256) as u8; 3]));
        let photos: Vec<&RgbImage> = (0..photos).map(|_| &photo).collect();
        let preprocess = Preprocess::clip(224).unwrap();
        self.row(
            &format!("preprocess to 224, {what}"),
            || vec![flat(preprocess.on_host(&photos, &self.device).unwrap())],
            || vec![flat(preprocess.on_device(&photos, &self.device).unwrap())],
        );
    }

    /// Prints the medians of two things that take turns. They return their results: unused results wouldn't be computed.
    fn row(
        &self,
        what: &str,
        mut composed: impl FnMut() -> Vec<Tensor<1>>,
        mut kernel: impl FnMut() -> Vec<Tensor<1>>,
    ) {
        if self.skips(what) {
            return;
        }
        if let Some((_, side)) = &self.only {
            self.hold(if side == KERNEL { &mut kernel } else { &mut composed });
            return;
        }
        let wait = |run: &mut dyn FnMut() -> Vec<Tensor<1>>| {
            let results = run();
            self.device.sync().unwrap();
            drop(results);
        };
        let [theirs, its] = [COMPOSED, KERNEL].map(|side| Self::memory(what, side));
        // Burn tries its kernels in the first run.
        let (left, right) = alternate(RUNS, || wait(&mut composed), || wait(&mut kernel));
        let ratio = ratio(right, left);
        println!("| {what} | {left:.2?} | {right:.2?} | {ratio:.2} | {theirs} | {its} |");
    }

    /// The size of the device's pools after one run, with inputs and results. It is measured in another process, because pools
    /// never shrink.
    fn memory(what: &str, side: &str) -> String {
        let program = std::env::current_exe().unwrap();
        let child =
            Command::new(program).args(["--memory", &format!("{side} {what}")]).output().unwrap();
        String::from_utf8(child.stdout).unwrap().trim().to_owned()
    }

    /// Whether the memory of another operation is measured.
    fn skips(&self, what: &str) -> bool {
        matches!(&self.only, Some((wanted, _)) if wanted != what)
    }

    /// Measures the memory in the other process.
    fn hold(&self, run: &mut dyn FnMut() -> Vec<Tensor<1>>) {
        let results = run();
        self.device.sync().unwrap();
        match self.device.memory_pool_usage() {
            Some(usage) => println!("{:.0} MiB", usage.bytes_reserved as f64 / MEBI),
            None => println!("unknown"),
        }
        drop(results);
    }
}
