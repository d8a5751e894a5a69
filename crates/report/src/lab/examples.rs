//! Test pictures with their two texts, and what the models make of them.

use super::text::{NO_FIGURE, escape, put, signed};
use clove_lab::Example;

/// Texts whose words make a larger table than this are shown without marks: they're no captions.
const LARGEST_COMPARISON: usize = 250_000;

/// Figures of a picture as cards.
pub(super) fn cards(examples: &[Example]) -> String {
    let widest = examples
        .iter()
        .flat_map(|example| &example.scores)
        .map(|(_, caption, negative)| f64::from(caption - negative).abs())
        .filter(|margin| margin.is_finite())
        .fold(0.0, f64::max);
    let cards: String = examples
        .iter()
        .map(|example| card(example, widest))
        .collect();
    format!(r#"<div class="cards">{cards}</div>"#)
}

fn card(example: &Example, widest: f64) -> String {
    let (caption, negative) = marked(&example.caption, &example.negative);
    // Only a picture that is in the page already: nothing is fetched for it.
    let picture = if example.picture.starts_with("data:image/") {
        format!(
            r#"<img src="{}" alt="{}" width="112" height="112">"#,
            escape(&example.picture),
            escape(&example.caption)
        )
    } else {
        r#"<div class="missing">no picture</div>"#.to_owned()
    };
    let rows: String = example
        .scores
        .iter()
        .map(|(name, caption, negative)| verdict(name, *caption, *negative, widest))
        .collect();
    let table = if rows.is_empty() {
        String::new()
    } else {
        format!(
            r#"<table><caption class="unseen">Margin of the caption over the negative</caption><thead class="unseen"><tr><th scope="col">Model</th><th scope="col">Verdict</th><th scope="col">Bar</th><th scope="col">Margin</th></tr></thead><tbody>{rows}</tbody></table>"#
        )
    };
    format!(
        r#"<article><div class="seen">{picture}<div><p class="kind">{}</p><p><span class="tag">caption</span>{caption}</p><p><span class="tag">negative</span>{negative}</p></div></div>{table}</article>"#,
        escape(&example.kind)
    )
}

/// A tie is wrong: the model has not told the texts apart.
fn verdict(name: &str, caption: f32, negative: f32, widest: f64) -> String {
    let margin = f64::from(caption - negative);
    let (class, sign, word) = if !margin.is_finite() {
        ("none", NO_FIGURE, "no figure")
    } else if margin > 0.0 {
        ("right", "✓", "right")
    } else {
        ("wrong", "✗", "wrong")
    };
    let length = if margin.is_finite() && widest > 0.0 {
        50.0 * (margin.abs() / widest)
    } else {
        0.0
    };
    let left = if margin < 0.0 { 50.0 - length } else { 50.0 };
    format!(
        r#"<tr class="{class}"><th scope="row">{}</th><td class="verdict"><span aria-hidden="true">{sign}</span><span class="unseen">{word}</span></td><td class="bar"><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect x="{left:.1}" y="1" width="{length:.1}" height="8"/><path d="M50 0V10"/></svg></td><td class="n">{}</td></tr>"#,
        escape(name),
        signed(margin, 3)
    )
}

/// Both texts as HTML, with the words marked that are not in their longest common sequence.
fn marked(caption: &str, negative: &str) -> (String, String) {
    let left: Vec<&str> = caption.split_whitespace().collect();
    let right: Vec<&str> = negative.split_whitespace().collect();
    let width = right.len() + 1;
    if (left.len() + 1).saturating_mul(width) > LARGEST_COMPARISON {
        return (escape(caption), escape(negative));
    }
    // longest[i * width + j]: length of the longest common sequence of left[i..] and right[j..].
    let mut longest = vec![0usize; (left.len() + 1) * width];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            longest[i * width + j] = if left[i] == right[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let mut differs = (vec![true; left.len()], vec![true; right.len()]);
    let (mut i, mut j) = (0, 0);
    while i < left.len() && j < right.len() {
        if left[i] == right[j] {
            differs.0[i] = false;
            differs.1[j] = false;
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    (
        with_marks(&left, &differs.0, "is"),
        with_marks(&right, &differs.1, "not"),
    )
}

/// Runs of marked words share one mark.
fn with_marks(words: &[&str], differs: &[bool], class: &str) -> String {
    let mut html = String::new();
    let mut is_open = false;
    for (index, (word, differs)) in words.iter().zip(differs).enumerate() {
        if is_open && !differs {
            html.push_str("</mark>");
        }
        if index > 0 {
            html.push(' ');
        }
        if *differs && !is_open {
            put(&mut html, format_args!(r#"<mark class="{class}">"#));
        }
        is_open = *differs;
        html.push_str(&escape(word));
    }
    if is_open {
        html.push_str("</mark>");
    }
    html
}

#[cfg(test)]
mod tests {
    use super::marked;

    #[test]
    fn marks_the_words_that_differ() {
        let (caption, negative) = marked(
            "a red circle left of a blue square",
            "a blue circle left of a red square",
        );
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
        assert_eq!(
            negative,
            r#"a dot <mark class="not">&lt;b&gt; &amp; more</mark>"#
        );
        assert_eq!(marked("", ""), (String::new(), String::new()));
    }

    #[test]
    fn a_text_of_thousands_of_words_is_not_compared() {
        let long = "word ".repeat(10_000);
        let (caption, _) = marked(&long, &long.to_uppercase());
        assert!(!caption.contains("<mark"));
    }
}
