//! WordNet 3.0's dictionary files (wndb(5WN), cntlist(5WN)).

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context as _, Result};
use clove_negatives::lexicon::{Data, Form, Pos, PosData, Related};

use crate::files;

/// Uses of a lemma in captions, by part of speech.
pub type Counts = HashMap<(Pos, String), u32>;

/// What is read of WordNet.
pub struct WordNet {
    pos: [Vec<Synset>; 4],
    /// Places of synsets by the offset of their line.
    places: [HashMap<u32, u32>; 4],
}

/// A lemma in lower case with spaces, and its uses in SemCor in a sense.
type Lemma = (String, u32);

/// The weighted form of a sense: part of speech, whether it can be seen, the lemma.
type ToForm<'a> = dyn Fn(Pos, bool, &Lemma) -> Form + 'a;

struct Synset {
    /// Whether what it names can be seen, as far as its lexicographer file tells.
    visible: bool,
    /// None for a name.
    lemmas: Vec<Option<Lemma>>,
    hypernyms: Vec<u32>,
    /// Lexical antonyms: the other synset, the lemma there.
    antonyms: Vec<(u32, usize)>,
    /// Derivationally related forms: own lemma, part of speech, synset, lemma there.
    related: Vec<(usize, Pos, u32, usize)>,
}

const FILES: [&str; 4] = ["noun", "verb", "adj", "adv"];

/// Weight of a use in SemCor, and of one in a caption. A word in neither weighs 1: there are so many of these that
/// more would drown the others.
const SEMCOR: u32 = 16;
const CAPTION: u32 = 128;

/// Lexicographer files of nouns for what can be seen: animals, artifacts, bodies, food, objects, people, plants, substances.
const VISIBLE: [u8; 8] = [5, 6, 8, 13, 17, 18, 20, 27];

/// How much likelier a caption means a noun's sense that can be seen than one that can't.
const SEEN: u32 = 16;

/// Reads the files of a folder.
pub fn read(dir: &Path) -> Result<WordNet> {
    let counts = counts(dir)?;
    let mut pos: [Vec<Synset>; 4] = Default::default();
    let mut places: [HashMap<u32, u32>; 4] = Default::default();
    for (at, file) in FILES.iter().enumerate() {
        let path = dir.join(format!("data.{file}"));
        let text = files::read_text(&path)?;
        for (number, line) in (1..).zip(text.lines()) {
            if line.starts_with(' ') {
                continue;
            }
            let (offset, synset) = synset(line, &counts)
                .with_context(|| format!("{}:{number}: no synset", path.display()))?;
            places[at].insert(offset, pos[at].len() as u32);
            pos[at].push(synset);
        }
    }
    Ok(WordNet { pos, places })
}

/// Uses in SemCor by the beginning of the sense's key: lemma%type:file:id.
fn counts(dir: &Path) -> Result<HashMap<String, u32>> {
    let text = files::read_text(&dir.join("cntlist.rev"))?;
    let mut counts = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(' ');
        let (Some(key), _, Some(count)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let key: Vec<&str> = key.splitn(4, ':').collect();
        *counts.entry(key[..key.len().min(3)].join(":")).or_default() += count.parse::<u32>()?;
    }
    Ok(counts)
}

fn synset(line: &str, counts: &HashMap<String, u32>) -> Option<(u32, Synset)> {
    let content = line.split(" | ").next()?;
    let mut fields = content.split(' ');
    let offset = fields.next()?.parse().ok()?;
    let file = fields.next()?;
    let number: u8 = file.parse().ok()?;
    let kind = match fields.next()? {
        "n" => 1,
        "v" => 2,
        "a" => 3,
        "r" => 4,
        "s" => 5,
        _ => return None,
    };
    let words = usize::from_str_radix(fields.next()?, 16).ok()?;
    let mut lemmas = Vec::with_capacity(words);
    for _ in 0..words {
        // Adjectives may have a marker of where they stand: (a), (p), (ip).
        let written = fields.next()?.split('(').next()?;
        let id = u32::from_str_radix(fields.next()?, 16).ok()?;
        let plain = written
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_' | b'\'' | b'.'));
        lemmas.push(plain.then(|| {
            let count = counts.get(&format!("{written}%{kind}:{file}:{id:02}"));
            (written.replace('_', " "), count.copied().unwrap_or(0))
        }));
    }
    let mut synset = Synset {
        visible: kind != 1 || VISIBLE.contains(&number),
        lemmas,
        hypernyms: Vec::new(),
        antonyms: Vec::new(),
        related: Vec::new(),
    };
    for _ in 0..fields.next()?.parse::<usize>().ok()? {
        let symbol = fields.next()?;
        let target = fields.next()?.parse().ok()?;
        let pos = match fields.next()? {
            "n" => Pos::Noun,
            "v" => Pos::Verb,
            "a" | "s" => Pos::Adjective,
            _ => Pos::Adverb,
        };
        let ends = u32::from_str_radix(fields.next()?, 16).ok()?;
        let (own, there) = ((ends >> 8) as usize, (ends & 0xff) as usize);
        match symbol {
            "@" => synset.hypernyms.push(target),
            "!" if there > 0 => synset.antonyms.push((target, there - 1)),
            "+" if own > 0 && there > 0 => {
                synset.related.push((own - 1, pos, target, there - 1));
            }
            _ => {}
        }
    }
    Some((offset, synset))
}

