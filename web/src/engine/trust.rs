//! Checks a device's results: the scene model's embeddings, and the operations that models consist of.

use clove::check::{self, Fault, Item, Verdict};
use clove::device::OpenDevice;
use serde::Deserialize;

use super::Failure;
use super::images::Image;
use super::models::Models;

/// The pretrained model's embeddings of sample 0, computed on a CPU natively. `cargo test` checks them; CLOVE_WRITE_GOLDEN=1
/// writes them.
const KNOWN: &str = include_str!("known.json");

/// The largest accepted difference from [`KNOWN`]: a thousandth of a unit vector's length. Another order of summation differs
/// by 1e-6, a wrong kernel by far more.
const TRUSTED: f32 = 1e-3;

#[derive(Debug, Deserialize)]
struct Known {
    image: Vec<f32>,
    text: Vec<f32>,
}

/// The largest difference of the pretrained scene model's embeddings of sample 0 from the known ones.
pub async fn check(models: &mut Models, device: &str) -> Result<f32, Failure> {
    let known: Known = serde_json::from_str(KNOWN)?;
    let (image, [caption, _], _) = Image::sample(0, models.scorer.preprocess(), true)?;
    let (image, text) = models.embeddings(&image, &[caption], 0.0).await?;
    let found = image.as_slice().iter().chain(text.as_slice());
    let same_length = image.dim() == known.image.len() && text.dim() == known.text.len();
    let differences =
        known.image.iter().chain(&known.text).zip(found).map(|(one, other)| (one - other).abs());
    let larger = |worst: f32, one: f32| if one > worst || one.is_nan() { one } else { worst };
    let worst = differences.fold(0.0, larger);
    if !same_length || worst.is_nan() || worst > TRUSTED {
        return Err(format!(
            "{device} computes wrong numbers: an embedding differs from the known one by {worst}"
        )
        .into());
    }
    Ok(worst)
}

/// Checks the operations that models consist of, including those that the scene models don't use. With `fault`, checks only the
/// item of this name, with wrong numbers injected.
pub async fn check_parts(device: &OpenDevice, fault: Option<&str>) -> Result<(), Failure> {
    let mut items = Item::few();
    if let Some(fault) = fault {
        items.retain(|item| item.name() == fault);
        if items.is_empty() {
            return Err(format!("there is no check {fault}").into());
        }
    }
    for item in items {
        let wronged = fault.map(|_| Fault(item));
        let verdict = check::check(item, &device.device, device.largest_binding, wronged).await;
        if !verdict.is_good() {
            let why = match verdict {
                Verdict::Wrong { what } => what,
                Verdict::Failed { reason } | Verdict::Skipped { reason } => reason,
                Verdict::Right { .. } => String::new(),
            };
            return Err(format!(
                "{} computes wrong numbers: {}: {why}",
                device.description,
                item.name()
            )
            .into());
        }
    }
    Ok(())
}
