//! The report as a page.

use super::{Card, Report, remarks, style_name, summary};
use crate::commands::data::spread::Spread;
use crate::page::{self, escape, put, section};

/// Texts on a card, at most, of captions and of negatives.
const TEXTS: usize = 6;

/// Rows of a list, at most.
const LISTED: usize = 50;

pub fn page(report: &Report) -> String {
    let mut main = String::new();
    put(
        &mut main,
        format_args!("<header><h1>{}</h1><p>", escape(&report.set)),
    );
    put(
        &mut main,
        format_args!("{}.</p></header>", escape(&summary(report))),
    );
    main.push_str(&captions(report));
    main.push_str(&images(report));
    main.push_str(&made(report));
    if !report.skipped.is_empty() {
        let counts = report
            .skipped
            .iter()
            .map(|(kind, count)| (kind.clone(), *count));
        let first = report.skipped_first.iter();
        let first: Vec<String> = first
            .map(|(place, why)| format!("{place}: {why}"))
            .collect();
        let body = bars(&counts.collect::<Vec<_>>()) + &list("The first", &first);
        main.push_str(&section("Skipped", &body));
    }
    if !report.cards.is_empty() {
        let cards: String = report.cards.iter().map(card).collect();
        main.push_str(&section(
            "Pictures",
            &format!(r#"<div class="cards">{cards}</div>"#),
        ));
    }
    page::frame(&report.set, &main)
}

fn captions(report: &Report) -> String {
    let captions = &report.captions;
    let mut body = spreads(&[
        ("Captions of a sample", &report.captions_per_sample),
        ("Words", &captions.words),
        ("Tokens, with start and end", &captions.tokens),
    ]);
    for remark in remarks(report) {
        put(&mut body, format_args!("<p>{}.</p>", escape(&remark)));
    }
    if !captions.frequent.is_empty() {
        body.push_str("<h3>Most frequent</h3>");
        body.push_str(&bars(&captions.frequent));
    }
    section("Captions", &body)
}

fn images(report: &Report) -> String {
    let images = &report.images;
    let mut body = format!("<p>{} were opened.</p>", images.tried);
    body.push_str(&spreads(&[
        ("Width", &images.width),
        ("Height", &images.height),
        ("Shorter side", &images.shorter_side),
        ("Longer side, % of the shorter", &images.aspect_percent),
    ]));
    let groups = &images.by_shorter_side;
    let named = groups.iter().enumerate().map(|(at, (from, count))| {
        let name = match groups.get(at + 1) {
            Some((next, _)) => format!("{from}–{}", next - 1),
            None => format!("{from} and more"),
        };
        (name, *count)
    });
    body.push_str("<h3>By shorter side</h3>");
    body.push_str(&bars(&named.collect::<Vec<_>>()));
    let formats = images.formats.iter();
    body.push_str("<h3>Formats</h3>");
    let formats: Vec<_> = formats
        .map(|(name, count)| (name.clone(), *count))
        .collect();
    body.push_str(&bars(&formats));
    let smallest = images.smallest.iter();
    let smallest: Vec<String> = smallest
        .map(|(name, width, height)| format!("{width} × {height}: {name}"))
        .collect();
    body.push_str(&list("The smallest", &smallest));
    let unreadable = images.unreadable.iter();
    let unreadable: Vec<String> = unreadable.map(|(_, reason)| reason.clone()).collect();
    body.push_str(&list("Can't be read", &unreadable));
    section("Images", &body)
}

fn made(report: &Report) -> String {
    let mut body = String::new();
    for (style, found) in &report.yields {
        let why = found
            .why_none()
            .map_or(String::new(), |why| format!("; {why}"));
        put(
            &mut body,
            format_args!(
                "<h3>{}</h3><p>{}</p><pre>{}</pre>",
                style_name(*style),
                escape(&format!("{}{why}.", found.summary())),
                escape(found.kinds().trim_end())
            ),
        );
    }
    if body.is_empty() {
        return body;
    }
    section("Hard negatives made of captions", &body)
}

fn card(card: &Card) -> String {
    let picture = match &card.picture {
        Ok(url) => format!(r#"<img src="{}" alt="" loading="lazy">"#, escape(url)),
        Err(reason) => format!(r#"<p class="missing">{}</p>"#, escape(reason)),
    };
    let mut texts = String::new();
    for caption in card.captions.iter().take(TEXTS) {
        put(
            &mut texts,
            format_args!(r#"<p dir="auto">{}</p>"#, escape(caption)),
        );
    }
    more(&mut texts, card.captions.len());
    for (style, negative) in card.negatives.iter().take(TEXTS) {
        let style = style.map_or("of the set", style_name);
        put(
            &mut texts,
            format_args!(
                r#"<p class="not" dir="auto">{}<small>{style}</small></p>"#,
                escape(negative)
            ),
        );
    }
    more(&mut texts, card.negatives.len());
    format!(
        "<article>{picture}{texts}<footer>{}</footer></article>",
        escape(&card.place)
    )
}

fn more(texts: &mut String, count: usize) {
    if count > TEXTS {
        put(
            texts,
            format_args!("<p><small>and {} more</small></p>", count - TEXTS),
        );
    }
}

fn spreads(rows: &[(&str, &Spread)]) -> String {
    let cells = |cells: [String; 5], tag: &str| {
        let cells = cells.map(|cell| format!("<{tag}>{cell}</{tag}>"));
        cells.concat()
    };
    let head = cells(Spread::COLUMNS.map(str::to_owned), "th");
    let mut table = format!(r#"<div class="scroll"><table><tr><th></th>{head}</tr>"#);
    for (name, spread) in rows {
        put(
            &mut table,
            format_args!("<tr><th>{name}</th>{}</tr>", cells(spread.cells(), "td")),
        );
    }
    table + "</table></div>"
}

/// Counts with a bar each.
fn bars(rows: &[(String, usize)]) -> String {
    let most = rows
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(0)
        .max(1);
    let mut table = r#"<table class="bars">"#.to_owned();
    for (name, count) in rows {
        put(
            &mut table,
            format_args!(
                r#"<tr><th dir="auto">{}</th><td><i style="width:{:.1}%"></i></td><td>{count}</td></tr>"#,
                escape(name),
                100.0 * *count as f64 / most as f64
            ),
        );
    }
    table + "</table>"
}

fn list(title: &str, rows: &[String]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut html = format!("<h3>{title}</h3><ul>");
    for row in rows.iter().take(LISTED) {
        put(&mut html, format_args!("<li>{}</li>", escape(row)));
    }
    if rows.len() > LISTED {
        put(
            &mut html,
            format_args!(
                "<li>and {} more; --json names all</li>",
                rows.len() - LISTED
            ),
        );
    }
    html + "</ul>"
}
