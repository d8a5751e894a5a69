//! Measuring this browser: engines one after the other, each from its start.

use leptos::prelude::*;
use web_sys::UrlSearchParams;

use super::choice::Adapter;
use super::engine::{Engine, Failure, Kind};
use super::{choice, text};
use crate::protocol::{Answer, Ask, Shape};

/// Runs of the scene model, and of a large one.
const RUNS: u32 = 20;
const LARGE_RUNS: u32 = 5;
/// A telephone's photo.
const PHOTO: (u32, u32) = (4000, 3000);

/// What was measured of an engine; times in milliseconds, medians.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// `WebGPU` or `CPU`.
    pub backend: String,
    /// What computes.
    pub adapter: String,
    /// From the worker's start to the first score with the scene models, downloads included.
    pub first_score: Option<f64>,
    /// The scene model: an image, a caption.
    pub scenes: Option<(f64, f64)>,
    /// A model of ViT-B/32's shape.
    pub large: Option<(f64, f64)>,
    /// A photo of 12 megapixels made ready: by the host, and by the device.
    pub photo: Option<(f64, Option<f64>)>,
    /// Why something is missing.
    pub note: Option<String>,
}

/// Whether the address asks for it: `?bench`, or `?bench=all` for large models on software adapters too.
pub fn is_asked_for() -> bool {
    parameter().is_some()
}

fn parameter() -> Option<String> {
    let search = window().location().search().ok()?;
    UrlSearchParams::new_with_str(&search).ok()?.get("bench")
}

/// Measures what this browser has; `report` hears of each engine as its numbers come.
pub async fn run(report: impl Fn(usize, Measured)) {
    let all = parameter().as_deref() == Some("all");
    let adapter = choice::find_adapter().await;
    let mut engines = vec![(Kind::Cpu, true)];
    if let Some(Adapter { is_software, .. }) = &adapter {
        engines.insert(0, (Kind::Gpu, all || !is_software));
    }
    for (at, (kind, large)) in engines.into_iter().enumerate() {
        let mut measured = Measured {
            backend: text::backend(kind == Kind::Gpu).to_owned(),
            ..Measured::default()
        };
        report(at, measured.clone());
        let tell = |measured: &Measured| report(at, measured.clone());
        if let Err(reason) = measure(kind, large, &mut measured, &tell).await {
            measured.note = Some(reason);
        }
        report(at, measured);
    }
}

async fn measure(
    kind: Kind,
    large: bool,
    measured: &mut Measured,
    report: &dyn Fn(&Measured),
) -> Result<(), String> {
    let began = js_sys::Date::now();
    let (engine, opened) = Engine::open(kind).await?;
    if let Answer::Opened { adapter, .. } = opened {
        measured.adapter = adapter;
    }
    let sample = Ask::Sample { image: 0, number: 0 };
    let captions = match ask(&engine, sample).await? {
        Answer::Image { caption, wrong, .. } => caption.into_iter().chain(wrong).collect(),
        _ => Vec::new(),
    };
    let score = Ask::Score { image: 0, captions, alpha: super::state::ALPHA };
    ask(&engine, score).await?;
    measured.first_score = Some(js_sys::Date::now() - began);
    report(measured);
    measured.scenes = times(&engine, Shape::InUse, RUNS).await?;
    report(measured);
    let photo = Ask::TimePhoto { width: PHOTO.0, height: PHOTO.1, runs: LARGE_RUNS };
    if let Answer::PhotoTimes { host, device } = ask(&engine, photo).await? {
        measured.photo = median(host).map(|host| (host, median(device)));
    }
    report(measured);
    if large {
        measured.large = times(&engine, Shape::VitB32, LARGE_RUNS).await?;
    } else {
        measured.note = Some(text::BENCH_SOFTWARE.to_owned());
    }
    engine.close();
    Ok(())
}

async fn ask(engine: &Engine, ask: Ask) -> Result<Answer, String> {
    match engine.ask(ask, None).await {
        Ok((answer, _)) => Ok(answer),
        Err(Failure::Refused(reason)) => Err(reason),
        Err(Failure::Ended) => Err(engine.ended().await),
    }
}

async fn times(engine: &Engine, shape: Shape, runs: u32) -> Result<Option<(f64, f64)>, String> {
    let Answer::Times { image, caption } = ask(engine, Ask::Time { shape, runs }).await? else {
        return Ok(None);
    };
    Ok(median(image).zip(median(caption)))
}

fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    let upper = *times.get(times.len() / 2)?;
    let lower = times[(times.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}
