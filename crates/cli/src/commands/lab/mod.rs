//! `clove lab`: the full pipeline on synthetic scenes. Defines folders, threads, progress and interruption; `clove_lab` does the
//! work.

mod tune;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use clove::device::{Device, DeviceChoice};
use clove::evaluate::Report as Scores;
use clove::weights::{Precision, Snapshot};
use clove_data::run::{Companions, write_model_dir};
use clove_lab::{
    self as lab, Curve, RULE, Recipe, Report, SceneSuite, Settings, Sizes, Sweep, SweepPoint,
    Variant,
};
use clove_run::session;
use clove_scenes::{Kind, Shape, Split};
use serde::Serialize;
use serde_json::{Value, json};

use self::tune::{Job, Tuned};
use crate::args::Lab;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::{model, output, parallel, tensors};

/// Seed of the built-in pretrained model and of `--from-scratch`.
const PRETRAINING_SEED: u64 = 0;

/// First seed of `--seeds`. Recipes were tuned on seeds below 100, so reported seeds are fresh.
const FIRST_SEED: u64 = 101;

/// The run.toml of the lab. A folder can only be resumed with equal settings.
#[derive(Serialize)]
struct Plan {
    version: &'static str,
    from_scratch: bool,
    seeds: Vec<u64>,
}

struct Context<'a> {
    out: &'a Path,
    device: Device,
    workers: usize,
    interrupt: Interrupt,
    progress: Progress,
    companions: Companions,
}

pub fn run(args: &Lab, device: DeviceChoice) -> Result<()> {
    let started = Instant::now();
    let interrupt = Interrupt::listen()?;
    let seeds: Vec<u64> = (FIRST_SEED..).take(args.seeds).collect();
    let plan = toml::to_string(&Plan {
        version: env!("CARGO_PKG_VERSION"),
        from_scratch: args.from_scratch,
        seeds: seeds.clone(),
    })?;
    let out = args.out.as_path();
    if out.join("run.toml").exists() {
        output::note(&format!("resuming {}", out.display()));
    }
    // Locked until the end.
    let _folder = session::open_or_make(out, &plan)?;
    let open = model::open_device(device)?;
    let context = Context {
        out,
        device: open.device,
        workers: parallel::workers(open.is_gpu),
        interrupt,
        progress: Progress::new(),
        companions: Companions {
            preprocess: lab::preprocess()?,
            tokenizer: Some(lab::tokenizer_json()),
        },
    };
    let earlier = read_elapsed(out).unwrap_or(0.0);
    let result = work(&context, &seeds, args.from_scratch);
    let seconds = earlier + started.elapsed().as_secs_f64();
    context.progress.finish();
    let mut report = match result {
        Ok(report) => report,
        Err(error) => {
            // For the total time in the report.
            let elapsed = json!({ "seconds": seconds }).to_string();
            tensors::write_file(&out.join("elapsed.json"), elapsed)?;
            return Err(error);
        }
    };
    report.settings.device = open.description;
    report.settings.seconds = seconds;
    write_report(out, &report)?;
    if args.json { output::print_json(&report) } else { output::print(&table(&report)) }
}

/// Time of earlier processes of an interrupted lab, in seconds.
fn read_elapsed(out: &Path) -> Option<f64> {
    let text = fs::read_to_string(out.join("elapsed.json")).ok()?;
    serde_json::from_str::<Value>(&text).ok()?.get("seconds")?.as_f64()
}

fn write_report(out: &Path, report: &Report) -> Result<()> {
    let json = serde_json::to_string_pretty(report)? + "\n";
    for (name, text) in [
        ("report.json", json),
        ("report.html", clove_report::lab::page(report)),
        ("alpha-curve.svg", clove_report::lab::alpha_curve_svg(report)),
    ] {
        tensors::write_file(&out.join(name), text)?;
    }
    output::note(&format!(
        "{}: report; report.json has all figures",
        out.join("report.html").display()
    ));
    Ok(())
}