impl WordNet {
    /// Every lemma.
    pub fn words(&self) -> BTreeSet<String> {
        let all = self.pos.iter().flatten().flat_map(|synset| &synset.lemmas);
        all.flatten().map(|(lemma, _)| lemma.clone()).collect()
    }

    /// Lemmas of a part of speech, each once.
    pub fn lemmas(&self, pos: Pos) -> BTreeSet<&str> {
        let all = self.pos[pos as usize].iter().flat_map(|synset| &synset.lemmas);
        all.flatten().map(|(lemma, _)| lemma.as_str()).collect()
    }

    /// Writes synsets and links; `words` are in ascending order.
    pub fn fill(&self, words: &[String], data: &mut Data, captions: &Counts) {
        let id = |word: &str| {
            let found = words.binary_search_by(|known| known.as_str().cmp(word));
            found.expect("every lemma is among the words") as u32
        };
        let uses = self.uses();
        let form = |pos: Pos, visible: bool, (lemma, semcor): &Lemma| {
            let seen = captions.get(&(pos, lemma.clone())).copied().unwrap_or(0);
            // Captions don't say which sense they use: the uses in SemCor do, as far as they go.
            let all = uses[&(pos, lemma.as_str())];
            let share = u64::from(seen) * u64::from(CAPTION) * u64::from(likely(visible, *semcor))
                / u64::from(all);
            let semcor = semcor * if visible { SEMCOR } else { SEMCOR / 8 };
            Form { word: id(lemma), weight: 1 + semcor + share as u32 }
        };
        for pos in Pos::ALL {
            let at = pos as usize;
            let mut out = PosData::default();
            for synset in &self.pos[at] {
                let lemmas = synset.lemmas.iter().flatten();
                let members: Vec<Form> =
                    lemmas.map(|lemma| form(pos, synset.visible, lemma)).collect();
                let antonyms = synset.antonyms.iter().filter_map(|(offset, there)| {
                    let other = &self.pos[at][self.places[at][offset] as usize];
                    Some(form(pos, other.visible, other.lemmas.get(*there)?.as_ref()?))
                });
                let antonyms: Vec<Form> = antonyms.collect();
                out.member_counts.push(members.len() as u8);
                out.members.extend(members);
                out.antonym_counts.push(antonyms.len() as u8);
                out.antonyms.extend(antonyms);
                out.hypernym_counts.push(synset.hypernyms.len() as u8);
                out.hypernyms.extend(synset.hypernyms.iter().map(|offset| self.places[at][offset]));
            }
            data.pos[at] = out;
        }
        data.related = self.related(&form);
    }

    /// Of each lemma how likely its senses are, in all.
    fn uses(&self) -> HashMap<(Pos, &str), u32> {
        let mut uses: HashMap<(Pos, &str), u32> = HashMap::new();
        for pos in Pos::ALL {
            for synset in &self.pos[pos as usize] {
                for (lemma, count) in synset.lemmas.iter().flatten() {
                    *uses.entry((pos, lemma)).or_default() += likely(synset.visible, *count);
                }
            }
        }
        uses
    }

    fn related(&self, form: &ToForm<'_>) -> Related {
        let (noun, adjective) = (Pos::Noun as usize, Pos::Adjective as usize);
        let mut nouns = BTreeSet::new();
        let mut adjectives = BTreeSet::new();
        for (place, synset) in self.pos[adjective].iter().enumerate() {
            for (own, pos, offset, _) in &synset.related {
                if *pos != Pos::Noun {
                    continue;
                }
                let Some(other) = self.places[noun].get(offset) else { continue };
                nouns.insert((place as u32, *other));
                if let Some(Some(lemma)) = synset.lemmas.get(*own) {
                    let Form { word, weight } = form(Pos::Adjective, true, lemma);
                    adjectives.insert((*other, place as u32, word, weight));
                }
            }
        }
        Related {
            nouns: nouns.into_iter().collect(),
            adjectives: adjectives
                .into_iter()
                .map(|(noun, adjective, word, weight)| (noun, adjective, Form { word, weight }))
                .collect(),
        }
    }
}

/// How likely a caption means a sense.
fn likely(visible: bool, semcor: u32) -> u32 {
    (semcor * 8 + 1) * if visible { SEEN } else { 1 }
}
