//! `clove score`: scores captions, and optionally their hard negatives, against a photo.

use anyhow::Result;
use clove::device::DeviceChoice;
use clove::score::{Scorer, Scores};
use clove_negatives::{Made, Negative, Request, WhyNone};
use clove_run::photos;
use clove_run::words::counted;
use console::{Alignment, measure_text_width, truncate_str};
use serde_json::{Value, json};

use crate::args::Score;
use crate::{model, output};

/// Length of the bar of a certain caption.
const BAR: usize = 24;
const WIDTH: usize = 72;

pub fn run(args: &Score, device: DeviceChoice) -> Result<()> {
    // The photo first, so that its errors come without waiting for the model.
    let image = photos::read(&args.image)?;
    let made = make(args)?;
    let scorer = model::load(&args.model, device)?;
    let (texts, hard) = arrange(args, made, &scorer);
    let pixels = scorer.pixels(&image)?;
    let (images, embedded) = pollster::block_on(async {
        let images = scorer.embed_pixels(pixels).await?;
        let texts = scorer.embed_texts(&texts, &mut |_| ()).await?;
        Ok::<_, clove::score::ScoreError>((images, texts))
    })?;
    let among_all = scorer.scores(&images, 0, &embedded);
    let given = &among_all.similarities[..args.captions.len()];
    let scored = Scored { probabilities: scorer.probabilities(given), among_all, hard };
    let mut order: Vec<usize> = (0..args.captions.len()).collect();
    let similarities = &scored.among_all.similarities;
    order.sort_by(|&a, &b| similarities[b].total_cmp(&similarities[a]));
    for encoding in scorer.tokenizer().encode_batch(&args.captions) {
        if encoding.is_truncated() {
            output::note(&format!(
                "a caption is longer than the context of {} tokens; its last {} tokens are truncated",
                scorer.config().text.context_length,
                encoding.dropped
            ));
        }
    }
    if args.json {
        let captions: Vec<Value> =
            (0..args.captions.len()).map(|caption| scored.json(args, caption)).collect();
        return output::print_json(&json!({
            "image": args.image,
            "model": args.model,
            "logit_scale": scorer.logit_scale(),
            "captions": captions,
            "best": order[0],
        }));
    }
    output::print(&scored.table(args, &order))?;
    if scored.hard.is_empty() {
        return Ok(());
    }
    let verdicts: Vec<String> = order
        .iter()
        .map(|&caption| {
            let text = one_line(&args.captions[caption], WIDTH);
            format!("{text}: {}", scored.verdict(caption))
        })
        .collect();
    output::print(&format!("\n{}", verdicts.join("\n")))
}

/// Generates negatives of each caption, if requested. Never generates another given caption.
fn make(args: &Score) -> Result<Vec<Made>> {
    let Some(count) = args.negatives else {
        return Ok(Vec::new());
    };
    let generator = clove_run::negatives::generator()?;
    let made = args.captions.iter().enumerate().map(|(place, caption)| {
        generator.negatives(&Request {
            caption,
            others: &clove_run::negatives::others(&args.captions, place),
            style: args.style,
            count,
            seed: args.seed,
            epoch: 0,
            index: place as u64,
        })
    });
    Ok(made.collect())
}

struct Hard {
    made: Vec<Negative>,
    /// Index of the first among all texts.
    first: usize,
    /// Number of omitted negatives, whose token ids equal those of the caption.
    unseen: usize,
    why_none: Option<WhyNone>,
}

/// All texts, captions first, and the negatives of each caption.
fn arrange(args: &Score, made: Vec<Made>, scorer: &Scorer) -> (Vec<String>, Vec<Hard>) {
    let tokenizer = scorer.tokenizer();
    let mut texts = args.captions.clone();
    let mut hard = Vec::new();
    for (caption, made) in args.captions.iter().zip(made) {
        let first = texts.len();
        let (ids, all) = (tokenizer.encode(caption).ids, made.negatives.len());
        let mut kept = made.negatives;
        kept.retain(|negative| tokenizer.encode(&negative.text).ids != ids);
        texts.extend(kept.iter().map(|negative| negative.text.clone()));
        hard.push(Hard { unseen: all - kept.len(), made: kept, first, why_none: made.why_none });
    }
    (texts, hard)
}

struct Scored {
    /// Captions first, then the negatives.
    among_all: Scores,
    /// Softmax over the captions only.
    probabilities: Vec<f32>,
    /// Negatives of each caption; empty if none are requested.
    hard: Vec<Hard>,
}

