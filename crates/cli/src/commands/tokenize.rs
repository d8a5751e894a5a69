//! `clove tokenize`: writes token ids of texts.

use anyhow::{Context as _, Result};
use clove_data::captions;
use clove_run::words::counted;
use serde_json::json;

use crate::args::Tokenize;
use crate::tensors::{Data, Tensor};
use crate::{model, output, tensors};

pub fn run(args: &Tokenize) -> Result<()> {
    if let Some(out) = &args.out {
        output::check(&[out], &[&args.model, &args.texts])?;
    }
    let texts = captions::read_lines(&args.texts)?;
    let source = model::open(&args.model)?;
    let tokenizer = source.tokenizer()?;
    let encodings = tokenizer.encode_batch(&texts);
    let cut = encodings.iter().filter(|e| e.is_truncated()).count();
    if cut > 0 {
        output::note(&format!(
            "{cut} of {} truncated: longer than the context of {} tokens",
            counted(texts.len() as u64, "text"),
            tokenizer.context_length()
        ));
    }
    if let Some(out) = &args.out {
        let ids = encodings
            .iter()
            .flat_map(|encoding| &encoding.ids)
            .map(|&id| i32::try_from(id))
            .collect::<Result<Vec<i32>, _>>()
            .context("a token id is above 2^31")?;
        tensors::write(
            out,
            &[Tensor {
                name: "input_ids",
                shape: vec![texts.len(), tokenizer.context_length()],
                data: Data::I32(&ids),
            }],
            None,
        )?;
        output::note(&format!("{}: {}", out.display(), counted(texts.len() as u64, "text")));
        if !args.json {
            return Ok(());
        }
    }
    for (text, encoding) in texts.iter().zip(&encodings) {
        let ids = &encoding.ids[..=encoding.end];
        if args.json {
            output::print(
                &json!({ "text": text, "ids": ids, "dropped": encoding.dropped }).to_string(),
            )?;
        } else {
            output::print(&tokenizer.tokens(text).join(" "))?;
        }
    }
    Ok(())
}
