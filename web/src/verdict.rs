//! The verdict on captions and their wrong captions.
//!
//! A wrong caption belongs to the nearest caption above it, or else to the first below.

/// A scored row.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The caption.
    pub text: String,
    /// Whether it's a wrong caption.
    pub wrong: bool,
    /// Its similarity with the image.
    pub similarity: f32,
}

/// A caption's similarity minus that of its best wrong caption.
#[derive(Debug, Clone, PartialEq)]
pub struct Margin {
    /// The caption's row.
    pub caption: usize,
    /// The row of its best wrong caption.
    pub rival: usize,
    /// Negative if the wrong caption is preferred.
    pub by: f32,
}

/// The verdict on a list of rows.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant's text covers its fields")]
pub enum Verdict {
    /// No caption is scored.
    Nothing,
    /// One caption, without wrong captions.
    Alone { similarity: f32 },
    /// Captions without wrong captions: the best, and its similarity minus that of the next.
    Best { text: String, by: f32 },
    /// One caption with wrong captions: the margin (negative if a wrong caption is preferred, zero for a tie), and the best wrong
    /// caption.
    One { by: f32, rival: String },
    /// Several captions with wrong captions: how many are preferred to all of their wrong captions, how many have any, and the
    /// smallest margin.
    Several { right: usize, of: usize, smallest: f32 },
}

/// The row of each wrong caption's caption; `None` for captions.
pub fn owners(wrong: &[bool]) -> Vec<Option<usize>> {
    let first = wrong.iter().position(|wrong| !wrong);
    let mut latest = first;
    let owner = |(place, &wrong): (usize, &bool)| {
        if !wrong {
            latest = Some(place);
        }
        latest.filter(|_| wrong)
    };
    wrong.iter().enumerate().map(owner).collect()
}

/// The margin of each caption with wrong captions, in the order of the rows.
pub fn margins(wrong: &[bool], similarities: &[f32]) -> Vec<Margin> {
    let mut found: Vec<Margin> = Vec::new();
    for (place, (owner, &similarity)) in owners(wrong).into_iter().zip(similarities).enumerate() {
        let Some(of) = owner else { continue };
        let Some(best) = similarities.get(of) else {
            continue;
        };
        let by = best - similarity;
        match found.last_mut() {
            Some(last) if last.caption == of => {
                if by < last.by {
                    (last.rival, last.by) = (place, by);
                }
            }
            _ => found.push(Margin { caption: of, rival: place, by }),
        }
    }
    found
}

/// The verdict on scored rows.
pub fn verdict(rows: &[Scored]) -> Verdict {
    let wrong: Vec<bool> = rows.iter().map(|row| row.wrong).collect();
    let similarities: Vec<f32> = rows.iter().map(|row| row.similarity).collect();
    let margins = margins(&wrong, &similarities);
    match margins.as_slice() {
        [] => among_equals(rows),
        [margin] => Verdict::One { by: margin.by, rival: rows[margin.rival].text.clone() },
        several => Verdict::Several {
            right: several.iter().filter(|margin| margin.by > 0.0).count(),
            of: several.len(),
            smallest: several.iter().map(|margin| margin.by).fold(f32::INFINITY, f32::min),
        },
    }
}

fn among_equals(rows: &[Scored]) -> Verdict {
    let mut order: Vec<&Scored> = rows.iter().collect();
    order.sort_by(|one, other| other.similarity.total_cmp(&one.similarity));
    match order.as_slice() {
        [] => Verdict::Nothing,
        [only] => Verdict::Alone { similarity: only.similarity },
        [best, next, ..] => {
            Verdict::Best { text: best.text.clone(), by: best.similarity - next.similarity }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Margin, Scored, Verdict, margins, verdict};

    fn row(text: &str, wrong: bool, similarity: f32) -> Scored {
        Scored { text: text.to_owned(), wrong, similarity }
    }

    #[test]
    fn a_wrong_caption_belongs_to_the_caption_above_it_or_else_the_first() {
        let wrong = [true, false, true, true, false, false, true];
        let similarities = [1.0, 0.5, 0.25, 0.75, 0.5, 0.5, 0.25];
        let expected =
            [(1, 0, -0.5), (5, 6, 0.25)].map(|(caption, rival, by)| Margin { caption, rival, by });
        assert_eq!(margins(&wrong, &similarities), expected);
        assert_eq!(margins(&[true, true], &[0.5, 0.25]), []);
    }

    #[test]
    fn the_verdict_names_the_wrong_caption_that_wins() {
        let rows = [row("a", false, 0.25), row("b", true, 0.5), row("c", true, 0.0)];
        let expected = Verdict::One { by: -0.25, rival: "b".to_owned() };
        assert_eq!(verdict(&rows), expected);
    }

    #[test]
    fn without_wrong_captions_the_best_is_named() {
        assert_eq!(verdict(&[]), Verdict::Nothing);
        let alone = Verdict::Alone { similarity: 0.5 };
        assert_eq!(verdict(&[row("a", false, 0.5)]), alone);
        let best = Verdict::Best { text: "b".to_owned(), by: 0.25 };
        assert_eq!(verdict(&[row("a", false, 0.5), row("b", false, 0.75)]), best);
    }

    #[test]
    fn several_captions_are_counted_and_a_tie_is_no_win() {
        let rows =
            [row("a", false, 0.5), row("b", true, 0.25), row("c", false, 0.5), row("d", true, 0.5)];
        let expected = Verdict::Several { right: 1, of: 2, smallest: 0.0 };
        assert_eq!(verdict(&rows), expected);
    }
}
