//! How fast a model loads, patches and embeds on this machine, as ratios and as times.
//!
//! `cargo xtask bench model --pretrained DIR [--finetuned DIR] [--device DEVICE]`
//!
//! Each ratio is the quotient of medians from one run: loading to reading the file, patching to copying it.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark talks to its terminal")]

use std::fs;

use clove::device::{self, DeviceChoice};
use clove::patch::patch_to;
use clove::score::Scorer;
use clove::weights::OutputDir;
use clove_tests::timing::{alternate, from_root, median, options, ratio, time};
use clove_tests::{model, wait, weights_file};

const RUNS: usize = 5;

fn main() {
    let usage = "cargo xtask bench model --pretrained DIR [--finetuned DIR] [--device DEVICE]";
    let [pretrained, finetuned, device] =
        options(usage, ["--pretrained", "--finetuned", "--device"]);
    let Some(pretrained) = pretrained.map(|path| from_root(&path)) else {
        println!("usage: {usage}");
        return;
    };
    let choice = device.map_or(DeviceChoice::Cpu, |device| device.parse().unwrap());
    let device = device::open(choice).unwrap();
    println!("{} on {}", pretrained.display(), device.description);
    let source = model(&pretrained);
    let file = weights_file(&pretrained);
    let megabytes = fs::metadata(&file).unwrap().len() as f64 / 1e6;

    let (read, load) = alternate(
        RUNS,
        || drop(fs::read(&file).unwrap()),
        || {
            drop(source.load(&device.device).unwrap());
            device.device.sync().unwrap();
        },
    );
    println!("{megabytes:.0} MB: read {read:.2?}, load {load:.2?}, {:.2} times", ratio(load, read));

    if let Some(finetuned) = finetuned {
        let tuned = model(&from_root(&finetuned));
        let scratch = tempfile::tempdir_in(".").unwrap();
        let (copied, patched) = (scratch.path().join("copy"), scratch.path().join("patched"));
        let (copy, patch) = alternate(
            RUNS,
            || {
                let _ = fs::remove_file(&copied);
                fs::copy(&file, &copied).unwrap();
            },
            || {
                let _ = fs::remove_dir_all(&patched);
                let out = OutputDir::claim(&patched, false, &[]).unwrap();
                patch_to(&source, &tuned, 0.6, &out, &mut |_, _| ()).unwrap();
                out.commit().unwrap();
            },
        );
        println!("copy {copy:.2?}, patch {patch:.2?}, {:.2} times", ratio(patch, copy));
    }

    let scorer = wait(Scorer::load(&source, &device.device));
    let size = scorer.config().image.image_size;
    let caption = "a man riding a brown horse next to two dogs on a beach";
    for batch in [1, 16] {
        let pixels = vec![0.5; batch * 3 * size * size];
        report(batch, "images", || drop(wait(scorer.embed_pixels(pixels.clone()))));
    }
    for batch in [1, 64] {
        let captions = vec![caption; batch];
        report(batch, "captions", || drop(wait(scorer.embed_texts(&captions, &mut |_| ()))));
    }
}

/// Prints the median time after one run to warm up.
fn report(batch: usize, what: &str, mut run: impl FnMut()) {
    run();
    let time = median((0..RUNS).map(|_| time(&mut run)).collect());
    println!("{batch} {what}: {time:.2?}, {:.1} a second", batch as f64 / time.as_secs_f64());
}
