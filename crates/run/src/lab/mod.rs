//! The lab: the full method on synthetic scenes, as `clove lab` runs it. An interrupted lab resumes from its folder.

mod tune;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use clove::device::OpenDevice;
use clove::evaluate::Report as Scores;
use clove::weights::{Precision, Snapshot, write_file};
use clove_data::run::{Companions, RunFolder, write_model_dir};
use clove_lab::{
    self as lab, Curve, RULE, Recipe, Report, SceneSuite, Settings, Sizes, Sweep, SweepPoint,
    Variant,
};
use clove_scenes::{Kind, Shape, Split};
use serde::Serialize;
use serde_json::{Value, json};

use self::tune::{Job, Tuned};
use crate::error::{Context as _, Error, Result};
use crate::event::{Control, Event, Listener};
use crate::{parallel, places, session};

/// Seed of the built-in pretrained model and of a pretraining from scratch.
const PRETRAINING_SEED: u64 = 0;

/// The first seed. Recipes were tuned on seeds below 100, so reported seeds are fresh.
const FIRST_SEED: u64 = 101;

/// The run.toml of the lab. A folder can only be resumed with equal settings.
#[derive(Serialize)]
struct Plan {
    version: &'static str,
    from_scratch: bool,
    seeds: Vec<u64>,
}

/// A lab in its folder, which is locked while this lives.
#[derive(Debug)]
pub struct Lab {
    folder: RunFolder,
    seeds: Vec<u64>,
    from_scratch: bool,
    is_resumed: bool,
}

impl Lab {
    /// Opens the lab in the folder `out`, or creates it. Each of `seeds` seeds has one fine-tuning of each variant. With
    /// `from_scratch`, the lab trains the pretrained model too, instead of using the built-in one.
    ///
    /// # Errors
    /// If the folder holds something else, or a lab with other settings, or can't be written.
    pub fn open(out: &Path, seeds: usize, from_scratch: bool) -> Result<Self> {
        let seeds: Vec<u64> = (FIRST_SEED..).take(seeds).collect();
        let version = env!("CARGO_PKG_VERSION");
        let plan = toml::to_string(&Plan { version, from_scratch, seeds: seeds.clone() })?;
        let is_resumed = out.join("run.toml").exists();
        Ok(Self { folder: session::open_or_make(out, &plan)?, seeds, from_scratch, is_resumed })
    }

    /// Whether the folder existed.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Trains, measures, and writes the models and report.json.
    ///
    /// # Errors
    /// If the device fails, a file can't be read or written, or the listener asks to stop; the next run resumes.
    pub fn run(&self, device: &OpenDevice, listener: &mut Listener<'_>) -> Result<Report> {
        let started = Instant::now();
        let out = self.folder.path();
        let work = Work {
            out,
            device,
            workers: parallel::workers(device.is_gpu),
            companions: Companions {
                preprocess: lab::preprocess()?,
                tokenizer: Some(lab::tokenizer_json()),
            },
            watch: Mutex::new(Watch { listener, done: 0, of: 0, is_stopped: false }),
        };
        let earlier = read_elapsed(out).unwrap_or(0.0);
        let result = train_and_measure(&work, &self.seeds, self.from_scratch);
        let seconds = earlier + started.elapsed().as_secs_f64();
        let mut report = match result {
            Ok(report) => report,
            Err(error) => {
                // For the total time in the report.
                let elapsed = json!({ "seconds": seconds }).to_string();
                write_file(&out.join("elapsed.json"), elapsed)?;
                return Err(error);
            }
        };
        report.settings.seconds = seconds;
        let json = serde_json::to_string_pretty(&report).context("report.json")? + "\n";
        write_file(&out.join("report.json"), json)?;
        Ok(report)
    }
}

/// Time of earlier processes of an interrupted lab, in seconds.
fn read_elapsed(out: &Path) -> Option<f64> {
    let text = fs::read_to_string(out.join("elapsed.json")).ok()?;
    serde_json::from_str::<Value>(&text).ok()?.get("seconds")?.as_f64()
}

