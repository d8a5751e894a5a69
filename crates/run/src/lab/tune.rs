//! A training run of the lab, resumable from its own folder.

use std::fs;
use std::path::Path;
use std::time::Instant;

use clove::device::Device;
use clove::score::ScoreError;
use clove::weights::{Precision, Snapshot, write_file};
use clove_data::run::Position;
use clove_lab::{self as lab, Curve, Plan, Recipe, SceneSuite, Scenes, Texts, Tuning, Variant};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Work;
use crate::error::{Context as _, Result};
use crate::session::{self, Session};
use crate::validation::read_lines;

/// Steps between checkpoints, about ten seconds of work.
const CHECKPOINT_EVERY: usize = 100;

const CURVE_POINTS: usize = 5;

pub struct Job {
    pub seed: u64,
    name: &'static str,
    slug: &'static str,
    texts: Texts,
    recipe: Recipe,
}

pub struct Tuned {
    pub model: Snapshot,
    pub curve: Curve,
}

/// The run's configuration, which a resumed run must match.
#[derive(Serialize)]
struct Config {
    model: &'static str,
    seed: u64,
    steps: usize,
    batch: usize,
    learning_rate: f64,
    warmup: usize,
    negatives: usize,
    image_rate: f64,
    /// BLAKE3 of the initial weights.
    from: String,
}

/// Step, composition and recognition of a validation. `curve.json` has those of a run under `points`.
type Point = (usize, f64, f64);

#[derive(Deserialize)]
struct Loss {
    step: usize,
    loss: Option<f64>,
}

impl Job {
    pub fn tune(variant: Variant, seed: u64, recipe: Recipe) -> Self {
        Self {
            seed,
            name: variant.name(),
            slug: variant.slug(),
            texts: variant.texts(&recipe),
            recipe,
        }
    }

    pub fn pretrain(seed: u64) -> Self {
        Self {
            seed,
            name: "pretraining",
            slug: "pretraining",
            texts: Texts::AltTexts,
            recipe: Recipe::PRETRAINING,
        }
    }

    /// Work of some steps in units of progress: one to embed a picture, about four to train on a pair.
    fn units(&self, steps: usize) -> u64 {
        4 * (steps * self.recipe.batch) as u64
    }

    /// The work of the whole run.
    pub fn work(&self) -> u64 {
        self.units(self.recipe.steps)
    }
}

pub fn blank(seed: u64, device: &Device) -> Result<Snapshot> {
    let config = lab::config(&lab::tokenizer().context("the scene models")?);
    let clip = config.init(seed, device);
    Ok(pollster::block_on(Snapshot::of(&clip, &config)).map_err(ScoreError::from)?)
}

/// Trains, resumes training, or reads its result. Measures `watched` during training.
pub fn run(
    work: &Work<'_, '_>,
    job: &Job,
    start: &Snapshot,
    watched: Option<&SceneSuite>,
) -> Result<Tuned> {
    let dir = work.out.join("runs").join(format!("{}-seed-{}", job.slug, job.seed));
    let config = config(job, start)?;
    let folder = session::open_or_make(&dir, &config)?;
    let (mut session, found) =
        Session::open(folder, work.companions.clone(), 1, &mut |event| work.tell(event))?;
    let (recipe, device) = (job.recipe, &work.device.device);
    let plan = Plan { texts: job.texts, scenes: Scenes::New, recipe, seed: job.seed };
    let mut tuning = match found {
        Some((state, _)) => {
            Tuning::resume(state, plan, device).with_context(|| dir.display().to_string())?
        }
        None => Tuning::new(start, plan, device)?,
    };
    work.drop(job.units(tuning.steps()));
    let mut points = read_points(&dir);
    points.retain(|point| point.0 <= tuning.steps());
    let label = format!("{}, seed {}", job.name, job.seed);
    while !tuning.is_done() {
        let began = Instant::now();
        let report =
            pollster::block_on(tuning.step()).with_context(|| format!("training {label}"))?;
        let pairs_per_second = recipe.batch as f64 / began.elapsed().as_secs_f64();
        session.record(&report, pairs_per_second, None)?;
        work.advance(&label, job.units(1));
        let done = tuning.steps();
        if let Some(suite) = watched
            && is_curve_point(done, recipe.steps)
        {
            let point = validate(work, &tuning, suite)?;
            points.push((done, point.0, point.1));
            write_file(&dir.join("curve.json"), json!({ "points": points }).to_string())?;
            session.scalars(
                report.step,
                &[
                    ("validation/composition", point.0 as f32),
                    ("validation/recognition", point.1 as f32),
                ],
            )?;
        }
        let stop = work.is_stopped();
        if stop || done.is_multiple_of(CHECKPOINT_EVERY) || tuning.is_done() {
            save(&mut session, &tuning, job)?;
        }
        if stop {
            return Err(work.stopped());
        }
    }
    let model = pollster::block_on(tuning.state())?.model;
    let curve = Curve {
        name: job.name.to_owned(),
        loss: losses(&dir)?,
        composition: points.iter().map(|point| (point.0, point.1)).collect(),
        recognition: points.iter().map(|point| (point.0, point.2)).collect(),
    };
    Ok(Tuned { model, curve })
}

fn config(job: &Job, start: &Snapshot) -> Result<String> {
    // The loss is always CLoVe's in the lab.
    let Recipe { steps, batch, learning_rate, warmup, negatives, image_rate, loss: _ } = job.recipe;
    let weights = start.write_hugging_face(Vec::new(), Precision::F32);
    let weights = weights.with_context(|| format!("the initial weights of {}", job.name))?;
    Ok(toml::to_string(&Config {
        model: job.name,
        seed: job.seed,
        steps,
        batch,
        learning_rate,
        warmup,
        negatives,
        image_rate,
        from: clove_data::run::hash(&weights),
    })?)
}

fn is_curve_point(step: usize, steps: usize) -> bool {
    (1..=CURVE_POINTS).any(|point| step == steps * point / CURVE_POINTS)
}

fn validate(work: &Work<'_, '_>, tuning: &Tuning, suite: &SceneSuite) -> Result<(f64, f64)> {
    pollster::block_on(async {
        let model = tuning.state().await?.model;
        let scorer = lab::scorer(&model, &work.device.device).await?;
        let scores = suite.evaluate(&scorer, &mut |_| {}).await?;
        Ok(lab::figures(&scores))
    })
}

fn save(session: &mut Session, tuning: &Tuning, job: &Job) -> Result<()> {
    let state = pollster::block_on(tuning.state())?;
    let samples = (state.step * job.recipe.batch) as u64;
    let position = Position { step: state.step, samples, seed: job.seed, ..Position::default() };
    session.save(&state, &position)
}

/// The points so far. Optional: without the file, the curve is shorter.
fn read_points(dir: &Path) -> Vec<Point> {
    let text = fs::read_to_string(dir.join("curve.json")).unwrap_or_default();
    let curve: Value = serde_json::from_str(&text).unwrap_or_default();
    serde_json::from_value(curve["points"].clone()).unwrap_or_default()
}

/// The mean loss of each thirtieth of the run.
fn losses(dir: &Path) -> Result<Vec<(usize, f64)>> {
    let lines: Vec<Loss> = read_lines(&dir.join("metrics.jsonl"))?;
    let chunk = lines.len().div_ceil(30).max(1);
    Ok(lines
        .chunks(chunk)
        .filter_map(|chunk| {
            let losses: Vec<f64> = chunk.iter().filter_map(|line| line.loss).collect();
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            Some((chunk.last()?.step + 1, mean))
        })
        .collect())
}
