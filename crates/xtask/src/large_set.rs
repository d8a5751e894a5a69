//! `cargo xtask campaign large-set`: memory and time of opening and resuming a run on a set of millions of entries.
//!
//! The entries are lines of JSON, each with a short caption and one of a thousand small images.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{files, shell, web};

/// Images that the entries share.
const IMAGES: u64 = 1_000;
/// Entries of a set whose memory is the program's own.
const FEW: u64 = 1_000;
/// Most memory of an entry, in bytes.
const MOST: f64 = 16.0;
/// How often the memory of a program is read; its peak is what the system remembers.
const POLL: Duration = Duration::from_millis(5);

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Entries of the set
    #[arg(long, default_value_t = 100_000_000)]
    entries: u64,
    /// Program to measure instead of one that is built
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

/// Writes the set and measures the program on it.
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.entries > FEW, "measure more than {FEW} entries");
    let folder = files::target()?.join("large-set");
    let program = options.program.clone().map_or_else(web::native_program, Ok)?;
    for number in 0..IMAGES {
        files::write(&folder.join(format!("i/{number}.bmp")), image(number))?;
    }
    let few = Place { folder: folder.clone(), entries: FEW, program: program.clone() };
    let many = Place { folder, entries: options.entries, program };
    few.write()?;
    let bytes = many.write()?;
    say(format_args!("{} entries in {} of JSON lines", count(many.entries), gigabytes(bytes)));
    let own = few.open()?;
    let cold = many.open()?;
    let index = size(&many.cache())?;
    say(format_args!("their index, beside the cache of copies: {}", gigabytes(index)));
    many.compare("opened, without an index", &cold, &own)?;
    many.compare("opened again, by its index", &many.open()?, &own)?;
    let started = few.train(&[], 4)?;
    many.compare(
        "opened, looked for changes, trained for 4 steps",
        &many.train(&[], 4)?,
        &started,
    )?;
    let middle = many.move_to_the_middle()?;
    let resumed = many.train(&["--resume"], 6)?;
    let what = format!("resumed at sample {} of the epoch, trained for 2 steps", count(middle));
    many.compare(&what, &resumed, &started)?;
    fs::remove_dir_all(many.cache())?;
    Ok(())
}

/// A set, and a run on it.
struct Place {
    folder: PathBuf,
    entries: u64,
    program: PathBuf,
}

/// What a program took.
struct Taken {
    time: Duration,
    /// The largest resident memory, in bytes.
    memory: u64,
}

impl Place {
    fn name(&self, end: impl Display) -> PathBuf {
        self.folder.join(format!("{}{end}", self.entries))
    }

    fn cache(&self) -> PathBuf {
        self.name("-cache")
    }

    fn set(&self) -> PathBuf {
        self.folder.join(format!("set-{}.jsonl", self.entries))
    }

    /// Writes the entries, unless they're there, and an empty place for the run. Returns their bytes.
    fn write(&self) -> Result<u64> {
        for folder in [self.cache(), self.name("-run")] {
            files::remove_folder(&folder)?;
        }
        let path = self.set();
        if !path.exists() {
            let partial = path.with_extension("partial");
            let mut file = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
            for number in 0..self.entries {
                let (image, colour) =
                    (number % IMAGES, ["red", "green", "blue"][(number % 3) as usize]);
                writeln!(
                    file,
                    r#"{{"image":"i/{image}.bmp","caption":"a {colour} kite above house {number}"}}"#
                )?;
            }
            file.flush()?;
            drop(file);
            fs::rename(&partial, &path)?;
        }
        Ok(fs::metadata(&path)?.len())
    }

    /// A run's configuration. With held-out pairs that aren't there, the program ends when it has opened the set.
    fn config(&self, name: &str, steps: usize, more: &str) -> Result<PathBuf> {
        let path = self.name(format_args!("-{name}.toml"));
        let [out, set] = [self.name("-run"), self.set()].map(|path| path.display().to_string());
        let text = format!(
            "out = {out:?}\n[model]\nshape = \"scenes\"\n[data]\nkind = \"json-lines\"\npath = {set:?}\n[negatives]\nstyle = \"none\"\n\
             [train]\nsteps = {steps}\nbatch = 16\ncheckpoint_every = 4\n{more}"
        );
        files::write(&path, text)?;
        Ok(path)
    }

    /// Opens the set, and nothing else.
    fn open(&self) -> Result<Taken> {
        let missing = "[validation]\nkind = \"json-lines\"\npath = \"nowhere.jsonl\"\n";
        let config = self.config("open", 4, missing)?;
        let (taken, _, output) = self.measure(&config, &[])?;
        ensure!(output.contains("nowhere.jsonl"), "the set wasn't opened: {output}");
        Ok(taken)
    }