/// What the threads of a lab share.
struct Work<'a, 'l> {
    out: &'a Path,
    device: &'a OpenDevice,
    workers: usize,
    companions: Companions,
    watch: Mutex<Watch<'a, 'l>>,
}

struct Watch<'a, 'l> {
    listener: &'a mut Listener<'l>,
    done: u64,
    of: u64,
    is_stopped: bool,
}

impl Watch<'_, '_> {
    fn tell(&mut self, event: &Event<'_>) -> Control {
        let answer = (self.listener)(event);
        self.is_stopped |= answer != Control::Continue;
        answer
    }
}

impl Work<'_, '_> {
    /// Applies `change` to the watch. A thread that panicked while it held it stops the others.
    fn watch<T>(&self, change: impl FnOnce(&mut Watch<'_, '_>) -> T) -> T {
        match self.watch.lock() {
            Ok(mut watch) => change(&mut watch),
            Err(poisoned) => {
                let mut watch = poisoned.into_inner();
                watch.is_stopped = true;
                change(&mut watch)
            }
        }
    }

    fn tell(&self, event: &Event<'_>) -> Control {
        self.watch(|watch| watch.tell(event))
    }

    /// Adds work.
    fn plan(&self, units: u64) {
        self.watch(|watch| watch.of += units);
    }

    /// Drops work that an earlier process did.
    fn drop(&self, units: u64) {
        self.watch(|watch| watch.of = watch.of.saturating_sub(units));
    }

    fn advance(&self, what: &str, units: u64) {
        self.watch(|watch| {
            watch.done += units;
            let (done, of) = (watch.done, watch.of);
            watch.tell(&Event::Working { what, done, of });
        });
    }

    fn is_stopped(&self) -> bool {
        self.watch(|watch| watch.is_stopped)
    }

    fn stopped(&self) -> Error {
        let out = self.out.display();
        Error::Wrong(format!("stopped; the lab is saved in {out}; run the same command to resume"))
    }
}

