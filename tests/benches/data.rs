//! How fast photos become a training run's pixels, beside Pillow in one run, and whether memory stays flat.
//!
//! `cargo xtask bench data [--photos DIR] [--python PROGRAM] [--samples N]`
//!
//! Reads each photo of DIR (JPEG, such as COCO's), decodes it, crops it at random, resizes to 224 pixels and normalises, on all cores:
//! what `clove train` does to a photo. Beside it PROGRAM, a Python with Pillow, does the same crops with as many processes, but for
//! normalising. `--samples` goes on through so many samples and says what the process holds on the way.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark talks to its terminal"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use clove::preprocess::{
    CropBox, DecodeLimits, Preprocess, RandomResizedCrop, crop_resize, decode,
};
use clove_random::Random;
use clove_tests::package;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::json;

/// Passes over the photos, of each in turn; the median counts.
const RUNS: usize = 7;

const SIZE: u32 = 224;

fn main() {
    let mut args = std::env::args().skip(1);
    let mut photos = package().join("../../shared/data/photos/coco-val2017/images");
    let (mut python, mut samples) = (None, 0);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // cargo runs a benchmark in its package's folder; paths are meant from the root.
            "--photos" => photos = package().join("..").join(args.next().unwrap()),
            "--python" => python = args.next(),
            "--samples" => samples = args.next().unwrap().parse().unwrap(),
            // cargo adds `--bench`.
            "--bench" => {}
            _ => panic!(
                "usage: cargo xtask bench data [--photos DIR] [--python PROGRAM] [--samples N]"
            ),
        }
    }
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
        ours.push(began.elapsed().as_secs_f64());
        theirs.extend(pillow.as_mut().map(Pillow::pass));
    }
    let rate = |seconds: f64| crops.len() as f64 / seconds;
    let ours = median(ours);
    println!("clove: {:.1} photos/s", rate(ours));
    if !theirs.is_empty() {
        let theirs = median(theirs);
        println!(
            "Pillow: {:.1} photos/s; clove is {:.2} times as fast",
            rate(theirs),
            theirs / ours
        );
    }
    if samples > 0 {
        let tenth = (samples / 10).max(1);
        load(&crops, samples, &pool, &preprocess, &|done| {
            if done % tenth == 0 {
                println!("after {done} samples: {} MiB", resident() / 1_048_576);
            }
        });
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
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

/// Says what each part of the work takes, on one core.
fn parts(crops: &[(PathBuf, CropBox)], preprocess: &Preprocess) {
    let mut seconds = [0.0; 4];
    let timed = |seconds: &mut f64, began: Instant| *seconds += began.elapsed().as_secs_f64();
    for (file, crop) in crops {
        let began = Instant::now();
        let bytes = fs::read(file).unwrap();
        timed(&mut seconds[0], began);
        let began = Instant::now();
        let image = decode(&bytes, &DecodeLimits::default()).unwrap();
        timed(&mut seconds[1], began);
        let began = Instant::now();
        let cropped = crop_resize(&image, *crop, SIZE).unwrap();
        timed(&mut seconds[2], began);
        let began = Instant::now();
        std::hint::black_box(preprocess.normalise(&cropped));
        timed(&mut seconds[3], began);
    }
    let [read, decode, crop, normalise] = seconds.map(|seconds| 1e3 * seconds / crops.len() as f64);
    println!(
        "a photo on one core: read {read:.2} ms, decode {decode:.2}, crop {crop:.2}, normalise {normalise:.2}"
    );
}

/// Takes `count` samples, over and over, to pixels.
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
            let (file, crop) = &crops[sample % crops.len()];
            let bytes = fs::read(file).unwrap();
            let image = decode(&bytes, &DecodeLimits::default()).unwrap();
            let cropped = crop_resize(&image, *crop, SIZE).unwrap();
            std::hint::black_box(preprocess.normalise(&cropped));
            done(finished.fetch_add(1, Ordering::Relaxed) + 1);
        });
    });
}

/// Bytes that this process holds; Linux tells them.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    kib * 1_024
}

/// Pillow's processes, which wait for a line.
struct Pillow {
    // Held, so that it ends with this.
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

    fn pass(&mut self) -> f64 {
        writeln!(self.go).unwrap();
        let mut line = String::new();
        self.seconds.read_line(&mut line).unwrap();
        line.trim().parse().expect("Pillow's seconds; does the Python have Pillow?")
    }
}
