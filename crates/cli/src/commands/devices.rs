//! `clove devices`: what a model can run on.

use anyhow::Result;
use clove::device::{self, DeviceChoice};
use serde_json::json;

use crate::args::Devices;
use crate::output;

pub fn run(args: &Devices) -> Result<()> {
    let adapters = device::adapters();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // What `--device` would open, said without opening it.
    let auto = adapters
        .iter()
        .position(|adapter| !adapter.is_software())
        .map_or_else(|| "cpu".to_owned(), |number| format!("gpu:{number}"));
    if let DeviceChoice::Gpu(_) = args.device.device {
        device::open(args.device.device)?;
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
                })
            })
            .collect();
        return output::print_json(&json!({
            "auto": auto,
            "cpu": { "device": "cpu", "threads": threads },
            "gpus": gpus,
        }));
    }
    let header = ["device", "name", "kind", "API", "driver", "largest binding"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.push(vec![
        "cpu".to_owned(),
        format!("{threads} threads"),
        "CPU".to_owned(),
    ]);
    for (number, adapter) in adapters.iter().enumerate() {
        rows.push(vec![
            format!("gpu:{number}"),
            adapter.name.clone(),
            adapter.kind_name().to_owned(),
            adapter.api.to_string(),
            adapter.driver.clone(),
            format!(
                "{} MiB",
                adapter.limits.max_storage_buffer_binding_size >> 20
            ),
        ]);
    }
    output::print(&output::table(&rows))?;
    output::print(&format!("--device auto is {auto}"))
}