/// Trains, measures and writes the models.
fn train_and_measure(work: &Work<'_, '_>, seeds: &[u64], from_scratch: bool) -> Result<Report> {
    let recipe = Recipe::FINE_TUNING;
    let jobs: Vec<Job> = seeds
        .iter()
        .flat_map(|seed| Variant::ALL.map(|variant| Job::tune(variant, *seed, recipe)))
        .collect();
    let pretraining = Job::pretrain(PRETRAINING_SEED);
    let validation = SceneSuite::new(Split::Validation, Sizes::VALIDATION);
    let test = SceneSuite::new(Split::Test, Sizes::TEST);
    let training = jobs.iter().map(Job::work).sum::<u64>();
    let pictures = (1 + jobs.len() + seeds.len()) * test.pictures()
        + seeds.len() * clove::patch::tenths().len() * validation.pictures();
    let pretraining_work = if from_scratch { pretraining.work() } else { 0 };
    work.plan(pretraining_work + training + pictures as u64);

    let pretrained = if from_scratch {
        let blank = tune::blank(PRETRAINING_SEED, &work.device.device)?;
        let model = tune::run(work, &pretraining, &blank, None)?.model;
        // Through f16, like the built-in model, so that both start from the same numbers.
        lab::read_model(&lab::write_model(&model).context("the pretrained model")?)?
    } else {
        lab::pretrained()?
    };
    let watched_suite = SceneSuite::new(Split::Validation, Sizes::WATCHED);
    let tuned = parallel::map(&jobs, work.workers, |job| {
        // Learning curves cost evaluations, so only the first seed has them.
        let watched = (job.seed == seeds[0]).then_some(&watched_suite);
        tune::run(work, job, &pretrained, watched)
    })?;
    let measured = measure(work, seeds, &pretrained, &tuned, &validation, &test)?;
    let clove = clove_of(&tuned, 0);
    let patched = pretrained.patched(clove, measured.sweeps[0].chosen);
    save_models(work, &pretrained, clove, &patched)?;
    let examples = examples(work, &pretrained, clove, &patched, &test)?;

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
            device: work.device.description.clone(),
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
    work: &Work<'_, '_>,
    seeds: &[u64],
    pretrained: &Snapshot,
    tuned: &[Tuned],
    validation: &SceneSuite,
    test: &SceneSuite,
) -> Result<Measured> {
    let alphas = clove::patch::tenths();
    let score = |suite: &SceneSuite, model: &Snapshot| -> Result<Scores> {
        if work.is_stopped() {
            return Err(work.stopped());
        }
        pollster::block_on(async {
            let scorer = lab::scorer(model, &work.device.device).await?;
            let scores = suite
                .evaluate(&scorer, &mut |pictures| {
                    work.advance("measuring", pictures as u64);
                })
                .await?;
            Ok(scores)
        })
    };

    let models: Vec<&Snapshot> =
        std::iter::once(pretrained).chain(tuned.iter().map(|tuned| &tuned.model)).collect();
    let mut scores = parallel::map(&models, work.workers, |model| score(test, model))?;
    let tuned_scores = scores.split_off(1);
    let before = scores.swap_remove(0);

    let points: Vec<(usize, f64)> =
        (0..seeds.len()).flat_map(|seed| alphas.iter().map(move |alpha| (seed, *alpha))).collect();
    let points = parallel::map(&points, work.workers, |(seed, alpha)| {
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
    let patched = parallel::map(&chosen, work.workers, |(seed, alpha)| {
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
    work: &Work<'_, '_>,
    pretrained: &Snapshot,
    clove: &Snapshot,
    patched: &Snapshot,
) -> Result<()> {
    for (name, model) in [("pretrained", pretrained), ("clove", clove), ("clove-patched", patched)]
    {
        let dir: PathBuf = work.out.join("models").join(name);
        places::check_model(&dir)?;
        write_model_dir(&dir, model, &work.companions, Precision::F32)?;
    }
    // The two built-in files.
    let shipped = work.out.join("models").join("shipped");
    let weights = lab::write_model(pretrained).context("the pretrained model")?;
    let deltas = lab::write_deltas(pretrained, clove)?;
    for (name, bytes) in [("pretrained.safetensors", weights), ("clove.deltas", deltas)] {
        write_file(&shipped.join(name), bytes)?;
    }
    Ok(())
}

fn examples(
    work: &Work<'_, '_>,
    pretrained: &Snapshot,
    clove: &Snapshot,
    patched: &Snapshot,
    test: &SceneSuite,
) -> Result<Vec<lab::Example>> {
    pollster::block_on(async {
        let scorers = [
            ("pretrained", lab::scorer(pretrained, &work.device.device).await?),
            (Variant::Clove.name(), lab::scorer(clove, &work.device.device).await?),
            (PATCHED, lab::scorer(patched, &work.device.device).await?),
        ];
        let named: Vec<_> = scorers.iter().map(|(name, scorer)| (*name, scorer)).collect();
        Ok(lab::examples(test, &named).await?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_lab_resumes_from_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("lab");
        let device = clove::device::cpu();
        let mut work = Vec::new();
        for is_resumed in [false, true] {
            let lab = Lab::open(&out, 1, false).unwrap();
            assert_eq!(lab.is_resumed(), is_resumed);
            let mut all = 0;
            let stopped = lab.run(&device, &mut |event| {
                if let Event::Working { of, .. } = event {
                    all = *of;
                }
                Control::Stop
            });
            let text = stopped.unwrap_err().to_string();
            assert!(text.contains("run the same command to resume"), "{text}");
            work.push(all);
        }
        // Work in units of a fourth of a training pair: each process took one step of 64 pairs of the first runs.
        let steps = |run: &str| {
            let metrics = out.join("runs").join(run).join("metrics.jsonl");
            fs::read_to_string(metrics).unwrap().lines().count()
        };
        assert_eq!(steps("captions-seed-101"), 2);
        assert!(work[1] < work[0], "{work:?}");
        let other = Lab::open(&out, 2, false).unwrap_err().to_string();
        assert!(other.contains("run.toml"), "{other}");
    }
}
