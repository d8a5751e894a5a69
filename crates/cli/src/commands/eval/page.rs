//! Prepares the page of `clove-report`.

use anyhow::Result;
use clove::evaluate::{Difference, ScoredRow};
use clove_report::eval::{Evaluation, Model, Results};
use clove_report::{Card, CardText};
use clove_run::evaluation::{Bench, Figures, Outcome, Photo};

use super::Tried;
use super::published::Table;
use super::words::figures;
use crate::output;
use crate::thumbnail::thumbnail;

/// Number of rows shown with the highest margins, and with the lowest.
const SHOWN: usize = 9;

pub fn page(bench: &Bench, models: &[Tried<'_>], differences: &[Option<Difference>]) -> String {
    let models = models.iter().map(|tried| Model {
        name: &tried.model,
        figures: figures(&tried.outcome.figures),
        results: results(bench, &tried.outcome),
        published: tried.published.as_ref().map(Table::words),
        unreadable: &tried.outcome.unreadable,
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
            // Only the first metric, so that each row appears once.
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

fn card(bench: &Bench, set: &str, row: &ScoredRow) -> Option<Card> {
    let example = bench.example(set, &row.id)?;
    let picture = |photo: &Photo| -> Result<String> { thumbnail(&photo.image()?) };
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