/// Trains, measures and writes the models.
fn work(context: &Context<'_>, seeds: &[u64], from_scratch: bool) -> Result<Report> {
    let recipe = Recipe::FINE_TUNING;
    let jobs: Vec<Job> = seeds
        .iter()
        .flat_map(|seed| Variant::ALL.map(|variant| Job::tune(variant, *seed, recipe)))
        .collect();
    let pretraining = Job::pretrain(PRETRAINING_SEED);
    let steps = jobs.iter().map(Job::work).sum::<u64>();
    context.progress.plan(steps + if from_scratch { pretraining.work() } else { 0 });

    let pretrained = if from_scratch {
        let blank = tune::blank(PRETRAINING_SEED, &context.device)?;
        let model = tune::run(context, &pretraining, &blank, None)?.model;
        // Through f16, like the built-in model, so that both start from the same numbers.
        lab::read_model(&lab::write_model(&model)?)?
    } else {
        lab::pretrained()?
    };
    let validation = SceneSuite::new(Split::Validation, Sizes::VALIDATION);
    let test = SceneSuite::new(Split::Test, Sizes::TEST);
    let watched_suite = SceneSuite::new(Split::Validation, Sizes::WATCHED);
    let tuned = parallel::map(&jobs, context.workers, |job| {
        // Learning curves cost evaluations, so only the first seed has them.
        let watched = (job.seed == seeds[0]).then_some(&watched_suite);
        tune::run(context, job, &pretrained, watched)
    })?;
    let measured = measure(context, seeds, &pretrained, &tuned, &validation, &test)?;
    let clove = clove_of(&tuned, 0);
    let patched = pretrained.patched(clove, measured.sweeps[0].chosen);
    save_models(context, &pretrained, clove, &patched)?;
    let examples = examples(context, &pretrained, clove, &patched, &test)?;

    let of = |variant: Variant| -> Vec<&Scores> {
        let of_seed = |seed: usize| &measured.tuned[seed * Variant::ALL.len() + variant as usize];
        (0..seeds.len()).map(of_seed).collect()
    };
    let mut models = vec![lab::model_row(
        "pretrained",
        "trained on noisy alt texts of all shapes",
        &[&measured.pretrained],
        Vec::new(),
    )];
    for variant in Variant::ALL {
        let row = lab::model_row(variant.name(), variant.about(), &of(variant), Vec::new());
        models.push(row);
    }
    models.push(lab::model_row(
        PATCHED,
        "between the pretrained and the fine-tuned model, at the alpha chosen on validation",
        &measured.patched.iter().collect::<Vec<_>>(),
        measured.sweeps.iter().map(|sweep| sweep.chosen).collect(),
    ));
    let curves: Vec<Curve> =
        tuned.into_iter().take(Variant::ALL.len()).map(|tuned| tuned.curve).collect();
    Ok(Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: Settings {
            seeds: seeds.to_vec(),
            device: String::new(),
            parameters: pretrained.elements(),
            steps: recipe.steps,
            batch: recipe.batch,
            learning_rate: recipe.learning_rate,
            image_rate: recipe.image_rate,
            negatives_per_caption: recipe.negatives,
            composition_rows: 2 * Sizes::TEST.twins_per_kind * Kind::ALL.len(),
            recognition_rows: Sizes::TEST.specimens,
            classes: Shape::rare().iter().map(|shape| shape.word().to_owned()).collect(),
            from_scratch,
            seconds: 0.0,
        },
        models,
        blind: lab::blind_rows(&measured.pretrained),
        sweeps: measured.sweeps,
        rule: RULE.to_owned(),
        curves,
        examples,
    })
}

const PATCHED: &str = "CLoVe, patched";

struct Measured {
    pretrained: Scores,
    /// By seed, then by variant.
    tuned: Vec<Scores>,
    patched: Vec<Scores>,
    sweeps: Vec<Sweep>,
}

fn clove_of(tuned: &[Tuned], seed: usize) -> &Snapshot {
    &tuned[seed * Variant::ALL.len() + Variant::Clove as usize].model
}

