//! The words of captions, and how often they are used.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use clove_negatives::lexicon::{Lexicon, Pos, Slot};
use clove_negatives::tagger::Tag;
use clove_negatives::words::tokens;
use clove_negatives::{inflect, morphology};

use super::treebank::{Sentence, sentence};
use super::wordnet::Counts;
use crate::files;

/// Captions without those that SugarCrepe tests on.
pub struct Captions {
    /// The number before the exclusion.
    pub all: usize,
    /// Positions among all.
    places: Vec<usize>,
    pub kept: Vec<String>,
}

/// Reads the column `title`, without captions that share an image or a text with SugarCrepe.
pub fn read(path: &Path, exclude: &Path) -> Result<Captions> {
    let (images, texts) = tested(exclude)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b'\t')
        .from_path(path)
        .with_context(|| path.display().to_string())?;
    let header = reader.headers()?.clone();
    let column = |name: &str| {
        header
            .iter()
            .position(|column| column == name)
            .with_context(|| format!("{}: no column {name}", path.display()))
    };
    let (title, file) = (column("title")?, column("filepath")?);
    let mut captions = Captions { all: 0, places: Vec::new(), kept: Vec::new() };
    for record in reader.records() {
        let record = record.with_context(|| path.display().to_string())?;
        let text = record[title].split_whitespace().collect::<Vec<_>>().join(" ");
        let image = record[file].rsplit(['/', '_']).next().unwrap_or_default();
        if !images.contains(image) && !texts.contains(&text.to_lowercase()) {
            captions.places.push(captions.all);
            captions.kept.push(text);
        }
        captions.all += 1;
    }
    Ok(captions)
}

/// SugarCrepe's images and texts.
fn tested(dir: &Path) -> Result<(HashSet<String>, HashSet<String>)> {
    let (mut images, mut texts) = (HashSet::new(), HashSet::new());
    for path in files::list(dir)? {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let rows: HashMap<String, HashMap<String, String>> =
            serde_json::from_slice(&files::read(&path)?)
                .with_context(|| path.display().to_string())?;
        for row in rows.into_values() {
            images.insert(row["filename"].clone());
            texts.insert(row["caption"].to_lowercase());
        }
    }
    Ok((images, texts))
}

impl Captions {
    /// The words of the captions, in lower case.
    pub fn words(&self) -> BTreeSet<String> {
        let all = self.kept.iter().flat_map(|text| tokens(text));
        all.filter(|token| token.word && token.lower.is_ascii()).map(|token| token.lower).collect()
    }

    /// The captions with tags, from a file with a caption per line and words as word/TAG.
    pub fn tagged(&self, lexicon: &Lexicon, path: &Path) -> Result<Vec<Sentence>> {
        let text = files::read_text(path)?;
        let lines: Vec<&str> = text.lines().collect();
        let kept = self.places.iter().filter_map(|place| lines.get(*place));
        let sentences = kept.map(|line| {
            sentence(lexicon, line.split(' ').filter_map(|word| word.rsplit_once('/')))
        });
        Ok(sentences.collect())
    }

    /// How often each lemma is used.
    pub fn count(&self, lexicon: &Lexicon) -> Counts {
        let mut counts = Counts::new();
        let mut add = |form: &str, pos: Pos, slot: Option<Slot>| {
            if let Some(lemma) = morphology::lemma(lexicon, form, pos, slot) {
                *counts.entry((pos, lexicon.word(lemma).to_owned())).or_default() += 1;
            }
        };
        for text in &self.kept {
            let tokens = tokens(text);
            let tags = lexicon.tag(&tokens);
            for (token, tag) in tokens.iter().zip(tags) {
                let pos = match tag {
                    tag if tag.is_common_noun() => Pos::Noun,
                    tag if tag.is_verb() => Pos::Verb,
                    tag if tag.is_adjective() => Pos::Adjective,
                    Tag::RB | Tag::RBR | Tag::RBS => Pos::Adverb,
                    _ => continue,
                };
                add(&token.lower, pos, inflect::slot(tag));
            }
            // Compounds such as `tennis racket`.
            for pair in tokens.windows(2) {
                let compound = format!("{} {}", pair[0].lower, pair[1].lower);
                for slot in [None, Some(Slot::Plural)] {
                    add(&compound, Pos::Noun, slot);
                }
            }
        }
        counts
    }
}
