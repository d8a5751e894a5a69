//! Test pictures with their two texts, and the models' scores.

use clove_lab::{Example, common_words};
use maud::{Markup, html};

use super::chart::px;
use super::text::{NO_FIGURE, signed};
use crate::page::clean;

/// Texts with a larger table of words are no captions and are shown without marks.
const LARGEST_COMPARISON: usize = 250_000;

/// The pictures as cards.
pub(super) fn cards(examples: &[Example]) -> Markup {
    let scores = examples.iter().flat_map(|example| &example.scores);
    let margins = scores.map(|(_, caption, negative)| f64::from(caption - negative).abs());
    let widest = margins.filter(|margin| margin.is_finite()).fold(0.0, f64::max);
    html! { div.cards { @for example in examples { (card(example, widest)) } } }
}

fn card(example: &Example, widest: f64) -> Markup {
    let (caption, negative) = marked(&example.caption, &example.negative);
    html! {
        article {
            div.seen {
                // Only inline pictures, which need no request.
                @if example.picture.starts_with("data:image/") {
                    img src=(clean(&example.picture)) alt=(clean(&example.caption)) width="112" height="112";
                } @else {
                    div.missing { "no picture" }
                }
                div {
                    p.kind { (clean(&example.kind)) }
                    p { span.tag { "caption" } (caption) }
                    p { span.tag { "negative" } (negative) }
                }
            }
            @if !example.scores.is_empty() {
                table {
                    caption.unseen { "Margin of the caption over the negative" }
                    thead.unseen {
                        tr { @for name in ["Model", "Result", "Bar", "Margin"] { th scope="col" { (name) } } }
                    }
                    tbody {
                        @for (name, caption, negative) in &example.scores {
                            (verdict(name, f64::from(caption - negative), widest))
                        }
                    }
                }
            }
        }
    }
}

/// A tie counts as wrong: the model doesn't distinguish the texts.
fn verdict(name: &str, margin: f64, widest: f64) -> Markup {
    let (class, sign, word) = if !margin.is_finite() {
        ("none", NO_FIGURE, "no figure")
    } else if margin > 0.0 {
        ("right", "✓", "correct")
    } else {
        ("wrong", "✗", "wrong")
    };
    let length =
        if margin.is_finite() && widest > 0.0 { 50.0 * (margin.abs() / widest) } else { 0.0 };
    let left = if margin < 0.0 { 50.0 - length } else { 50.0 };
    html! {
        tr class=(class) {
            th scope="row" { (clean(name)) }
            td.verdict { span aria-hidden="true" { (sign) } span.unseen { (word) } }
            td.bar {
                svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
                    rect x=(px(left)) y="1" width=(px(length)) height="8" {}
                    path d="M50 0V10" {}
                }
            }
            td.n { (signed(margin, 3)) }
        }
    }
}

/// Both texts as HTML. Words outside their longest common subsequence are marked.
fn marked(caption: &str, negative: &str) -> (Markup, Markup) {
    let left: Vec<&str> = caption.split_whitespace().collect();
    let right: Vec<&str> = negative.split_whitespace().collect();
    if (left.len() + 1).saturating_mul(right.len() + 1) > LARGEST_COMPARISON {
        return (html! { (clean(caption)) }, html! { (clean(negative)) });
    }
    let (left_common, right_common) = common_words(&left, &right);
    (with_marks(&left, &left_common, "is"), with_marks(&right, &right_common, "not"))
}

/// The words of a text; consecutive words that aren't common share a mark.
fn with_marks(words: &[&str], common: &[bool], class: &str) -> Markup {
    let pairs: Vec<(&str, bool)> = words.iter().copied().zip(common.iter().copied()).collect();
    html! {
        @for (number, run) in pairs.chunk_by(|one, other| one.1 == other.1).enumerate() {
            @let text = run.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" ");
            @if number > 0 { " " }
            @if run[0].1 { (clean(&text)) } @else { mark class=(class) { (clean(&text)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    fn marked(caption: &str, negative: &str) -> (String, String) {
        let (caption, negative) = super::marked(caption, negative);
        (caption.into_string(), negative.into_string())
    }

    #[test]
    fn marks_the_words_that_differ() {
        let (caption, negative) =
            marked("a red circle left of a blue square", "a blue circle left of a red square");
        assert_eq!(
            caption,
            r#"a <mark class="is">red</mark> circle left of a <mark class="is">blue</mark> square"#
        );
        assert_eq!(
            negative,
            r#"a <mark class="not">blue</mark> circle left of a <mark class="not">red</mark> square"#
        );
    }

    #[test]
    fn marks_what_was_added_and_escapes_it() {
        let (caption, negative) = marked("a dot", "a dot <b> & more");
        assert_eq!(caption, "a dot");
        assert_eq!(negative, r#"a dot <mark class="not">&lt;b&gt; &amp; more</mark>"#);
        assert_eq!(marked("", ""), (String::new(), String::new()));
    }

    #[test]
    fn a_text_of_thousands_of_words_is_not_compared() {
        let long = "word ".repeat(10_000);
        let (caption, _) = marked(&long, &long.to_uppercase());
        assert!(!caption.contains("<mark"));
    }
}
