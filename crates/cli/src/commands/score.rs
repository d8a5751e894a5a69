//! `clove score`: captions against a photo.

use anyhow::Result;
use serde_json::json;

use crate::args::Score;
use crate::{model, output, photos};

/// Shown beside the best caption.
const BAR: usize = 24;

pub fn run(args: &Score) -> Result<()> {
    // The photo first: it's read in milliseconds, a model in seconds.
    let image = photos::read(&args.image)?;
    let scorer = model::load(&args.model, args.device.device)?;
    let pixels = scorer.pixels(&image)?;
    let (images, texts) = pollster::block_on(async {
        let images = scorer.embed_pixels(pixels).await?;
        let texts = scorer.embed_texts(&args.captions, &mut |_| ()).await?;
        Ok::<_, clove::score::ScoreError>((images, texts))
    })?;
    let scores = scorer.scores(&images, 0, &texts);
    let mut order: Vec<usize> = (0..args.captions.len()).collect();
    order.sort_by(|&a, &b| scores.similarities[b].total_cmp(&scores.similarities[a]));
    for encoding in scorer.tokenizer().encode_batch(&args.captions) {
        if encoding.is_truncated() {
            output::note(&format!(
                "a caption is longer than the context of {} tokens; its last {} tokens are cut",
                scorer.config().text.context_length,
                encoding.dropped
            ));
        }
    }
    if args.json {
        let captions: Vec<_> = args
            .captions
            .iter()
            .zip(scores.similarities.iter().zip(&scores.probabilities))
            .map(|(text, (similarity, probability))| {
                json!({ "text": text, "similarity": similarity, "probability": probability })
            })
            .collect();
        return output::print_json(&json!({
            "image": args.image,
            "model": args.model,
            "logit_scale": scorer.logit_scale(),
            "captions": captions,
            "best": order[0],
        }));
    }
    let mut rows = vec![vec![
        "caption".to_owned(),
        "similarity".to_owned(),
        "probability".to_owned(),
    ]];
    for &caption in &order {
        let probability = scores.probabilities[caption];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a probability times the bar's length"
        )]
        let filled = (probability * BAR as f32).round() as usize;
        rows.push(vec![
            one_line(&args.captions[caption]),
            format!("{:.4}", scores.similarities[caption]),
            format!("{:5.1} %", 100.0 * probability),
            format!("{:<BAR$}", "█".repeat(filled.min(BAR))),
        ]);
    }
    output::print(&output::table(&rows))
}

/// A caption as it fits on a line of the table.
fn one_line(text: &str) -> String {
    const WIDTH: usize = 72;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // Escape sequences in a caption are text, not orders to the terminal.
    let line = line.replace(char::is_control, "\u{fffd}");
    if line.chars().count() <= WIDTH {
        line
    } else {
        format!("{}…", line.chars().take(WIDTH - 1).collect::<String>())
    }
}
