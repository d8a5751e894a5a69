//! `clove negatives`: generates hard negatives as JSON lines. One thread reads blocks of captions, all cores generate negatives, and
//! lines are written in the order of the captions.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clove::weights::{AtomicFile, refuse_inputs};
use clove_data::DataError;
use clove_data::caption_stream::{self, Format, Row, shown};
use clove_data::fetch::{Cache, Copies, Progress};
use clove_negatives::{Generator, Negative, Request};
use indicatif::{HumanCount, ProgressBar};
use rayon::prelude::*;
use serde::Serialize;

use crate::args::Negatives;
use crate::interrupt::Interrupt;
use crate::output;
use clove_run::negatives::{self, Yield};
use clove_run::words::counted;

const STOCK: usize = 2;
/// Maximum number of captions in a block.
const BLOCK: usize = 4_096;
/// Maximum number of bytes of captions in a block.
const BLOCK_BYTES: usize = 1 << 20;
/// Number of rows per unit of work.
const PIECE: usize = 32;
/// Interval between checks for Ctrl-C while waiting for input.
const PATIENCE: Duration = Duration::from_millis(100);
/// Number of unreadable rows named in the summary.
const NAMED: usize = 3;

/// Rows, each with the index of its first caption in the output.
type Block = Vec<(u64, Row)>;

pub fn run(args: &Negatives) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let input = Input::open(args)?;
    let generator = negatives::generator()?;
    let mut out = Out::open(args.out.as_deref(), &input)?;
    let (name, bar) = (input.name(), input.bar.clone());
    let (sender, blocks) = sync_channel(STOCK);
    // Not joined on Ctrl-C: it may be blocked on input.
    let reader = thread::Builder::new()
        .name("read".to_owned())
        .spawn(move || input.read(&sender))
        .context("can't start a thread")?;
    let mut report = Report::default();
    loop {
        if interrupt.asked() {
            bar.finish_and_clear();
            let lines = counted(report.made.captions, "caption");
            bail!("stopped after {lines}; {}", out.abandoned());
        }
        let block: Block = match blocks.recv_timeout(PATIENCE) {
            Ok(block) => block,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let pieces: Vec<Result<(Vec<u8>, Report)>> =
            block.par_chunks(PIECE).map(|rows| lines(rows, &generator, args)).collect();
        for piece in pieces {
            let (lines, part) = piece?;
            out.write(&lines)?;
            report = report.merge(part);
        }
    }
    bar.finish_and_clear();
    reader.join().map_err(|_| anyhow!("the thread that reads captions failed"))??;
    ensure!(
        report.unreadable == 0 || report.made.captions > 0,
        "{}: no row can be read: {}",
        name.display(),
        report.named.join("; ")
    );
    if let Some((_, file)) = out.0 {
        file.commit()?;
    }
    output::note(&report.text());
    Ok(())
}

struct Input {
    /// `None` for standard input.
    path: Option<PathBuf>,
    format: Format,
    field: Option<String>,
    bar: ProgressBar,
}

impl Input {
    fn open(args: &Negatives) -> Result<Self> {
        let path = args.input.as_deref().filter(|path| *path != Path::new("-"));
        let format = match (args.format.1, path) {
            (Some(format), _) => format,
            (None, None) => Format::Text,
            (None, Some(path)) => Format::of(path).with_context(|| {
                format!(
                    "{}: the extension is none of .txt, .csv, .tsv, .jsonl, .json, .tar and .parquet; give --format",
                    path.display()
                )
            })?,
        };
        ensure!(
            format != Format::Text || args.field.is_none(),
            "--field: plain text has no fields; give --format table, json-lines, webdataset or parquet"
        );
        ensure!(
            path.is_some() || format.is_stream(),
            "--format {}: standard input is read as text, table, json-lines or webdataset; name a file by --input",
            args.format.0
        );
        // Don't mix a bar with lines on the same terminal.
        let has_bar = path.is_some()
            && format.is_stream()
            && (args.out.is_some() || !io::stdout().is_terminal());
        let bar = if has_bar { output::byte_progress("negatives") } else { ProgressBar::hidden() };
        Ok(Self { path: path.map(Path::to_owned), format, field: args.field.clone(), bar })
    }

    fn name(&self) -> PathBuf {
        self.path.clone().unwrap_or_else(|| "standard input".into())
    }

