//! How fast a model loads, patches and embeds, as ratios and as times on the machine at hand.
//!
//! `cargo bench --workspace --bench model -- --pretrained DIR --finetuned DIR [--device cpu]`
//!
//! Ratios stand side by side in one run, each the median of several: loading against reading the file, patching against
//! copying it.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark talks to its terminal")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clove::device::{self, DeviceChoice};
use clove::patch::patch_to;
use clove::score::Scorer;
use clove_tests::model;

const RUNS: usize = 5;

fn main() {
    let mut args = std::env::args().skip(1);
    let (mut pretrained, mut finetuned, mut choice) = (None, None, DeviceChoice::Cpu);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--pretrained" => pretrained = args.next().map(PathBuf::from),
            "--finetuned" => finetuned = args.next().map(PathBuf::from),
            "--device" => choice = args.next().unwrap_or_default().parse().unwrap(),
            // cargo adds `--bench`.
            _ => {}
        }
    }
    let Some(pretrained) = pretrained else {
        println!("give --pretrained DIR, and --finetuned DIR to patch");
        return;
    };
    let device = device::open(choice).unwrap();
    println!("{} on {}", pretrained.display(), device.description);
    let source = model(&pretrained);
    let file = weights_file(&pretrained);
    let megabytes = fs::metadata(&file).unwrap().len() as f64 / 1e6;

    let (read, load) = alternate(
        || drop(fs::read(&file).unwrap()),
        || {
            drop(source.load(&device.device).unwrap());
            device.device.sync().unwrap();
        },
    );
    println!("{megabytes:.0} MB: read {read:.2?}, load {load:.2?}, {:.2} times", ratio(load, read));

    if let Some(finetuned) = finetuned {
        let tuned = model(&finetuned);
        let scratch = tempfile::tempdir_in(".").unwrap();
        let (copied, patched) = (scratch.path().join("copy"), scratch.path().join("patched"));
        let (copy, patch) = alternate(
            || {
                let _ = fs::remove_file(&copied);
                fs::copy(&file, &copied).unwrap();
            },
            || {
                let _ = fs::remove_dir_all(&patched);
                patch_to(&source, &tuned, 0.6, &patched, &mut |_, _| ()).unwrap();
            },
        );
        println!("copy {copy:.2?}, patch {patch:.2?}, {:.2} times", ratio(patch, copy));
    }

    let scorer = pollster::block_on(Scorer::load(&source, &device.device)).unwrap();
    let size = scorer.config().image.image_size;
    let caption = "a man riding a brown horse next to two dogs on a beach";
    for batch in [1, 16] {
        let pixels = vec![0.5; batch * 3 * size * size];
        let time =
            median(|| drop(pollster::block_on(scorer.embed_pixels(pixels.clone())).unwrap()));
        println!("{batch} images: {time:.2?}, {:.1} a second", batch as f64 / time.as_secs_f64());
    }
    for batch in [1, 64] {
        let captions = vec![caption; batch];
        let time = median(|| {
            drop(pollster::block_on(scorer.embed_texts(&captions, &mut |_| ())).unwrap());
        });
        println!("{batch} captions: {time:.2?}, {:.1} a second", batch as f64 / time.as_secs_f64());
    }
}

fn weights_file(dir: &Path) -> PathBuf {
    let single = dir.join("model.safetensors");
    if single.exists() { single } else { dir.join("open_clip_model.safetensors") }
}

fn time(run: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// The median after one run to warm up.
fn median(mut run: impl FnMut()) -> Duration {
    run();
    let mut times: Vec<Duration> = (0..RUNS).map(|_| time(&mut run)).collect();
    times.sort();
    times[RUNS / 2]
}

/// The medians of two things that take turns, so that the machine's drift falls on both.
fn alternate(mut first: impl FnMut(), mut second: impl FnMut()) -> (Duration, Duration) {
    first();
    second();
    let (mut left, mut right): (Vec<Duration>, Vec<Duration>) =
        (0..RUNS).map(|_| (time(&mut first), time(&mut second))).unzip();
    left.sort();
    right.sort();
    (left[RUNS / 2], right[RUNS / 2])
}

fn ratio(left: Duration, right: Duration) -> f64 {
    left.as_secs_f64() / right.as_secs_f64()
}
