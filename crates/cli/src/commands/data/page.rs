//! The report as a page, for `clove-report`.

use clove_report::data::{Captions, Images, Inspection, Negatives};
use clove_report::{Card, CardText};

use super::spread::Spread;
use super::{Report, remarks, style_name, summary};
use crate::output;

/// Texts on a card, at most, of captions and of negatives.
const TEXTS: usize = 6;

pub fn page(report: &Report) -> String {
    let (captions, images) = (&report.captions, &report.images);
    let first_skipped = report.skipped_first.iter();
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
        cards: report.cards.iter().map(card).collect(),
    })
}

fn row(name: &'static str, spread: &Spread) -> (&'static str, Vec<String>) {
    (name, spread.cells().to_vec())
}

fn negatives(report: &Report) -> Vec<Negatives> {
    let styles = report.yields.iter().map(|(style, found)| {
        let why = found.why_none().map_or(String::new(), |why| format!("; {why}"));
        Negatives {
            style: style_name(*style).to_owned(),
            summary: format!("{}{why}", found.summary()),
            kinds: output::table(&found.kinds()),
        }
    });
    styles.collect()
}

fn card(card: &super::Card) -> Card {
    let captions = card.captions.iter();
    let captions = captions.map(|text| CardText::Caption(text.clone()));
    let made = card.negatives.iter().map(|(style, text)| {
        let origin = style.map_or("from the data set", style_name);
        CardText::Negative(text.clone(), Some(origin.to_owned()))
    });
    Card {
        pictures: vec![card.picture.clone()],
        texts: cut(captions).into_iter().chain(cut(made)).collect(),
        footer: card.place.clone(),
    }
}

/// The first texts, and how many more there are.
fn cut(texts: impl ExactSizeIterator<Item = CardText>) -> Vec<CardText> {
    let more = texts.len().saturating_sub(TEXTS);
    let more = (more > 0).then(|| CardText::Note(format!("and {more} more")));
    texts.take(TEXTS).chain(more).collect()
}
