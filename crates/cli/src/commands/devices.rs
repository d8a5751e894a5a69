//! `clove devices`: lists devices and checks their results.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clove::check::{Fault, Item, Verdict, check as check_item};
use clove::device::{self, Adapter, DeviceChoice, OpenDevice};
use serde_json::{Value, json};

use crate::args::Devices;
use crate::{model, output};

/// CLIP models and the f32 bytes of their largest tensor, the token embedding (mlfoundations/open_clip: src/open_clip/model_configs).
const MODELS: [(&str, u64); 4] = [
    ("ViT-B", 49_408 * 512 * 4),
    ("ViT-L", 49_408 * 768 * 4),
    ("ViT-H", 49_408 * 1_024 * 4),
    ("ViT-bigG", 49_408 * 1_280 * 4),
];

/// The models whose tensors all fit into one binding.
fn fitting(adapter: &Adapter) -> Vec<&'static str> {
    let largest = adapter.largest_binding();
    let fit = MODELS.into_iter().filter(|(_, bytes)| *bytes <= largest);
    fit.map(|(name, _)| name).collect()
}

pub fn run(args: &Devices, device: DeviceChoice) -> Result<()> {
    if args.check {
        return check(args, device);
    }
    let adapters = device::adapters();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // The device that `--device auto` would open.
    let auto = adapters
        .iter()
        .position(|adapter| !adapter.is_software())
        .map_or_else(|| "cpu".to_owned(), |number| format!("gpu:{number}"));
    if let DeviceChoice::Gpu(_) = device {
        device::open(device)?;
    }
    if args.json {
        let gpus: Vec<_> = adapters
            .iter()
            .enumerate()
            .map(|(number, adapter)| {
                json!({
                    "device": format!("gpu:{number}"),
                    "name": adapter.name,
                    "kind": adapter.kind_name(),
                    "software": adapter.is_software(),
                    "api": adapter.api.to_string(),
                    "driver": adapter.driver,
                    "largest_buffer_bytes": adapter.limits.max_buffer_size,
                    "largest_binding_bytes": adapter.limits.max_storage_buffer_binding_size,
                    "subgroups": adapter.has_subgroups(),
                    "f16": adapter.has_f16(),
                    "models": fitting(adapter),
                })
            })
            .collect();
        return output::print_json(&json!({
            "auto": auto,
            "cpu": { "device": "cpu", "threads": threads },
            "gpus": gpus,
        }));
    }
    let header = "device,name,kind,API,driver,largest binding,subgroups,f16,models up to";
    let mut rows: Vec<Vec<String>> = vec![header.split(',').map(str::to_owned).collect()];
    rows.push(vec!["cpu".to_owned(), format!("{threads} threads"), "CPU".to_owned()]);
    for (number, adapter) in adapters.iter().enumerate() {
        rows.push(vec![
            format!("gpu:{number}"),
            adapter.name.clone(),
            adapter.kind_name().to_owned(),
            adapter.api.to_string(),
            adapter.driver.clone(),
            format!("{} MiB", adapter.limits.max_storage_buffer_binding_size >> 20),
            yes(adapter.has_subgroups()),
            yes(adapter.has_f16()),
            fitting(adapter).last().map_or("none", |name| name).to_owned(),
        ]);
    }
    output::print(&output::table(&rows))?;
    output::print(&format!("--device auto is {auto}"))
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn item(name: &str) -> Result<Item> {
    let found = Item::all().into_iter().find(|item| item.name() == name);
    found.with_context(|| {
        let names: Vec<String> = Item::all().into_iter().map(Item::name).collect();
        format!("unknown item `{name}`; the items are {}", names.join(", "))
    })
}

/// Compares a device with known results. Fails if any differs.
fn check(args: &Devices, device: DeviceChoice) -> Result<()> {
    let fault = args.inject_fault.as_deref().map(item).transpose()?.map(Fault);
    let items = if args.item.is_empty() {
        Item::all()
    } else {
        args.item.iter().map(|name| item(name)).collect::<Result<_>>()?
    };
    let device = model::open_device(device)?;
    let began = Instant::now();
    let mut found = Vec::new();
    for item in items {
        let verdict = guarded(item, &device, fault);
        if !args.json {
            output::print(&format!("{:<17}{}", item.name(), words(&verdict)))?;
        }
        found.push((item, verdict));
    }
    let bad: Vec<String> = found
        .iter()
        .filter(|(_, verdict)| !verdict.is_good())
        .map(|(item, _)| item.name())
        .collect();
    let seconds = began.elapsed().as_secs_f64();
    if args.json {
        let items: Vec<Value> = found.iter().map(|(item, verdict)| value(*item, verdict)).collect();
        output::print_json(&json!({
            "device": device.description,
            "right": bad.is_empty(),
            "seconds": seconds,
            "items": items,
        }))?;
    }
    if !bad.is_empty() {
        bail!(
            "{} computes wrong numbers: {}; use --device cpu",
            device.description,
            bad.join(", ")
        );
    }
    output::note(&format!("{}: all results are correct ({seconds:.1} s)", device.description));
    Ok(())
}

/// Runs a check. A panic of burn or the driver becomes the verdict.
fn guarded(item: Item, device: &OpenDevice, fault: Option<Fault>) -> Verdict {
    let run =
        || pollster::block_on(check_item(item, &device.device, device.largest_binding, fault));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let reason = clove_run::panic_text(&*panic).unwrap_or("the device failed");
        Verdict::Failed { reason: reason.replace('\n', " ") }
    })
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Right { allowed: 0.0, .. } => "equal".to_owned(),
        Verdict::Right { difference, allowed } => {
            format!("correct: differs by {difference:.1e}, tolerance {allowed:.1e}")
        }
        Verdict::Wrong { what } => format!("WRONG: {what}"),
        Verdict::Failed { reason } => format!("FAILED: {reason}"),
        Verdict::Skipped { reason } => format!("not checked: {reason}"),
    }
}

fn value(item: Item, verdict: &Verdict) -> Value {
    let (verdict, difference, reason) = match verdict {
        Verdict::Right { difference, .. } => ("right", Some(*difference), None),
        Verdict::Wrong { what } => ("wrong", None, Some(what)),
        Verdict::Failed { reason } => ("failed", None, Some(reason)),
        Verdict::Skipped { reason } => ("not checked", None, Some(reason)),
    };
    json!({ "item": item.name(), "verdict": verdict, "difference": difference, "reason": reason })
}
