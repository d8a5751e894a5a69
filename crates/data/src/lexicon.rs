//! The lexicon that hard negatives are made with. Called by the `clove` program; a page fetches the file instead.

/// The bytes of the lexicon, for `clove_negatives::Generator::new`. They're part of the program.
pub fn lexicon() -> &'static [u8] {
    include_bytes!("../english.lexicon")
}
