//! `cargo xtask lexicon`: builds `crates/negatives/english.lexicon` from its sources.
//!
//! Only needed when the lexicon is to change; the program and the tests read what is committed.

#[cfg(feature = "lexicon")]
mod build;
#[cfg(feature = "lexicon")]
mod captions;
#[cfg(feature = "lexicon")]
mod fluency;
#[cfg(feature = "lexicon")]
mod irregular;
#[cfg(feature = "lexicon")]
mod treebank;
#[cfg(feature = "lexicon")]
mod wordnet;

use anyhow::Result;

use crate::shell;

/// What the builder takes; the same for every machine.
const HELP: &str = "\
The lexicon of hard negatives is built from

  WordNet 3.0                 apt-get install wordnet-base; its files lie in /usr/share/wordnet
  UD English GUM              github.com/UniversalDependencies/UD_English-GUM: the folder not-to-release/sources, and
                              en_gum-ud-test.conllu for the tagger's test
  UD English EWT              github.com/UniversalDependencies/UD_English-EWT: en_ewt-ud-test.conllu, a second test
  NegCLIP's captions          github.com/mertyg/vision-language-models-are-bows: temp_data/valid_neg_clip.tsv
  the same, tagged            python crates/xtask/tag_captions.py valid_neg_clip.tsv > captions.tagged
  SugarCrepe                  github.com/RAIVNLab/sugar-crepe: the folder data, of which nothing is learnt

by

  cargo xtask lexicon --wordnet /usr/share/wordnet --treebank GUM/not-to-release/sources \\
      --test GUM/en_gum-ud-test.conllu --test EWT/en_ewt-ud-test.conllu --captions valid_neg_clip.tsv \\
      --tagged captions.tagged --exclude sugar-crepe/data

It takes a minute, most of it to compile, and prints how accurate the tagger is.";

/// Where the lexicon lies.
#[cfg(feature = "lexicon")]
const OUT: &str = "crates/negatives/english.lexicon";

/// Builds the lexicon, or says what that takes where no argument is given.
///
/// # Errors
/// When a source is missing or can't be read.
pub fn run(args: &[String]) -> Result<()> {
    if args.is_empty() {
        shell::say(HELP);
        return Ok(());
    }
    build(args)
}

#[cfg(feature = "lexicon")]
fn build(args: &[String]) -> Result<()> {
    build::run(args, std::path::Path::new(OUT))
}

/// The alias `cargo xtask` leaves the builder out, since it needs more crates than every other command together.
#[cfg(not(feature = "lexicon"))]
fn build(args: &[String]) -> Result<()> {
    shell::run(
        shell::cargo().args(["run", "--release", "--package", "xtask", "--", "lexicon"]).args(args),
    )
}
