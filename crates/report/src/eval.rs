//! The page of `clove eval`: the results of models on a benchmark.

use clove::evaluate::{Difference, Report, SubsetReport};
use maud::{Markup, html};

use crate::page::{self, CSS, Card, VERSION, cards, clean, list, section, table};

/// Number of best and of worst classes of zero-shot classification.
const CLASSES: usize = 12;

/// The models' results on one benchmark.
#[derive(Debug)]
pub struct Evaluation<'a> {
    /// The benchmark's name.
    pub suite: &'a str,
    /// Remarks on the benchmark.
    pub notes: &'a [String],
    /// The models; others are compared with the first.
    pub models: Vec<Model<'a>>,
    /// The difference of each other model from the first, where known.
    pub differences: &'a [Option<Difference>],
}

/// The results of a model.
#[derive(Debug)]
pub struct Model<'a> {
    /// The model's name.
    pub name: &'a str,
    /// Its figures by name, the same for all models.
    pub figures: Vec<(String, Option<f64>)>,
    /// The figures in detail.
    pub results: Results<'a>,
    /// Published figures of the benchmark, as preformatted text.
    pub published: Option<String>,
    /// Unreadable photos, with the reasons.
    pub unreadable: &'a [(String, String)],
}

/// Detailed results.
#[derive(Debug)]
pub enum Results<'a> {
    /// Choices between captions and negatives: the report, and the rows with the lowest and with the highest margins, the most
    /// extreme first.
    #[expect(missing_docs, reason = "the variant's text covers its fields")]
    Trials { report: &'a Report, worst: Vec<Card>, best: Vec<Card> },
    /// Retrieval and zero-shot classification.
    Shares {
        /// The chance level of each of [`Model::figures`]; may be shorter.
        chance: Vec<f64>,
        /// The 95 % interval of each of [`Model::figures`]; may be shorter.
        intervals: Vec<Option<[f64; 2]>>,
        /// Accuracy by class, if any.
        classes: Vec<(String, f64)>,
    },
}

/// The page.
pub fn page(found: &Evaluation<'_>) -> String {
    let main = html! {
        header {
            h1 { (clean(found.suite)) }
            @for note in found.notes { p { (clean(note)) } }
        }
        @if found.models.len() > 1 { (section("Comparison", &comparison(found))) }
        @for model in &found.models {
            (section(model.name, &html! {
                @match &model.results {
                    Results::Trials { report, worst, best } => (trials(report, worst, best)),
                    Results::Shares { chance, intervals, classes } => {
                        (plain(&model.figures, chance, intervals, classes))
                    }
                }
                @if let Some(published) = &model.published { pre { (clean(published)) } }
                (unreadable(model.unreadable))
            }))
        }
    };
    page::frame(&format!("clove eval: {}", found.suite), VERSION, CSS, &main)
}

fn unreadable(photos: &[(String, String)]) -> Markup {
    let photos: Vec<String> = photos.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    list("Unreadable photos", &photos, usize::MAX)
}

fn comparison(found: &Evaluation<'_>) -> Markup {
    let models = &found.models;
    let head = html! { th {} @for model in models { th { (clean(model.name)) } } };
    let rows = html! {
        @for (number, (name, _)) in models[0].figures.iter().enumerate() {
            tr {
                th { (clean(name)) }
                @for model in models {
                    td { (percent(model.figures.get(number).and_then(|(_, share)| *share))) }
                }
            }
        }
    };
    html! {
        (table(None, &head, &rows))
        @for (model, difference) in models.iter().skip(1).zip(found.differences) {
            @if let Some(difference) = difference {
                p {
                    (clean(model.name)) ": "
                    (format_args!("{:+.1}", 100.0 * difference.macro_mean))
                    " points relative to the first model, mean over subsets (95 % bootstrap interval: "
                    (format_args!("{:+.1}", 100.0 * difference.interval[0])) " to "
                    (format_args!("{:+.1}", 100.0 * difference.interval[1])) ")."
                }
            }
        }
    }
}

fn trials(report: &Report, worst: &[Card], best: &[Card]) -> Markup {
    html! {
        p {
            "Mean over subsets " (percent(report.macro_mean)) " %"
            (within(report.intervals.map(|found| found.macro_mean)))
            ", mean over rows " (percent(report.weighted_mean)) " %"
            (within(report.intervals.map(|found| found.weighted_mean))) "."
            @if let Some(lift) = &report.image_lift {
                " This is " (format_args!("{:+.1}", 100.0 * lift.lift)) " points relative to the best blind baseline, “"
                (clean(&lift.baseline)) "”, which does not see the photo."
            }
        }
        (accuracies(report))
        p {
            small {
                "Bars: accuracy. Horizontal lines: 95 % bootstrap intervals, resampled by photo. Vertical marks: the best \
                 blind baseline. A tie counts as wrong."
            }
        }
        h3 { "Blind baselines, accuracy in %" }
        (blind(report))
        @if !report.skipped_rows.is_empty() {
            p { "Not scored because two of their texts are equal: " (clean(&report.skipped_rows.join(", "))) "." }
        }
        @if !worst.is_empty() { h3 { "Lowest margins" } (cards(worst)) }
        @if !best.is_empty() { h3 { "Highest margins" } (cards(best)) }
    }
}

fn within(interval: Option<[f64; 2]>) -> Markup {
    html! { @if interval.is_some() { " (" (spread(interval)) ")" } }
}