fn measure(
    context: &Context<'_>,
    seeds: &[u64],
    pretrained: &Snapshot,
    tuned: &[Tuned],
    validation: &SceneSuite,
    test: &SceneSuite,
) -> Result<Measured> {
    let alphas = clove::patch::tenths();
    context.progress.say("measuring");
    let pictures = (1 + tuned.len() + seeds.len()) * test.pictures()
        + seeds.len() * alphas.len() * validation.pictures();
    context.progress.plan_more(pictures as u64);
    let score = |suite: &SceneSuite, model: &Snapshot| -> Result<Scores> {
        if context.interrupt.asked() {
            bail!(tune::interrupted(context.out));
        }
        pollster::block_on(async {
            let scorer = lab::scorer(model, &context.device).await?;
            let scores = suite
                .evaluate(&scorer, &mut |pictures| {
                    context.progress.advance(pictures as u64);
                })
                .await?;
            Ok(scores)
        })
    };

    let models: Vec<&Snapshot> =
        std::iter::once(pretrained).chain(tuned.iter().map(|tuned| &tuned.model)).collect();
    let mut scores = parallel::map(&models, context.workers, |model| score(test, model))?;
    let tuned_scores = scores.split_off(1);
    let before = scores.swap_remove(0);

    let points: Vec<(usize, f64)> =
        (0..seeds.len()).flat_map(|seed| alphas.iter().map(move |alpha| (seed, *alpha))).collect();
    let points = parallel::map(&points, context.workers, |(seed, alpha)| {
        let model = pretrained.patched(clove_of(tuned, *seed), *alpha);
        Ok(point(*alpha, &score(validation, &model)?))
    })?;
    let mut sweeps: Vec<Sweep> = points
        .chunks(alphas.len())
        .zip(seeds)
        .map(|(validation, seed)| Sweep {
            seed: *seed,
            validation: validation.to_vec(),
            chosen: lab::choose_alpha(validation),
            test: Vec::new(),
        })
        .collect();
    let chosen: Vec<(usize, f64)> = sweeps.iter().map(|sweep| sweep.chosen).enumerate().collect();
    let patched = parallel::map(&chosen, context.workers, |(seed, alpha)| {
        score(test, &pretrained.patched(clove_of(tuned, *seed), *alpha))
    })?;
    for (seed, sweep) in sweeps.iter_mut().enumerate() {
        let unpatched = &tuned_scores[seed * Variant::ALL.len() + Variant::Clove as usize];
        sweep.test =
            vec![point(0.0, &before), point(sweep.chosen, &patched[seed]), point(1.0, unpatched)];
    }
    Ok(Measured { pretrained: before, tuned: tuned_scores, patched, sweeps })
}

fn point(alpha: f64, scores: &Scores) -> SweepPoint {
    let (composition, recognition) = lab::figures(scores);
    SweepPoint { alpha, composition, recognition }
}

fn save_models(
    context: &Context<'_>,
    pretrained: &Snapshot,
    clove: &Snapshot,
    patched: &Snapshot,
) -> Result<()> {
    for (name, model) in [("pretrained", pretrained), ("clove", clove), ("clove-patched", patched)]
    {
        let dir: PathBuf = context.out.join("models").join(name);
        write_model_dir(&dir, model, &context.companions, Precision::F32)?;
    }
    // The two built-in files.
    let shipped = context.out.join("models").join("shipped");
    let (weights, deltas) = (lab::write_model(pretrained)?, lab::write_deltas(pretrained, clove)?);
    for (name, bytes) in [("pretrained.safetensors", weights), ("clove.deltas", deltas)] {
        tensors::write_file(&shipped.join(name), bytes)?;
    }
    Ok(())
}

fn examples(
    context: &Context<'_>,
    pretrained: &Snapshot,
    clove: &Snapshot,
    patched: &Snapshot,
    test: &SceneSuite,
) -> Result<Vec<lab::Example>> {
    pollster::block_on(async {
        let scorers = [
            ("pretrained", lab::scorer(pretrained, &context.device).await?),
            (Variant::Clove.name(), lab::scorer(clove, &context.device).await?),
            (PATCHED, lab::scorer(patched, &context.device).await?),
        ];
        let named: Vec<_> = scorers.iter().map(|(name, scorer)| (*name, scorer)).collect();
        Ok(lab::examples(test, &named).await?)
    })
}

fn table(report: &Report) -> String {
    let percent = |value: f64| format!("{:.1}", 100.0 * value);
    let figure = |figure: &lab::Figure| match figure.spread {
        Some(spread) => format!("{}±{:.1}", percent(figure.mean), 100.0 * spread),
        None => percent(figure.mean),
    };
    let mut header = vec!["% on the test split".to_owned()];
    header.extend(["composition", "recognition"].map(str::to_owned));
    header.extend(Kind::ALL.map(|kind| kind.name().to_owned()));
    let mut rows = vec![header];
    for model in &report.models {
        let mut row =
            vec![model.name.clone(), figure(&model.composition), figure(&model.recognition)];
        row.extend(model.kinds.iter().map(|(_, kind)| figure(kind)));
        rows.push(row);
    }
    for blind in &report.blind {
        let mut row =
            vec![format!("blind: {}", blind.name), percent(blind.composition), "-".to_owned()];
        row.extend(blind.kinds.iter().map(|(_, kind)| percent(*kind)));
        rows.push(row);
    }
    let mut lines = vec![output::table(&rows)];
    for sweep in &report.sweeps {
        lines.push(format!("seed {}: alpha {}", sweep.seed, sweep.chosen));
    }
    lines.push(format!("alpha is {}", report.rule));
    lines.push(format!("{:.0} s in total, on {}", report.settings.seconds, report.settings.device));
    lines.join("\n")
}
