//! Prepares the page of `clove-report`.

use clove_data::sets::Sample;
use clove_negatives::Style;
use clove_report::data::{Captions, Images, Inspection, Negatives};
use clove_report::{Card, CardText};

use super::images::Thumbnail;
use super::spread::Spread;
use super::{QUOTED, Report, remarks, summary};
use crate::output;

/// Maximum number of captions, and of negatives, on a card.
const TEXTS: usize = 6;

pub fn page(report: &Report) -> String {
    let (captions, images) = (&report.captions, &report.images);
    let first_skipped = report.skipped_samples.iter().take(QUOTED);
    clove_report::data::page(&Inspection {
        set: report.set.clone(),
        summary: summary(report),
        columns: ["Minimum", "Median", "Mean", "95th percentile", "Maximum"]
            .map(str::to_owned)
            .to_vec(),
        captions: Captions {
            distributions: vec![
                row("Captions per sample", &report.captions_per_sample),
                row("Words per caption", &captions.words),
                row("Tokens per caption, with start and end", &captions.tokens),
            ],
            remarks: remarks(report),
            frequent: captions.frequent.clone(),
        },
        images: Images {
            opened: images.tried,
            distributions: vec![
                row("Width", &images.width),
                row("Height", &images.height),
                row("Shorter side", &images.shorter_side),
                row("Longer side, % of the shorter", &images.aspect_percent),
            ],
            by_shorter_side: images.by_shorter_side.clone(),
            formats: images.formats.clone().into_iter().collect(),
            smallest: images.smallest.clone(),
            unreadable: images.unreadable.iter().map(|(_, reason)| reason.clone()).collect(),
        },
        negatives: negatives(report),
        skipped: report.skipped.clone(),
        first_skipped: first_skipped.map(|(place, why)| format!("{place}: {why}")).collect(),
        cards: report.cards.clone(),
    })
}

fn row(name: &'static str, spread: &Spread) -> (&'static str, Vec<String>) {
    (name, spread.cells().to_vec())
}

fn negatives(report: &Report) -> Vec<Negatives> {
    let styles = report.made_negatives.iter().map(|(style, found)| {
        let why = found.why_none().map_or(String::new(), |why| format!("; {why}"));
        Negatives {
            style: style.name().to_owned(),
            summary: format!("{}{why}", found.summary()),
            kinds: output::table(&found.kinds()),
        }
    });
    styles.collect()
}

/// The card of a sample with generated negatives.
pub fn card(sample: &Sample, picture: Thumbnail, made: Vec<(Style, String)>) -> Card {
    let captions = sample.captions.iter().cloned().map(CardText::Caption);
    let brought = sample.negatives.iter().map(|text| (text.clone(), "from the data set"));
    let made = made.into_iter().map(|(style, text)| (text, style.name()));
    let negatives: Vec<(String, &str)> = brought.chain(made).collect();
    let negatives = negatives.into_iter();
    let negatives =
        negatives.map(|(text, origin)| CardText::Negative(text, Some(origin.to_owned())));
    Card {
        pictures: vec![picture],
        texts: cut(captions).into_iter().chain(cut(negatives)).collect(),
        footer: sample.image.to_string(),
    }
}

fn cut(texts: impl ExactSizeIterator<Item = CardText>) -> Vec<CardText> {
    let more = texts.len().saturating_sub(TEXTS);
    let more = (more > 0).then(|| CardText::Note(format!("and {more} more")));
    texts.take(TEXTS).chain(more).collect()
}
