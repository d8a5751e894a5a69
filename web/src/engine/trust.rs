//! Whether a device's numbers can be trusted: the scene model's embeddings are known, and so are the results of what models
//! consist of.

use clove::check::{self, Fault, Item, Verdict};
use clove::device::OpenDevice;
use serde::Deserialize;

use super::images::Image;
use super::models::Models;
use super::{Failure, failure};

/// What the pretrained model makes of sample 0 on a CPU natively; `cargo test` holds it, CLOVE_WRITE_GOLDEN=1 writes it.
const KNOWN: &str = include_str!("known.json");

/// Largest difference from [`KNOWN`] with which a device is trusted: a thousandth of a unit vector's length, far above what
/// orders of summation differ by (1e-6), far below what a wrong kernel does.
const TRUSTED: f32 = 1e-3;

#[derive(Debug, Deserialize)]
struct Known {
    image: Vec<f32>,
    text: Vec<f32>,
}

/// How far the pretrained scene model's embeddings of sample 0 are from the known ones.
///
/// # Errors
/// In words, when they are too far.
pub async fn check(models: &mut Models, device: &str) -> Result<f32, Failure> {
    let known: Known = serde_json::from_str(KNOWN).map_err(failure)?;
    let (image, [caption, _], _) = Image::sample(0, models.preprocess(), true)?;
    let (image, text) = models.embeddings(&image, &[caption], 0.0).await?;
    let found = image.as_slice().iter().chain(text.as_slice());
    let same_length = image.dim() == known.image.len() && text.dim() == known.text.len();
    let differences =
        known.image.iter().chain(&known.text).zip(found).map(|(one, other)| (one - other).abs());
    let worst = differences.fold(
        0.0,
        |worst: f32, one| {
            if one > worst || one.is_nan() { one } else { worst }
        },
    );
    if !same_length || worst.is_nan() || worst > TRUSTED {
        return Err(format!(
            "{device} computes wrong numbers: an embedding differs by {worst} from what it should be"
        ));
    }
    Ok(worst)
}

/// Checks what models consist of, on a GPU: a kernel that small models don't use may be wrong too. With a fault, only the item
/// that it names, wronged.
///
/// # Errors
/// In words, when something is wrong.
pub async fn check_parts(device: &OpenDevice, fault: Option<&str>) -> Result<(), Failure> {
    let mut items = Item::few();
    if let Some(fault) = fault {
        items.retain(|item| item.name() == fault);
        if items.is_empty() {
            return Err(format!("{fault} isn't checked here"));
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
            ));
        }
    }
    Ok(())
}
