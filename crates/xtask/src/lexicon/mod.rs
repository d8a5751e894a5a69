//! `cargo xtask lexicon`: builds `crates/negatives/english.lexicon` from its sources.
//!
//! Only needed to change the lexicon; the program and the tests read the committed file.

#[cfg(feature = "lexicon")]
mod build;

use anyhow::Result;

use crate::shell;

/// The sources of the builder.
const HELP: &str = "\
The lexicon of hard negatives is built from

  WordNet 3.0                 apt-get install wordnet-base; its files lie in /usr/share/wordnet
  UD English GUM              github.com/UniversalDependencies/UD_English-GUM: the folder not-to-release/sources, and
                              en_gum-ud-test.conllu for the tagger's test
  UD English EWT              github.com/UniversalDependencies/UD_English-EWT: en_ewt-ud-test.conllu, a second test
  NegCLIP's captions          github.com/mertyg/vision-language-models-are-bows: temp_data/valid_neg_clip.tsv
  the same, tagged            python crates/xtask/tag_captions.py valid_neg_clip.tsv > captions.tagged
  SugarCrepe                  github.com/RAIVNLab/sugar-crepe: the folder data, whose images and texts are excluded

by

  cargo xtask lexicon --wordnet /usr/share/wordnet --treebank GUM/not-to-release/sources \\
      --test GUM/en_gum-ud-test.conllu --test EWT/en_ewt-ud-test.conllu --captions valid_neg_clip.tsv \\
      --tagged captions.tagged --exclude sugar-crepe/data

It takes a minute, mostly for compiling, and prints the tagger's accuracy.";

/// The file of the lexicon.
#[cfg(feature = "lexicon")]
const OUT: &str = "crates/negatives/english.lexicon";

/// Builds the lexicon; without arguments, prints the sources that this needs.
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

/// The alias `cargo xtask` leaves out the builder, because it needs more crates than all other commands together.
#[cfg(not(feature = "lexicon"))]
fn build(args: &[String]) -> Result<()> {
    shell::run(
        shell::cargo().args(["run", "--release", "--package", "xtask", "--", "lexicon"]).args(args),
    )
}
