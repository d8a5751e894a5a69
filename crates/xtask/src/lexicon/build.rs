//! The builder writes WordNet's senses, irregular forms, a tagger and a model of captions into one file. The same sources give
//! the same file.

mod captions;
mod fluency;
mod irregular;
mod treebank;
mod wordnet;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use clove_negatives::lexicon::{Data, Lexicon, to_bytes};

use crate::files;
use crate::shell::say;

/// Size limit of the file, which a web page fetches.
const LARGEST: usize = 4 << 20;

#[derive(clap::Parser)]
#[command(bin_name = "cargo xtask lexicon", no_binary_name = true)]
struct Options {
    /// WordNet 3.0's dictionary files
    #[arg(long, value_name = "DIR")]
    wordnet: PathBuf,
    /// CoNLL-U files that the tagger learns from
    #[arg(long, value_name = "DIR")]
    treebank: PathBuf,
    /// CoNLL-U file that the tagger is tested on; repeatable
    #[arg(long = "test", value_name = "FILE")]
    tests: Vec<PathBuf>,
    /// Captions, with a column `title`
    #[arg(long, value_name = "FILE")]
    captions: PathBuf,
    /// The same captions with their tags
    #[arg(long, value_name = "FILE")]
    tagged: PathBuf,
    /// SugarCrepe's files, whose images and texts are excluded from training
    #[arg(long, value_name = "DIR")]
    exclude: PathBuf,
}

/// Builds the lexicon into `out`.
pub fn run(args: &[String], out: &Path) -> Result<()> {
    let options = Options::try_parse_from(args)?;
    let wordnet = wordnet::read(&options.wordnet)?;
    let captions = captions::read(&options.captions, &options.exclude)?;
    say(format_args!(
        "captions: {} of {}, the others have an image or a text of SugarCrepe",
        captions.kept.len(),
        captions.all
    ));

    // Words: WordNet's, their irregular forms, and those of captions.
    let irregular = irregular::find(&wordnet);
    let mut words: BTreeSet<String> = wordnet.words();
    words.extend(irregular.iter().map(|(_, _, form)| form.clone()));
    words.extend(captions.words());
    let words: Vec<String> = words.into_iter().collect();
    let mut data = Data { words: words.join("\n") + "\n", ..Data::default() };
    wordnet.fill(&words, &mut data, &wordnet::Counts::new());
    data.irregular = irregular::entries(&irregular, &words);
    say(format_args!("words: {}; irregular forms: {}", words.len(), data.irregular.len()));

    // The tagger's features need the words, and counting the words of captions needs the tagger.
    let lexicon = Lexicon::new(data.clone())?;
    let gold = treebank::read(&lexicon, &options.treebank, &options.tests)?;
    let silver = captions.tagged(&lexicon, &options.tagged)?;
    data.tagger = treebank::train(&gold, &silver);
    let lexicon = Lexicon::new(data.clone())?;
    for file in &options.tests {
        let sentences = treebank::sentences(&lexicon, file)?;
        say(format_args!("{}: {}", file.display(), treebank::accuracy(&lexicon, &sentences)));
    }

    let counts = captions.count(&lexicon);
    wordnet.fill(&words, &mut data, &counts);
    data.fluency = fluency::train(&captions.kept, &words);

    let bytes = to_bytes(&data);
    Lexicon::from_bytes(&bytes).context("the file just made can't be read")?;
    if bytes.len() > LARGEST {
        bail!("the lexicon has {} bytes, more than {LARGEST}", bytes.len());
    }
    files::write(out, &bytes)?;
    say(format_args!("{}: {} bytes", out.display(), bytes.len()));
    Ok(())
}
