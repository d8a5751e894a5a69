//! The benchmark of this browser: engines one after the other, each from its start.

use super::choice::Adapter;
use super::engine::{Engine, Failure, Kind};
use super::{choice, dom, text};
use crate::protocol::{Answer, Ask, Shape};

/// Runs of the scene model, and of the large model.
const RUNS: u32 = 20;
const LARGE_RUNS: u32 = 5;
/// The photo's width and height.
const PHOTO: (u32, u32) = (4000, 3000);

/// An engine's times: medians in milliseconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// `WebGPU` or `CPU`.
    pub backend: String,
    pub adapter: String,
    /// The first score, from the worker's start and including downloads; image and caption with the scene model; image and caption
    /// with the shape of ViT-B/32; the preprocessing of a 12-megapixel photo on the CPU and on the GPU.
    pub times: [Option<f64>; 7],
    /// Why a time is missing.
    pub note: Option<String>,
}

/// Runs the benchmark; `report` receives each engine's times as they arrive. `?bench=all` includes the large model on software
/// adapters.
pub async fn run(report: impl Fn(usize, Measured)) {
    let all = dom::parameter("bench").as_deref() == Some("all");
    let adapter = choice::find_adapter().await;
    let mut engines = vec![(Kind::CPU, true)];
    if let Some(Adapter { is_software, .. }) = &adapter {
        engines.insert(0, (Kind::GPU, all || !is_software));
    }
    for (at, (kind, large)) in engines.into_iter().enumerate() {
        let mut measured =
            Measured { backend: text::backend(kind.gpu).to_owned(), ..Measured::default() };
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
    measured.times[0] = Some(js_sys::Date::now() - began);
    report(measured);
    measured.times[1..3].copy_from_slice(&times(&engine, Shape::InUse, RUNS).await?);
    report(measured);
    let photo = Ask::TimePhoto { width: PHOTO.0, height: PHOTO.1, runs: LARGE_RUNS };
    if let Answer::PhotoTimes { host, device } = ask(&engine, photo).await? {
        measured.times[5..7].copy_from_slice(&[median(host), median(device)]);
    }
    report(measured);
    if large {
        measured.times[3..5].copy_from_slice(&times(&engine, Shape::VitB32, LARGE_RUNS).await?);
    } else {
        measured.note = Some(text::BENCH_SOFTWARE.to_owned());
    }
    engine.stop(text::STOPPED);
    Ok(())
}

async fn ask(engine: &Engine, ask: Ask) -> Result<Answer, String> {
    match engine.ask(ask, None).await {
        Ok((answer, _)) => Ok(answer),
        Err(Failure::Refused(reason)) => Err(reason),
        Err(Failure::Ended) => Err(engine.ended().await),
    }
}

async fn times(engine: &Engine, shape: Shape, runs: u32) -> Result<[Option<f64>; 2], String> {
    match ask(engine, Ask::Time { shape, runs }).await? {
        Answer::Times { image, caption } => Ok([median(image), median(caption)]),
        _ => Ok([None; 2]),
    }
}

fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    let upper = *times.get(times.len() / 2)?;
    let lower = times[(times.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}
