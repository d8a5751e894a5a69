//! How fast photos become the pixels of a training run, compared with Pillow, and whether memory stays flat.
//!
//! `cargo xtask bench data [--photos DIR] [--python PROGRAM] [--samples N]`
//!
//! Reads each photo of DIR (JPEG, such as COCO's), decodes it, crops it at random, resizes to 224 pixels and normalises, on all cores:
//! what `clove train` does to a photo. PROGRAM, a Python with Pillow, makes the same crops with as many processes, without
//! normalising. `--samples` continues through N samples and prints the process's memory on the way.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clove::preprocess::{
    CropBox, DecodeLimits, Preprocess, RandomResizedCrop, crop_resize, decode,
};
use clove_random::Random;
use clove_tests::package;
use clove_tests::timing::{from_root, median, memory, options, ratio};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::json;

/// Passes over the photos, taken in turns; the median counts.
const RUNS: usize = 7;

const SIZE: u32 = 224;

fn main() {
    let usage = "cargo xtask bench data [--photos DIR] [--python PROGRAM] [--samples N]";
    let [photos, python, samples] = options(usage, ["--photos", "--python", "--samples"]);
    let photos = photos.as_deref().unwrap_or("../shared/data/photos/coco-val2017/images");
    let photos = from_root(photos);
    let samples: usize = samples.map_or(0, |samples| samples.parse().unwrap());
    let crops = crops(&photos);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    println!("{} photos of {}, {threads} threads", crops.len(), photos.display());
    let preprocess = Preprocess::clip(SIZE).unwrap();

    let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let one = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    one.install(|| parts(&crops, &preprocess));
    let mut pillow = python.map(|python| Pillow::start(&python, threads, &crops));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let began = Instant::now();
        load(&crops, crops.len(), &pool, &preprocess, &|_| ());
        ours.push(began.elapsed());
        theirs.extend(pillow.as_mut().map(Pillow::pass));
    }
    let rate = |time: Duration| crops.len() as f64 / time.as_secs_f64();
    let ours = median(ours);
    println!("clove: {:.1} photos/s", rate(ours));
    if !theirs.is_empty() {
        let theirs = median(theirs);
        let ratio = ratio(theirs, ours);
        println!("Pillow: {:.1} photos/s; clove is {ratio:.2} times as fast", rate(theirs));
    }
    if samples > 0 {
        let tenth = (samples / 10).max(1);
        load(&crops, samples, &pool, &preprocess, &|done| {
            if done % tenth == 0 {
                println!("after {done} samples: {} MiB", memory("VmRSS:").unwrap() >> 20);
            }
        });
    }
}

/// The photos of a folder, each with its crop.
fn crops(dir: &Path) -> Vec<(PathBuf, CropBox)> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let crop = RandomResizedCrop::default();
    let photos = files.into_iter().zip(0..).map(|(file, number)| {
        let image = decode(&fs::read(&file).unwrap(), &DecodeLimits::default()).unwrap();
        let mut random = Random::new(&[7, number]);
        let (width, height) = image.dimensions();
        let crop = crop.sample(width, height, &mut || random.uniform().into());
        (file, crop)
    });
    photos.collect()
}

/// Prints the time of each part of the work on one core.
fn parts(crops: &[(PathBuf, CropBox)], preprocess: &Preprocess) {
    let mut seconds = [0.0; 4];
    for sample in crops {
        let mut began = Instant::now();
        work(sample, preprocess, |part| {
            seconds[part] += began.elapsed().as_secs_f64();
            began = Instant::now();
        });
    }
    let [read, decode, crop, normalise] = seconds.map(|seconds| 1e3 * seconds / crops.len() as f64);
    println!(
        "a photo on one core: read {read:.2} ms, decode {decode:.2}, crop {crop:.2}, normalise {normalise:.2}"
    );
}

/// Turns a photo into pixels, and calls `done` after each of four parts.
fn work((file, crop): &(PathBuf, CropBox), preprocess: &Preprocess, mut done: impl FnMut(usize)) {
    let bytes = fs::read(file).unwrap();
    done(0);
    let image = decode(&bytes, &DecodeLimits::default()).unwrap();
    done(1);
    let cropped = crop_resize(&image, *crop, SIZE).unwrap();
    done(2);
    std::hint::black_box(preprocess.normalise(&cropped));
    done(3);
}

/// Turns `count` samples, over and over, into pixels.
fn load(
    crops: &[(PathBuf, CropBox)],
    count: usize,
    pool: &ThreadPool,
    preprocess: &Preprocess,
    done: &(impl Fn(usize) + Sync),
) {
    let finished = AtomicUsize::new(0);
    pool.install(|| {
        (0..count).into_par_iter().for_each(|sample| {
            work(&crops[sample % crops.len()], preprocess, |_| ());
            done(finished.fetch_add(1, Ordering::Relaxed) + 1);
        });
    });
}

/// Pillow's processes, which start a pass for each line.
struct Pillow {
    // Kept so that the process ends with this value.
    _child: Child,
    go: ChildStdin,
    seconds: BufReader<ChildStdout>,
}

impl Pillow {
    fn start(python: &str, processes: usize, crops: &[(PathBuf, CropBox)]) -> Self {
        let mut child = Command::new(python)
            .arg(package().join("benches/data.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{python}: {error}"));
        let (mut go, seconds) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let photos: Vec<_> = crops
            .iter()
            .map(|(file, crop)| {
                let CropBox { x, y, width, height } = *crop;
                json!([file, [x, y, x + width, y + height]])
            })
            .collect();
        writeln!(go, "{}", json!({"processes": processes, "size": SIZE, "photos": photos}))
            .unwrap();
        Self { _child: child, go, seconds: BufReader::new(seconds) }
    }

    fn pass(&mut self) -> Duration {
        writeln!(self.go).unwrap();
        let mut line = String::new();
        self.seconds.read_line(&mut line).unwrap();
        let seconds = line.trim().parse().expect("Pillow's seconds; does the Python have Pillow?");
        Duration::from_secs_f64(seconds)
    }
}
