//! `clove train`: drives a run of `clove_run`. Prints its events, and restarts after a lost device.

mod restart;

use std::path::Path;

use anyhow::{Result, bail};
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use clove::device::DeviceChoice;
use clove::weights::Layout;
use clove_run::config::{Start, example, explain};
use clove_run::{Begin, Config, Error, Run};

use crate::args::{Args, Train};
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
    let mut listener = Listener::stopped_by(&Interrupt::listen()?).plain(args.plain);
    let begin = if args.resume.is_some() { Begin::Resume } else { Begin::New };
    let config = configuration(args)?;
    let mut run = Run::open(config, &mut |event| listener.hear(event))?;
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
            let out = output::word(&run.config().out);
            bail!("{stopped}; to resume it: clove train --resume {out}")
        }
        Err(lost @ Error::DeviceLost { .. }) => {
            restart::restart(&lost, run.config().train.recoveries)
        }
        Err(error) => Err(error.into()),
    }
}

/// The configuration of a file, or of the run that is resumed.
fn configuration(args: &Train) -> Result<Config> {
    let settings = &args.settings;
    let config = match (args.config.as_deref(), &args.resume) {
        (Some(file), None) => Config::read(file, settings),
        (Some(file), Some(None)) => Config::read_to_resume(file, settings),
        (Some(file), Some(Some(run))) => {
            let problem =
                format!("give {} or --resume {}, not both", file.display(), run.display());
            refuse(ErrorKind::ArgumentConflict, &problem)
        }
        // `clove train --resume CONFIG.toml`
        (None, Some(Some(file))) if file.is_file() => Config::read_to_resume(file, settings),
        (None, Some(Some(run))) => Config::of_run(run, settings),
        (None, _) => {
            let problem = "--resume needs the folder of a run, or CONFIG.toml";
            refuse(ErrorKind::MissingRequiredArgument, problem)
        }
    };
    Ok(config?)
}

/// Ends the program as arguments do that don't parse.
fn refuse(kind: ErrorKind, problem: &str) -> ! {
    Args::command().error(kind, problem).exit()
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
    let mut lines = vec![
        config.to_toml()?,
        format!("out: {}", config.out.display()),
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
        let words = run.words_at(position)?;
        lines.push(format!("  {}: {:?}", words.place, words.caption));
        let negatives = words.negatives.iter();
        lines.extend(negatives.map(|negative| format!("    not {negative:?}")));
    }
    output::print(&lines.join("\n"))
}

/// What to do with the model.
fn next(config: &Config) -> String {
    let dir = config.out.join("model");
    let pretrained = match config.model.start() {
        Start::Blank => {
            return format!("next: clove eval --model {} --suite scenes", output::word(&dir));
        }
        Start::Described(_) => None,
        Start::Directory(init) => Some(init),
        // Written by `clove lab`, if it was run here.
        Start::Pretrained => Some(Path::new("clove-lab/models/pretrained")),
    };
    let patched = config.out.join("patched");
    let scored = if patched.exists() { &patched } else { &dir };
    let again = pretrained.filter(|pretrained| pretrained.exists());
    let again = again.map(|pretrained| again_with(pretrained, &dir, &config.out));
    format!(
        "next: clove score --model {} --image photo.jpg --caption \"a dog\" --caption \"a cat\"{}",
        output::word(scored),
        again.unwrap_or_default()
    )
}

/// The command that patches with another alpha. Both models must be in one layout, and a run's is Hugging Face's.
fn again_with(pretrained: &Path, finetuned: &Path, out: &Path) -> String {
    let converted = out.join("pretrained");
    let is_open_clip =
        clove_run::open_model(pretrained).is_ok_and(|source| source.layout() == Layout::OpenClip);
    let (convert, pretrained) = if is_open_clip {
        let (from, to) = (output::word(pretrained), output::word(&converted));
        let convert = format!("clove convert --model {from} --to hugging-face --out {to} && ");
        (convert, converted.as_path())
    } else {
        (String::new(), pretrained)
    };
    format!(
        "; to try another alpha: {convert}clove patch --pretrained {} --finetuned {} --alpha 0.8 --out {}",
        output::word(pretrained),
        output::word(finetuned),
        output::word(&out.join("patched-0.8"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_clip_model_is_converted_before_a_run_of_it_is_patched_again() {
        let again = |model: &str| {
            let model = clove_tests::golden("tiny-clip").join(model);
            let again = again_with(&model, Path::new("my run/model"), Path::new("my run"));
            again.replace(&output::word(&model), "MODEL")
        };
        let patch = |pretrained: &str| {
            format!(
                "clove patch --pretrained {pretrained} --finetuned {} --alpha 0.8 --out {}",
                output::word(Path::new("my run/model")),
                output::word(Path::new("my run/patched-0.8"))
            )
        };
        assert_eq!(again("hf"), format!("; to try another alpha: {}", patch("MODEL")));
        let converted = output::word(Path::new("my run/pretrained"));
        assert_eq!(
            again("open_clip"),
            format!(
                "; to try another alpha: clove convert --model MODEL --to hugging-face --out {converted} && {}",
                patch(&converted)
            )
        );
    }
}