    /// Sends all rows until the receiver is gone.
    fn read(self, blocks: &SyncSender<Block>) -> Result<(), DataError> {
        let mut block = Block::new();
        let (mut captions, mut bytes, mut index) = (0, 0, 0);
        let take = &mut |row: Row| {
            let count = match &row {
                Row::Captions(texts) => {
                    bytes += texts.iter().map(String::len).sum::<usize>();
                    texts.len()
                }
                Row::Unreadable(row) => usize::from(row.shown.is_some()),
            };
            block.push((index, row));
            index += count as u64;
            captions += count;
            if captions < BLOCK && bytes < BLOCK_BYTES {
                return ControlFlow::Continue(());
            }
            (captions, bytes) = (0, 0);
            match blocks.send(std::mem::take(&mut block)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        };
        let (format, field) = (self.format, self.field.as_deref());
        match &self.path {
            None => caption_stream::read(io::stdin(), &self.name(), format, field, take)?,
            Some(path) => {
                let bar = &self.bar;
                let open = &|file: File| -> Box<dyn Read> {
                    let length = file.metadata().map_or(0, |found| found.len());
                    bar.set_length(bar.length().unwrap_or(0) + length);
                    Box::new(bar.wrap_read(file))
                };
                let hear = |progress: Progress<'_>| {
                    if let Progress::Note(text) = progress {
                        bar.suspend(|| output::note(text));
                    }
                    true
                };
                let cache = Cache::new(Copies::default(), &hear);
                caption_stream::read_files(path, format, field, &cache, open, take)?;
            }
        }
        // Fails if the receiver is gone.
        let _ = blocks.send(block);
        Ok(())
    }
}

/// Standard output, or a file.
struct Out(Option<(PathBuf, AtomicFile)>);

impl Out {
    fn open(out: Option<&Path>, input: &Input) -> Result<Self> {
        let Some(out) = out else {
            return Ok(Self(None));
        };
        let inputs = match &input.path {
            Some(path) => caption_stream::inputs(path, input.format)?,
            None => Vec::new(),
        };
        refuse_inputs(out, &inputs.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
        Ok(Self(Some((out.to_owned(), AtomicFile::create(out)?))))
    }

    /// Writes whole lines.
    fn write(&mut self, lines: &[u8]) -> Result<()> {
        match &mut self.0 {
            None => io::stdout().lock().write_all(lines).context("writing to stdout"),
            Some((path, file)) => {
                file.write_all(lines).map_err(|error| AtomicFile::failed(path, error).into())
            }
        }
    }

    /// The state of the output after an interruption.
    fn abandoned(&self) -> String {
        match &self.0 {
            None => "the written lines are complete".to_owned(),
            Some((path, _)) => format!("{} wasn't written", path.display()),
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    caption: &'a str,
    negatives: &'a [Negative],
}

fn lines(
    rows: &[(u64, Row)],
    generator: &Generator,
    args: &Negatives,
) -> Result<(Vec<u8>, Report)> {
    let (mut lines, mut report) = (Vec::new(), Report::default());
    let mut write = |caption: &str, negatives: &[Negative]| -> Result<()> {
        let caption = shown(caption);
        serde_json::to_writer(&mut lines, &Line { caption, negatives })?;
        lines.push(b'\n');
        Ok(())
    };
    for (first, row) in rows {
        let captions = match row {
            Row::Captions(captions) => captions,
            Row::Unreadable(row) => {
                report.unreadable += 1;
                report.name(&format!("{}: {}", row.place, row.reason));
                if let Some(caption) = &row.shown {
                    write(caption, &[])?;
                }
                continue;
            }
        };
        for (place, caption) in captions.iter().enumerate() {
            let made = generator.negatives(&Request {
                caption,
                others: &negatives::others(captions, place),
                style: args.style,
                count: args.per_caption,
                seed: args.seed,
                epoch: args.epoch,
                index: first + place as u64,
            });
            write(caption, &made.negatives)?;
            report.made.add(&made);
        }
    }
    Ok((lines, report))
}

#[derive(Debug, Default)]
struct Report {
    made: Yield,
    unreadable: u64,
    named: Vec<String>,
}

impl Report {
    fn merge(mut self, other: Self) -> Self {
        self.made = self.made.merge(other.made);
        self.unreadable += other.unreadable;
        for row in other.named {
            self.name(&row);
        }
        self
    }

    fn name(&mut self, row: &str) {
        if self.named.len() < NAMED {
            // Neutralize escape sequences.
            self.named.push(row.replace(char::is_control, "\u{fffd}"));
        }
    }

    fn text(&self) -> String {
        let kinds = output::table(&self.made.kinds());
        let mut text = format!("{}\n{kinds}", self.made.summary());
        let unreadable = (self.unreadable > 0).then(|| {
            let more = match self.unreadable - self.named.len() as u64 {
                0 => String::new(),
                more => format!("; and {} more", HumanCount(more)),
            };
            format!(
                "{}: {}{more}",
                counted(self.unreadable, "unreadable row"),
                self.named.join("; ")
            )
        });
        for line in [self.made.why_none(), unreadable].into_iter().flatten() {
            text.push_str(&line);
            text.push('\n');
        }
        text.trim_end().to_owned()
    }
}
