//! Keys of kept embeddings: each kind of content in a domain of its own, each field with its length, so that no content can pass for
//! another, whatever bytes a file ends with.

use std::path::Path;

use clove::weights::ModelSource;
use clove_data::benchmarks::Part;

use crate::error::{Context as _, Result};

/// Bytes of a key.
pub const KEY: usize = 32;

/// A key.
pub type Key = [u8; KEY];

/// Raised whenever the same files give other embeddings on the same device: when decoding, cutting, preprocessing, tokenization, a tower
/// or a kernel computes otherwise. The package's version alone doesn't tell, since a build between two releases has the older one's.
const ARITHMETIC: u32 = 3;

/// Towers compute in this precision, whatever the file's (`clove::score::Scorer`).
const PRECISION: &str = "f32";

/// A hash of fields.
struct Fields(blake3::Hasher);

impl Fields {
    /// Those of a domain: a text that nothing else uses.
    fn of(domain: &str) -> Self {
        Self(blake3::Hasher::new_derive_key(domain))
    }

    fn with(mut self, field: &[u8]) -> Self {
        self.0.update(&(field.len() as u64).to_le_bytes());
        self.0.update(field);
        self
    }

    fn key(&self) -> Key {
        *self.0.finalize().as_bytes()
    }
}

/// The key of what computes: the program's arithmetic, the device, the model with its preprocessing and its tokenizer.
///
/// # Errors
/// If the model's files can't be read.
pub fn of_model(source: &ModelSource, device: &str) -> Result<Key> {
    let preprocess = source.preprocess()?;
    let mut fields = Fields::of("clove-run 2026-12-01 what embeds")
        .with(env!("CARGO_PKG_VERSION").as_bytes())
        .with(&ARITHMETIC.to_le_bytes())
        .with(std::env::consts::ARCH.as_bytes())
        .with(device.as_bytes())
        .with(PRECISION.as_bytes())
        .with(format!("{preprocess:?}").as_bytes());
    let mut names = source.files().names();
    names.sort();
    let is_part = |name: &&String| {
        let end = Path::new(name).extension();
        end.is_some_and(|end| end == "json" || end == "safetensors" || end == "txt")
    };
    for name in names.iter().filter(is_part) {
        let place = || source.files().describe(name);
        // A model in one file has several names.
        if let Some(mut file) = source.files().open(name).with_context(place)? {
            let mut content = blake3::Hasher::new();
            std::io::copy(&mut file, &mut content).with_context(place)?;
            fields = fields.with(name.as_bytes()).with(content.finalize().as_bytes());
        }
    }
    Ok(fields.key())
}

/// The key of a photo's file, or of a part of it.
pub fn of_photo(model: &Key, bytes: &[u8], part: Option<Part>) -> Key {
    let edges = part.map(|part| [part.left, part.top, part.right, part.bottom]);
    let edges: Vec<u8> = edges.iter().flatten().flat_map(|edge| edge.to_le_bytes()).collect();
    Fields::of("clove-run 2026-12-01 a photo").with(model).with(bytes).with(&edges).key()
}

/// The key of a text.
pub fn of_text(model: &Key, text: &str) -> Key {
    Fields::of("clove-run 2026-12-01 a text").with(model).with(text.as_bytes()).key()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_content_has_the_key_of_another() {
        let (model, other) = ([1; KEY], [2; KEY]);
        let part = Part { left: 3, top: 4, right: 50, bottom: 60 };
        let photo = b"a photo".to_vec();
        // Files that go on with what a box is, in every form that it had: numbers of 32 bits, edges of 64 bits, with their length.
        let corner = [3_u32, 4, 47, 56].map(u32::to_le_bytes).concat();
        let edges = [3_i64, 4, 50, 60].map(i64::to_le_bytes).concat();
        let length = (edges.len() as u64).to_le_bytes().to_vec();
        let crafted = [
            [&photo[..], &corner].concat(),
            [&photo[..], &edges].concat(),
            [&photo[..], &length, &edges].concat(),
        ];
        let mut keys = vec![
            of_photo(&model, &photo, None),
            of_photo(&model, &photo, Some(part)),
            of_photo(&model, &photo, Some(Part { left: 4, ..part })),
            of_photo(&other, &photo, None),
            of_text(&model, "a photo"),
            of_text(&other, "a photo"),
            of_text(&model, ""),
            of_photo(&model, b"", None),
        ];
        for bytes in &crafted {
            keys.push(of_photo(&model, bytes, None));
            keys.push(of_photo(&model, bytes, Some(part)));
        }
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
        let fields = |parts: [&str; 2]| {
            Fields::of("a").with(parts[0].as_bytes()).with(parts[1].as_bytes()).key()
        };
        assert_ne!(fields(["ab", "c"]), fields(["a", "bc"]));
    }
}
