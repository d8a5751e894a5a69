//! `clove train`: drives a run of `clove_run`. Prints its events, and restarts after a lost device.

mod restart;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clove::device::DeviceChoice;
use clove_run::config::{Start, example, explain};
use clove_run::{Begin, Config, Error, Run};

use crate::args::Train;
use crate::interrupt::Interrupt;
use crate::listener::Listener;
use crate::{model, output};

const SHOWN: u64 = 5;

pub fn run(args: &Train, device: DeviceChoice) -> Result<()> {
    if let Some(kind) = &args.example {
        return output::print(&example(kind)?);
    }
    if let Some(key) = &args.explain {
        return output::print(&explain(Some(key.as_str()).filter(|key| !key.is_empty()))?);
    }
    // clap requires it without the others.
    let file = args.config.as_deref().context("CONFIG.toml is missing")?;
    let mut listener = Listener::stopped_by(&Interrupt::listen()?).plain(args.plain);
    let config = Config::read(file, &args.settings)?;
    let mut run = Run::open(config, &mut |event| listener.hear(event))?;
    let begin = if args.resume { Begin::Resume } else { Begin::New };
    if args.dry_run {
        return dry_run(&mut run, device, begin, &mut listener);
    }
    // Open the device first, so that an error leaves no folder.
    let device = model::open_device(device)?;
    let fault = args.inject_fault;
    let fault = fault.map(|fault| fault.of_life(restart::restarts()));
    let result = run.train(&device, begin, fault, &mut |event| listener.hear(event));
    listener.close();
    match result {
        Ok(_) => {
            output::note(&next(run.config()));
            Ok(())
        }
        Err(stopped @ Error::Stopped { .. }) => {
            bail!("{stopped}; add --resume to resume it")
        }
        Err(lost @ Error::DeviceLost { .. }) => {
            restart::restart(&lost, run.config().train.recoveries)
        }
        Err(error) => Err(error.into()),
    }
}

fn dry_run(
    run: &mut Run,
    device: DeviceChoice,
    begin: Begin,
    listener: &mut Listener,
) -> Result<()> {
    let device = clove::device::open(device)?;
    let plan = run.prepare(&device, begin, false, &mut |event| listener.hear(event))?;
    let config = run.config();
    let remark = if config.out.join("run.toml").exists() {
        ", holds a run, which only --resume continues"
    } else {
        ""
    };
    let mut lines = vec![
        config.to_toml()?,
        format!("out: {}{remark}", config.out.display()),
        format!("device: {}", device.description),
    ];
    lines.extend(plan);
    if let Some(estimate) = run.estimate() {
        lines.push(format!("negatives of the first captions: {}", estimate.summary()));
        lines.push(output::table(&estimate.kinds()).trim_end().to_owned());
        lines.extend(estimate.why_none().map(|why| format!("  {why}")));
    }
    lines.push("first captions and negatives:".to_owned());
    for position in 0..SHOWN.min(config.train.batch as u64) {
        let words = run.words_at(position);
        lines.push(format!("  {}: {:?}", words.place, words.caption));
        let negatives = words.negatives.iter();
        lines.extend(negatives.map(|negative| format!("    not {negative:?}")));
    }
    output::print(&lines.join("\n"))
}

fn next(config: &Config) -> String {
    let dir = config.out.join("model");
    let pretrained = match config.model.start() {
        Start::Blank => {
            return format!("next: clove eval --model {} --suite scenes", dir.display());
        }
        Start::Described(_) => None,
        Start::Directory(init) => Some(init),
        // Written by `clove lab`.
        Start::Pretrained => Some(Path::new("clove-lab/models/pretrained")),
    };
    let scored = if pretrained.is_some() { config.out.join("patched") } else { dir.clone() };
    let again = pretrained.map(|pretrained| {
        format!(
            "; to try another alpha: clove patch --pretrained {} --finetuned {} --alpha 0.8 --out patched",
            pretrained.display(),
            dir.display()
        )
    });
    format!(
        "next: clove score --model {} --image photo.jpg --caption \"a dog\" --caption \"a cat\"{}",
        scored.display(),
        again.unwrap_or_default()
    )
}
