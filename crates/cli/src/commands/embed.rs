//! `clove embed`: writes normalized features of photos and texts.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clove::device::DeviceChoice;
use clove::evaluate::Embeddings;
use clove_data::captions;
use clove_run::words::counted;
use clove_run::{Event, photos};

use crate::args::Embed;
use crate::listener::Listener;
use crate::tensors::{Data, Photos, Tensor};
use crate::{model, output, tensors};

pub fn run(args: &Embed, device: DeviceChoice) -> Result<()> {
    let mut inputs: Vec<&Path> = args.images.iter().map(PathBuf::as_path).collect();
    inputs.push(&args.model);
    inputs.extend(args.texts.as_deref());
    tensors::check(&args.out, args.skip_unreadable, &inputs)?;
    let texts = args.texts.as_deref().map(captions::read_lines).transpose()?;
    let scorer = model::load(&args.model, device)?;
    let width = scorer.config().embed_dim;
    let mut listener = Listener::new();
    let hear = &mut |event: &Event<'_>| listener.hear(event);
    let images = if args.images.is_empty() {
        None
    } else {
        Some(photos::embed(&args.images, &scorer, args.skip_unreadable, hear)?)
    };
    let texts = texts.map(|texts| photos::embed_texts(&texts, &scorer, hear)).transpose()?;
    let logit_scale = [scorer.logit_scale()];
    let mut entries = Vec::new();
    let image_rows = images.as_ref().map(|images| &images.values);
    for (name, features) in [("image_features", image_rows), ("text_features", texts.as_ref())] {
        if let Some(features) = features {
            entries.push(Tensor {
                name,
                shape: vec![features.len(), width],
                data: Data::F32(features.as_slice()),
            });
        }
    }
    entries.push(Tensor { name: "logit_scale", shape: vec![1], data: Data::F32(&logit_scale) });
    let listed = images.as_ref().filter(|_| args.skip_unreadable);
    let listed = listed.map(|images| Photos::of(&args.images, images));
    tensors::write(&args.out, &entries, listed.as_ref())?;
    output::note(&format!(
        "{}: {}, {}, dimension {width}",
        args.out.display(),
        counted(image_rows.map_or(0, Embeddings::len) as u64, "image"),
        counted(texts.as_ref().map_or(0, Embeddings::len) as u64, "text"),
    ));
    Ok(())
}
