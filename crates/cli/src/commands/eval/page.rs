//! The report as a page, for `clove-report`.

use anyhow::Result;
use clove::evaluate::{Difference, ScoredRow};
use clove_report::eval::{Evaluation, Model, Results};
use clove_report::{Card, CardText};
use clove_run::evaluation::{Bench, Figures, Outcome, Photo};

use super::published::Table;
use super::words::figures;
use crate::output;
use crate::thumbnail::thumbnail;

/// Rows with the highest margins, and with the lowest, that are shown.
const SHOWN: usize = 9;

pub fn page(
    bench: &Bench,
    models: &[(&str, &Outcome, Option<&Table>)],
    differences: &[Option<Difference>],
) -> String {
    let models = models.iter().map(|(name, outcome, published)| Model {
        name,
        figures: figures(&outcome.figures),
        results: results(bench, outcome),
        published: published.map(Table::words),
        unreadable: &outcome.unreadable,
    });
    clove_report::eval::page(&Evaluation {
        suite: bench.suite(),
        notes: &bench.notes,
        models: models.collect(),
        differences,
    })
}

fn results<'a>(bench: &Bench, outcome: &'a Outcome) -> Results<'a> {
    match &outcome.figures {
        Figures::Trials(report) => {
            // Of several metrics the first: each row once.
            let first = report.subsets.first().map(|subset| &subset.metric);
            let counted = outcome.rows.iter().zip(&report.subsets);
            let mut rows: Vec<(&str, &ScoredRow)> = counted
                .filter(|(_, subset)| Some(&subset.metric) == first)
                .flat_map(|((set, rows), _)| rows.iter().map(move |row| (set.as_str(), row)))
                .collect();
            rows.sort_by(|one, other| one.1.margin.total_cmp(&other.1.margin));
            let card = |(set, row): &(&str, &ScoredRow)| card(bench, set, row);
            Results::Trials {
                report,
                worst: rows.iter().take(SHOWN).filter_map(card).collect(),
                best: rows.iter().rev().take(SHOWN).filter_map(card).collect(),
            }
        }
        Figures::Retrieval { chance, intervals, .. } => Results::Shares {
            chance: [chance.image_to_text, chance.text_to_image].concat(),
            intervals: [intervals.image_to_text, intervals.text_to_image].concat(),
            classes: Vec::new(),
        },
        Figures::ZeroShot { report, names, chance, interval, .. } => {
            let classes = names.iter().zip(&report.classes);
            Results::Shares {
                chance: vec![*chance],
                intervals: vec![*interval],
                classes: classes
                    .filter_map(|(name, class)| Some((name.clone(), class.accuracy?)))
                    .collect(),
            }
        }
    }
}

/// A row with its pictures and texts.
fn card(bench: &Bench, set: &str, row: &ScoredRow) -> Option<Card> {
    let example = bench.example(set, &row.id)?;
    let pictures = example.photos.iter();
    let pictures = pictures.map(|photo| picture(photo).map_err(|error| output::one_line(&error)));
    let texts = example.texts.iter().enumerate().map(|(number, text)| {
        if example.is_negative(number) {
            CardText::Negative(text.clone(), None)
        } else {
            CardText::Caption(text.clone())
        }
    });
    Some(Card {
        pictures: pictures.collect(),
        texts: texts.collect(),
        footer: format!("{set} {}, margin {:+.3}", row.id, row.margin),
    })
}

/// A small picture of what's meant of a photo.
fn picture(photo: &Photo) -> Result<String> {
    thumbnail(&photo.image()?)
}
