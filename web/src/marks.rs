//! The words of a wrong caption that differ from its caption.

use clove_scenes::common_words;

/// The most words of a text; longer texts get no marks.
const MOST: usize = 300;

/// The text in pieces, each with whether its word differs from the caption. The pieces join to the text.
pub fn marks(caption: &str, text: &str) -> Vec<(String, bool)> {
    let pieces = pieces(text);
    let words: Vec<usize> = (0..pieces.len()).filter(|at| is_word(&pieces[*at])).collect();
    let theirs: Vec<String> = self::pieces(caption)
        .into_iter()
        .filter(|piece| is_word(piece))
        .map(|word| word.to_lowercase())
        .collect();
    if words.len() > MOST || theirs.len() > MOST {
        return vec![(text.to_owned(), false)];
    }
    let ours: Vec<String> = words.iter().map(|at| pieces[*at].to_lowercase()).collect();
    let (kept, _) = common_words(&ours, &theirs);
    let mut marked = vec![false; pieces.len()];
    for (at, kept) in words.iter().zip(kept) {
        marked[*at] = !kept;
    }
    pieces.into_iter().zip(marked).collect()
}

fn is_word(piece: &str) -> bool {
    piece.chars().next().is_some_and(char::is_alphanumeric)
}

/// Runs of word characters and runs of others.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut last = None;
    for character in text.chars() {
        let word = character.is_alphanumeric() || (last == Some(true) && "'’-".contains(character));
        if last == Some(word)
            && let Some(piece) = pieces.last_mut()
        {
            piece.push(character);
        } else {
            pieces.push(character.to_string());
        }
        last = Some(word);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::marks;

    fn marked(caption: &str, text: &str) -> Vec<String> {
        let marks = marks(caption, text);
        let whole: String = marks.iter().map(|(piece, _)| piece.as_str()).collect();
        assert_eq!(whole, text);
        marks.into_iter().filter_map(|(piece, marked)| marked.then_some(piece)).collect()
    }

    #[test]
    fn exchanged_words_are_marked() {
        let caption = "The man is riding a horse.";
        assert_eq!(marked(caption, "The man is riding a camel."), ["camel"]);
        assert_eq!(marked(caption, "the man is riding an old-ish horse!"), ["an", "old-ish"]);
        assert_eq!(marked(caption, caption), [""; 0]);
        assert_eq!(marked(caption, "  "), [""; 0]);
    }

    #[test]
    fn of_swapped_words_at_least_one_is_marked() {
        let words = marked("a red ball left of a blue box", "a blue ball left of a red box");
        assert_eq!(words, ["blue", "red"]);
        assert!(!marked("the dog chases the cat", "the cat chases the dog").is_empty());
    }

    #[test]
    fn long_texts_are_left_alone() {
        let long = "word ".repeat(1_000);
        assert_eq!(marks("word", &long), [(long.clone(), false)]);
    }
}