    fn train(&self, args: &[&str], steps: usize) -> Result<Taken> {
        let config = self.config("train", steps, "")?;
        let (taken, status, output) = self.measure(&config, args)?;
        ensure!(status.success(), "the run wasn't finished: {output}");
        Ok(taken)
    }

    /// Puts the position of the last checkpoint in the middle of the epoch.
    fn move_to_the_middle(&self) -> Result<u64> {
        let checkpoints = self.name("-run/checkpoints");
        let last = files::list(&checkpoints)?.pop().context("there is no checkpoint")?;
        let [state, manifest] = ["state.json", "manifest.json"].map(|name| last.join(name));
        let before = files::read_text(&state)?;
        let start = before.find("\"samples\": ").context("state.json has no position")? + 11;
        let length = before[start..].find(|letter: char| !letter.is_ascii_digit()).unwrap_or(0);
        let middle = self.entries / 2;
        let after = format!("{}{middle}{}", &before[..start], &before[start + length..]);
        let hash = |text: &str| blake3::hash(text.as_bytes()).to_hex().to_string();
        let text = files::read_text(&manifest)?;
        let text = text.replace(&hash(&before), &hash(&after));
        let text = text.replace(
            &format!("\"bytes\": {},", before.len()),
            &format!("\"bytes\": {},", after.len()),
        );
        files::write(&state, after)?;
        files::write(&manifest, text)?;
        Ok(middle)
    }

    /// Runs the program to its end, and returns what it took and what it said.
    fn measure(&self, config: &Path, args: &[&str]) -> Result<(Taken, ExitStatus, String)> {
        let log = self.name("-log.txt");
        let mut command = Command::new(&self.program);
        command.arg("train").arg(config).args(args).args(["--device", "cpu", "--plain"]);
        command.env("CLOVE_CACHE", self.cache()).stdin(Stdio::null());
        let began = Instant::now();
        let mut child = command
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()?;
        let status = format!("/proc/{}/status", child.id());
        let mut memory = 0;
        let ended = loop {
            if let Some(ended) = child.try_wait()? {
                break ended;
            }
            memory = peak(Path::new(&status)).unwrap_or(0).max(memory);
            thread::sleep(POLL);
        };
        let taken = Taken { time: began.elapsed(), memory };
        if memory == 0 {
            bail!("this system doesn't tell the memory of a program");
        }
        Ok((taken, ended, files::read_text(&log)?))
    }

    /// Says what was taken, and what of the memory each entry takes, which `own` hasn't.
    fn compare(&self, what: &str, taken: &Taken, own: &Taken) -> Result<()> {
        let each = taken.memory.saturating_sub(own.memory) as f64 / (self.entries - FEW) as f64;
        say(format_args!(
            "{what}: {:.1} s; {} at most, {} of them without the entries: {each:.2} bytes an entry",
            taken.time.as_secs_f64(),
            megabytes(taken.memory),
            megabytes(own.memory)
        ));
        ensure!(each <= MOST, "an entry takes more than {MOST} bytes of memory");
        Ok(())
    }
}

/// An image of 64 x 64 pixels of one colour, as BMP.
fn image(number: u64) -> Vec<u8> {
    const SIDE: u32 = 64;
    let (header, pixels) = (54_u32, 3 * SIDE * SIDE);
    let mut bytes = b"BM".to_vec();
    for word in [header + pixels, 0, header, 40, SIDE, SIDE] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    for word in [0, pixels, 0, 0, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    let colour = [number, number / 8, number / 64].map(|part| (part * 32 % 256) as u8);
    bytes.extend(colour.repeat((SIDE * SIDE) as usize));
    bytes
}

/// The largest resident memory of a process, in bytes.
fn peak(status: &Path) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1_024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}

/// Bytes of the files in a folder and those below.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for path in files::list(folder)? {
        bytes += if path.is_dir() { size(&path)? } else { fs::metadata(&path)?.len() };
    }
    Ok(bytes)
}

fn say(line: impl Display) {
    shell::say(line);
}

fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!([7, 1_000, 12_345_678].map(count), ["7", "1,000", "12,345,678"]);
    }

    #[test]
    fn an_image_has_its_header_and_its_pixels() {
        let bytes = image(9);
        assert_eq!((bytes.len(), &bytes[..2]), (54 + 3 * 64 * 64, &b"BM"[..]));
        assert_ne!(bytes, image(10));
    }
}