/// A bar for each subset, with its interval and the best blind baseline.
fn accuracies(report: &Report) -> Markup {
    let best = |number: usize| {
        let shares = report.blind.iter().filter_map(|blind| {
            let share = blind.scored_rows.subsets.get(number)?.accuracy?;
            Some((share, &blind.baseline))
        });
        shares.max_by(|one, other| one.0.total_cmp(&other.0))
    };
    let names =
        ["", "", "Accuracy, %", "95 % interval", "Best blind baseline", "Rows", "Ties", "Missing"];
    let head = html! { @for name in names { th { (name) } } };
    let rows = html! {
        @for (number, subset) in report.subsets.iter().enumerate() {
            tr {
                th { (clean(&subset.title())) }
                td { (bar(subset, best(number).map(|(share, _)| share))) }
                td { (percent(subset.accuracy)) }
                td { (spread(subset.interval)) }
                td {
                    @if let Some((share, name)) = best(number) {
                        (percent(Some(share))) " " (clean(&short(name)))
                    }
                }
                @for count in [subset.rows, subset.ties, subset.missing] { td { (count) } }
            }
        }
    };
    table(Some("marked"), &head, &rows)
}

fn bar(subset: &SubsetReport, blind: Option<f64>) -> Markup {
    html! {
        @if let Some(accuracy) = subset.accuracy {
            span.mark {
                i style={ "width:" (share_of_width(accuracy)) } {}
                @if let Some([low, high]) = subset.interval {
                    u style={ "left:" (share_of_width(low)) ";width:" (share_of_width(high - low)) } {}
                }
                @if let Some(blind) = blind { b style={ "left:" (share_of_width(blind)) } {} }
            }
        }
    }
}

fn blind(report: &Report) -> Markup {
    let head = html! {
        th {} th { "Model" }
        @for blind in &report.blind { th { (clean(&short(&blind.baseline))) } }
    };
    let rows = html! {
        @for (number, subset) in report.subsets.iter().enumerate() {
            tr {
                th { (clean(&subset.title())) }
                td { (percent(subset.accuracy)) }
                @for blind in &report.blind {
                    td { (percent(blind.scored_rows.subsets.get(number).and_then(|found| found.accuracy))) }
                }
            }
        }
    };
    table(None, &head, &rows)
}

/// Retrieval and zero-shot classification.
fn plain(
    figures: &[(String, Option<f64>)],
    chance: &[f64],
    intervals: &[Option<[f64; 2]>],
    classes: &[(String, f64)],
) -> Markup {
    let rows = figures.iter().enumerate();
    let rows =
        rows.map(|(number, (name, share))| (name.as_str(), *share, chance.get(number).copied()));
    let named: Vec<String> = figures
        .iter()
        .zip(intervals)
        .filter_map(|((name, _), interval)| Some(format!("{name} {}", spread(Some((*interval)?)))))
        .collect();
    let mut sorted: Vec<_> =
        classes.iter().map(|(name, share)| (name.as_str(), Some(*share), None)).collect();
    sorted.sort_by(|one, other| other.1.unwrap_or(0.0).total_cmp(&one.1.unwrap_or(0.0)));
    html! {
        (shares(&rows.collect::<Vec<_>>()))
        p { "95 % bootstrap intervals, resampled by photo, in %: " (clean(&named.join(", "))) "." }
        @if !sorted.is_empty() {
            h3 { "Best classes" }
            (shares(&sorted.iter().take(CLASSES).copied().collect::<Vec<_>>()))
            h3 { "Worst classes" }
            (shares(&sorted.iter().rev().take(CLASSES).copied().collect::<Vec<_>>()))
        }
    }
}

/// Name, share and chance with a bar each; without the column of chance where it is unknown.
fn shares(rows: &[(&str, Option<f64>, Option<f64>)]) -> Markup {
    let knows_chance = rows.iter().any(|(_, _, chance)| chance.is_some());
    let head = html! { th {} th {} th { "Accuracy, %" } @if knows_chance { th { "Chance, %" } } };
    let rows = html! {
        @for (name, share, chance) in rows {
            tr {
                th dir="auto" { (clean(name)) }
                td {
                    span.mark {
                        i style={ "width:" (share_of_width(share.unwrap_or(0.0))) } {}
                        @if let Some(chance) = chance { b style={ "left:" (share_of_width(*chance)) } {} }
                    }
                }
                td { (percent(*share)) }
                @if knows_chance { td { @if chance.is_some() { (percent(*chance)) } } }
            }
        }
    };
    table(Some("marked"), &head, &rows)
}

fn share_of_width(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// A share from 0 to 1 in percent with one decimal; `-` for none.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", 100.0 * share))
}

/// An interval of shares in percent; empty for none.
pub fn spread(interval: Option<[f64; 2]>) -> String {
    interval.map_or_else(String::new, |[low, high]| {
        format!("{:.1} to {:.1}", 100.0 * low, 100.0 * high)
    })
}

/// A baseline's name, short enough for a column heading.
pub fn short(baseline: &str) -> String {
    baseline
        .replace("shorter caption (words)", "fewer words")
        .replace("shorter caption (characters)", "fewer letters")
        .replace("no final full stop", "no stop")
        .replace("bigram model (sum log p)", "bigram sum")
        .replace("bigram model (mean log p)", "bigram mean")
        .replace("text tower, mean photo", "mean photo")
        .replace("text tower, other photos", "other photos")
}
