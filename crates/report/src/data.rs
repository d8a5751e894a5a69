//! The page of `clove data inspect`: the content of an image-text set.

use maud::{Markup, html};

use crate::page::{self, CSS, Card, VERSION, cards, clean, list, section, table};

/// Most rows of a list.
const LISTED: usize = 50;

/// The findings in a set.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// The set's name.
    pub set: String,
    /// The counts, in one sentence without its full stop.
    pub summary: String,
    /// Headings of the columns of every distribution.
    pub columns: Vec<String>,
    /// Its captions.
    pub captions: Captions,
    /// Its images.
    pub images: Images,
    /// Hard negatives made from the captions.
    pub negatives: Vec<Negatives>,
    /// Reasons for skipping, with the number of samples.
    pub skipped: Vec<(String, usize)>,
    /// The first skipped samples, each with its reason.
    pub first_skipped: Vec<String>,
    /// Sample cards.
    pub cards: Vec<Card>,
}

/// A row of a table of distributions: its name and a cell for each of [`Inspection::columns`].
pub type Distribution = (&'static str, Vec<String>);

/// The captions of a set.
#[derive(Debug, Clone, Default)]
pub struct Captions {
    /// Distributions, such as lengths.
    pub distributions: Vec<Distribution>,
    /// Sentences without their full stops.
    pub remarks: Vec<String>,
    /// The most frequent captions with their counts.
    pub frequent: Vec<(String, usize)>,
}

/// The opened images of a set.
#[derive(Debug, Clone, Default)]
pub struct Images {
    /// The number of opened images.
    pub opened: usize,
    /// Distributions, such as sizes.
    pub distributions: Vec<Distribution>,
    /// Counts by shorter side, from a number of pixels up to the next entry.
    pub by_shorter_side: Vec<(u32, usize)>,
    /// Counts by file format.
    pub formats: Vec<(String, usize)>,
    /// The smallest: name, width, height.
    pub smallest: Vec<(String, u32, u32)>,
    /// Unreadable images, with the reasons.
    pub unreadable: Vec<String>,
}

/// The hard negatives of a style.
#[derive(Debug, Clone)]
pub struct Negatives {
    /// The style's name.
    pub style: String,
    /// The counts, in one sentence without its full stop.
    pub summary: String,
    /// A table of the kinds, as preformatted text.
    pub kinds: String,
}

/// The page.
pub fn page(found: &Inspection) -> String {
    let main = html! {
        header { h1 { (clean(&found.set)) } p { (clean(&found.summary)) "." } }
        (section("Captions", &captions(found)))
        (section("Images", &images(found)))
        @if !found.negatives.is_empty() {
            (section("Hard negatives made from the captions", &negatives(&found.negatives)))
        }
        @if !found.skipped.is_empty() {
            (section("Skipped samples", &html! {
                (bars(&found.skipped))
                (list("First skipped", &found.first_skipped, LISTED))
            }))
        }
        @if !found.cards.is_empty() { (section("Samples", &cards(&found.cards))) }
    };
    page::frame(&found.set, VERSION, CSS, &main)
}

fn captions(found: &Inspection) -> Markup {
    let captions = &found.captions;
    html! {
        (distributions(&found.columns, &captions.distributions))
        @for remark in &captions.remarks { p { (clean(remark)) "." } }
        @if !captions.frequent.is_empty() { h3 { "Most frequent captions" } (bars(&captions.frequent)) }
    }
}

fn images(found: &Inspection) -> Markup {
    let images = &found.images;
    let groups = &images.by_shorter_side;
    let sides = groups.iter().enumerate().map(|(at, (from, count))| {
        let name = match groups.get(at + 1) {
            Some((next, _)) => format!("{from}–{}", next - 1),
            None => format!("{from} or more"),
        };
        (name, *count)
    });
    let smallest = images.smallest.iter();
    let smallest: Vec<String> =
        smallest.map(|(name, width, height)| format!("{width} × {height}: {name}")).collect();
    html! {
        p { "Opened " (images.opened) @if images.opened == 1 { " image." } @else { " images." } }
        (distributions(&found.columns, &images.distributions))
        h3 { "Shorter side, in pixels" }
        (bars(&sides.collect::<Vec<_>>()))
        h3 { "Formats" }
        (bars(&images.formats))
        (list("Smallest images", &smallest, LISTED))
        (list("Unreadable images", &images.unreadable, LISTED))
    }
}

fn negatives(styles: &[Negatives]) -> Markup {
    html! {
        @for made in styles {
            h3 { (clean(&made.style)) }
            p { (clean(&made.summary)) "." }
            pre { (clean(made.kinds.trim_end())) }
        }
    }
}

fn distributions(columns: &[String], rows: &[Distribution]) -> Markup {
    let head = html! { th {} @for column in columns { th { (clean(column)) } } };
    let rows = html! {
        @for (name, cells) in rows { tr { th { (name) } @for cell in cells { td { (clean(cell)) } } } }
    };
    table(None, &head, &rows)
}

/// Counts with a bar each.
fn bars(rows: &[(String, usize)]) -> Markup {
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    html! {
        table.bars {
            @for (name, count) in rows {
                tr {
                    th dir="auto" { (clean(name)) }
                    td { i style={ "width:" (format_args!("{:.1}", 100.0 * *count as f64 / most as f64)) "%" } {} }
                    td { (count) }
                }
            }
        }
    }
}
