//! `clove lab`: the full pipeline on synthetic scenes. `clove_run::lab` does the work; this prints the report.

use anyhow::{Result, bail};
use clove::device::DeviceChoice;
use clove::weights::write_file;
use clove_lab::{Figure, Report};
use clove_run::lab::Lab;
use clove_scenes::Kind;

use crate::args;
use crate::interrupt::Interrupt;
use crate::listener::Listener;
use crate::{model, output};

/// What a lab writes to its folder, besides run.toml, which marks the folder as its own.
const WRITTEN: [&str; 5] = ["models", "runs", "report.json", "report.html", "alpha-curve.svg"];

pub fn run(args: &args::Lab, device: DeviceChoice) -> Result<()> {
    let is_there = |name: &str| args.out.join(name).symlink_metadata().is_ok();
    if !is_there("run.toml")
        && let Some(found) = WRITTEN.into_iter().find(|name| is_there(name))
    {
        let out = args.out.display();
        bail!("{out}: has {found}, which no lab wrote; choose another folder with --out");
    }
    let mut listener = Listener::stopped_by(&Interrupt::listen()?);
    let lab = Lab::open(&args.out, args.seeds, args.from_scratch)?;
    if lab.is_resumed() {
        output::note(&format!("resuming {}", args.out.display()));
    }
    let device = model::open_device(device)?;
    let report = lab.run(&device, &mut |event| listener.hear(event));
    listener.close();
    let report = report?;
    let page = args.out.join("report.html");
    write_file(&page, clove_report::lab::page(&report))?;
    write_file(&args.out.join("alpha-curve.svg"), clove_report::lab::alpha_curve_svg(&report))?;
    output::note(&format!("{}: report; report.json has all figures", page.display()));
    if args.json { output::print_json(&report) } else { output::print(&table(&report)) }
}

fn table(report: &Report) -> String {
    let percent = |value: f64| format!("{:.1}", 100.0 * value);
    let figure = |figure: &Figure| match figure.spread {
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