impl Scored {
    /// Similarity of a caption minus that of another text.
    fn margin(&self, caption: usize, text: usize) -> f32 {
        self.among_all.similarities[caption] - self.among_all.similarities[text]
    }

    fn json(&self, args: &Score, caption: usize) -> Value {
        let among_all = &self.among_all;
        let mut entry = json!({
            "text": args.captions[caption],
            "similarity": among_all.similarities[caption],
            "probability": self.probabilities[caption],
        });
        let Some(hard) = self.hard.get(caption) else {
            return entry;
        };
        let negatives: Vec<Value> = (hard.first..)
            .zip(&hard.made)
            .map(|(text, negative)| {
                json!({
                    "text": negative.text,
                    "kind": negative.kind,
                    "from": negative.from,
                    "to": negative.to,
                    "similarity": among_all.similarities[text],
                    "margin": self.margin(caption, text),
                    "probability_with_negatives": among_all.probabilities[text],
                })
            })
            .collect();
        entry["probability_with_negatives"] = json!(among_all.probabilities[caption]);
        entry["negatives"] = negatives.into();
        entry
    }

    fn table(&self, args: &Score, order: &[usize]) -> String {
        let has_negatives = !self.hard.is_empty();
        let mut header = vec!["caption", "similarity", "probability"];
        if has_negatives {
            header.push("with negatives");
        }
        let mut rows = vec![header.into_iter().map(str::to_owned).collect()];
        // The last column is aligned to the left.
        let mut remarks = vec![String::new()];
        let percent = |probability: f32| format!("{:5.1} %", 100.0 * probability);
        let among_all = &self.among_all;
        for &caption in order {
            let probability = self.probabilities[caption];
            let filled = (probability * BAR as f32).round() as usize;
            let mut row = vec![
                one_line(&args.captions[caption], WIDTH),
                format!("{:.4}", among_all.similarities[caption]),
                percent(probability),
            ];
            if has_negatives {
                row.push(percent(among_all.probabilities[caption]));
            }
            rows.push(row);
            remarks.push("█".repeat(filled.min(BAR)));
            let Some(hard) = self.hard.get(caption) else {
                continue;
            };
            for (text, negative) in (hard.first..).zip(&hard.made) {
                rows.push(vec![
                    format!("  not: {}", one_line(&negative.text, WIDTH)),
                    format!("{:.4}", among_all.similarities[text]),
                    String::new(),
                    percent(among_all.probabilities[text]),
                ]);
                remarks.push(change(negative));
            }
        }
        let width = remarks.iter().map(|remark| measure_text_width(remark)).max().unwrap_or(0);
        for (row, remark) in rows.iter_mut().zip(remarks).skip(1) {
            row.push(output::padded(&remark, width, Alignment::Left));
        }
        output::table(&rows)
    }

    /// Whether the model prefers a caption over its negatives.
    fn verdict(&self, caption: usize) -> String {
        let hard = &self.hard[caption];
        let unseen = match hard.unseen {
            0 => String::new(),
            unseen => format!("; {unseen} omitted, identical to the caption for the model"),
        };
        let margins = (hard.first..)
            .zip(&hard.made)
            .map(|(text, negative)| (self.margin(caption, text), negative));
        let Some((smallest, nearest)) = margins.clone().min_by(|a, b| a.0.total_cmp(&b.0)) else {
            let why = hard.why_none.map_or_else(String::new, |why| format!(": {}", why.words()));
            return format!("no negatives{why}{unseen}");
        };
        let preferred = margins.filter(|(margin, _)| *margin > 0.0).count();
        format!(
            "prefers the caption over {preferred} of {}; smallest margin {smallest:+.3} ({}){unseen}",
            counted(hard.made.len() as u64, "negative"),
            change(nearest)
        )
    }
}

/// The change of a negative: `replace_obj: horse -> cow`.
fn change(negative: &Negative) -> String {
    const PART: usize = 32;
    format!(
        "{}: {} -> {}",
        negative.kind.name(),
        one_line(&negative.from, PART),
        one_line(&negative.to, PART)
    )
}

/// Shortens a text to one line.
fn one_line(text: &str, width: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // Neutralize escape sequences.
    let line = line.replace(char::is_control, "\u{fffd}");
    truncate_str(&line, width, "…").into_owned()
}
