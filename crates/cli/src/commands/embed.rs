//! `clove embed`: writes normalized features of photos and texts.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clove::device::DeviceChoice;
use clove_data::captions;
use clove_run::{Event, photos};

use crate::args::Embed;
use crate::listener::Listener;
use crate::tensors::{Data, Tensor};
use crate::{model, output, tensors};

pub fn run(args: &Embed, device: DeviceChoice) -> Result<()> {
    let mut inputs: Vec<&Path> = args.images.iter().map(PathBuf::as_path).collect();
    inputs.extend(args.texts.as_deref());
    tensors::refuse_input(&args.out, &args.model, &inputs)?;
    let texts = args.texts.as_deref().map(captions::read_lines).transpose()?;
    let scorer = model::load(&args.model, device)?;
    let width = scorer.config().embed_dim;
    let mut listener = Listener::new();
    let hear = &mut |event: &Event<'_>| listener.hear(event);
    let images = if args.images.is_empty() {
        None
    } else {
        Some(photos::embed(&args.images, &scorer, hear)?)
    };
    let texts = texts.map(|texts| photos::embed_texts(&texts, &scorer, hear)).transpose()?;
    let logit_scale = [scorer.logit_scale()];
    let mut entries = Vec::new();
    for (name, features) in [("image_features", &images), ("text_features", &texts)] {
        if let Some(features) = features {
            entries.push(Tensor {
                name,
                shape: vec![features.len(), width],
                data: Data::F32(features.as_slice()),
            });
        }
    }
    entries.push(Tensor { name: "logit_scale", shape: vec![1], data: Data::F32(&logit_scale) });
    tensors::write(&args.out, &entries)?;
    output::note(&format!(
        "{}: {} images, {} texts, dimension {width}",
        args.out.display(),
        images.map_or(0, |rows| rows.len()),
        texts.map_or(0, |rows| rows.len()),
    ));
    Ok(())
}
