//! The frame of all pages, and shared blocks.

use std::borrow::Cow;

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The style of the pages of `clove eval` and `clove data inspect`.
pub(crate) const CSS: &str = include_str!("page.css");

/// The version of the program, which this crate shares.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A page: its title, the version of the program, its style and the content of `<main>`.
pub(crate) fn frame(title: &str, version: &str, css: &str, main: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "clove " (clean(version)) };
                link rel="icon" href="data:,";
                title { (clean(title)) }
                style { (PreEscaped(css)) }
            }
            body { main { (main) } }
        }
    }
    .into_string()
}

/// A section with a heading.
pub(crate) fn section(title: &str, body: &Markup) -> Markup {
    html! { section { h2 { (clean(title)) } (body) } }
}

/// A table that scrolls sideways on a narrow page.
pub(crate) fn table(class: Option<&str>, head: &Markup, rows: &Markup) -> Markup {
    html! { div.scroll { table class=[class] { tr { (head) } (rows) } } }
}

/// Text that HTML and XML accept: control characters become U+FFFD. `maud` escapes the rest.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    // XML 1.0 can't express U+FFFE and U+FFFF; an SVG with one is refused.
    let is_refused = |letter: char| {
        letter.is_control() && !matches!(letter, '\t' | '\n' | '\r')
            || matches!(letter, '\u{fffe}' | '\u{ffff}')
    };
    if text.contains(is_refused) {
        Cow::Owned(text.replace(is_refused, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A picture with its texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Data URLs of the pictures, or the reasons for missing ones.
    pub pictures: Vec<Result<String, String>>,
    /// The texts, in order.
    pub texts: Vec<CardText>,
    /// The source of the row or sample.
    pub footer: String,
}

/// A text on a [`Card`].
#[derive(Debug, Clone, PartialEq)]
pub enum CardText {
    /// A text that fits the picture.
    Caption(String),
    /// A text that doesn't, and optionally how it was made.
    Negative(String, Option<String>),
    /// A remark.
    Note(String),
}

/// A grid of cards; empty without cards.
pub(crate) fn cards(cards: &[Card]) -> Markup {
    html! {
        @if !cards.is_empty() {
            div.cards {
                @for card in cards {
                    article {
                        @for picture in &card.pictures {
                            @match picture {
                                Ok(url) => { img src=(clean(url)) alt="" loading="lazy"; }
                                Err(reason) => { p.missing { (clean(reason)) } }
                            }
                        }
                        @for text in &card.texts { (card_text(text)) }
                        footer { (clean(&card.footer)) }
                    }
                }
            }
        }
    }
}

fn card_text(text: &CardText) -> Markup {
    html! {
        @match text {
            CardText::Caption(text) => { p dir="auto" { (clean(text)) } }
            CardText::Negative(text, origin) => {
                p.not dir="auto" {
                    (clean(text))
                    @if let Some(origin) = origin { small { (clean(origin)) } }
                }
            }
            CardText::Note(text) => { p { small { (clean(text)) } } }
        }
    }
}

/// A list under a heading, cut after `most` entries; empty without entries.
pub(crate) fn list(title: &str, entries: &[String], most: usize) -> Markup {
    html! {
        @if !entries.is_empty() {
            h3 { (title) }
            ul {
                @for entry in entries.iter().take(most) { li { (clean(entry)) } }
                @if entries.len() > most {
                    li { "and " (entries.len() - most) " more; --json lists all" }
                }
            }
        }
    }
}
