//! Trains on a folder of images with captions until the loss is below LOSS, and patches: `folder FOLDER MODEL OUT LOSS`.
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;

use clove::device::DeviceChoice;
use clove_run::{Begin, Config, Control, Event, Run};

fn main() -> Result<(), Box<dyn Error>> {
    run(&std::env::args().skip(1).collect::<Vec<_>>())
}

/// Trains and patches.
///
/// # Errors
/// If arguments are missing or the run fails.
pub fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [folder, model, out, enough] = arguments else {
        return Err("usage: folder FOLDER MODEL OUT LOSS".into());
    };
    let enough: f32 = enough.parse()?;
    let config = format!(
        "out = {out:?}\nmodel.init = {model:?}\ndata = {{ kind = \"folder\", path = {folder:?} }}\n\
         negatives.style = \"mixed\"\ntrain = {{ steps = 100, batch = 4 }}\n"
    );
    let mut listener = |event: &Event<'_>| {
        match event {
            Event::Step(step) if step.report.loss < enough => return Control::Finish,
            Event::Patched { alpha, dir, .. } => println!("{}: alpha {alpha}", dir.display()),
            _ => {}
        }
        Control::Continue
    };
    let mut run = Run::open(Config::from_toml("folder", &config)?, &mut listener)?;
    let device = clove::device::open(DeviceChoice::Cpu)?;
    let finished = run.train(&device, Begin::New, None, &mut listener)?;
    println!("{}: {} steps", finished.dir.display(), finished.step);
    Ok(())
}
