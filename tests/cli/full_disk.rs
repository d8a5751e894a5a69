//! Guards outputs on a disk that is full or can only be read: one line names the file and why, and what was there stays whole.
//!
//! The disk is a file system in memory, mounted for the command alone (`unshare --mount`). Where the system allows no mount, the size of
//! files is limited (`ulimit -f`, RLIMIT_FSIZE), and the folder loses its permissions. The tests print which it was.

use std::fs;
use std::process::{Command, Output};

use clove_tests::assert_contains;

use super::train::{BLANK, SCENES};
use super::{Place, line, path, run, text};

/// Kibibytes of the disk: room for a model of f16, and not for one of f32 beside it.
const SIZE: usize = 2_000;

/// Whether the system mounts a file system for a command, and with which flags of `unshare`.
fn mounting(place: &Place) -> Option<&'static [&'static str]> {
    let disk = place.out("disk");
    fs::create_dir_all(&disk).unwrap();
    let ways: [&'static [&'static str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    ways.into_iter().find(|flags| {
        let mut probe = Command::new("unshare");
        probe.args(*flags).args(["sh", "-c", "mount -t tmpfs tmpfs \"$0\"", path(&disk)]);
        probe.output().is_ok_and(|output| output.status.success())
    })
}

/// Runs the program on the disk, which has a model in `model`, after a command of the shell that limits it. Gives the output; stdout
/// also lists the disk and tells whether the model has changed.
fn on_disk(place: &Place, flags: Option<&[&str]>, limit: &str, args: &[&str]) -> Output {
    let script = format!(
        r#"disk=$1; shift; mount=$1; shift
        if [ "$mount" = yes ]; then mount -t tmpfs -o size={SIZE}k tmpfs "$disk" || exit 99; fi
        chmod -R u+w "$disk"; rm -rf "$disk"/model "$disk"/run; cp -r "$MODEL" "$disk/model"
        {limit}
        "$0" "$@"
        code=$?
        chmod -R u+w "$disk" 2>/dev/null
        ls -A "$disk" "$disk/model"
        for file in "$MODEL"/*; do cmp "$file" "$disk/model/${{file##*/}}" || echo changed; done
        exit $code"#
    );
    let mut command = match flags {
        Some(flags) => {
            let mut command = Command::new("unshare");
            command.args(flags).arg("sh");
            command
        }
        None => Command::new("sh"),
    };
    let mount = if flags.is_some() { "yes" } else { "no" };
    command.args(["-c", &script, env!("CARGO_BIN_EXE_clove"), path(&place.out("disk")), mount]);
    command.args(args).env("MODEL", &place.model).env("CLOVE_CACHE", place.out("cache"));
    command.output().unwrap()
}

/// Expects exit code 1, a last line of stderr with these parts, and the disk as it was.
#[track_caller]
fn refused(output: &Output, parts: &[&str]) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("clove: "), "{stderr}");
    assert_contains(last, parts);
    let is_known = |line: &str| {
        let known =
            ["", "run", "model", "config.json", "model.safetensors", "preprocessor_config.json"];
        known.contains(&line) || line.ends_with(':')
    };
    assert!(stdout.lines().all(is_known), "{stdout}\n{stderr}");
}

/// Writes a configuration of a run on the disk.
fn run_on(place: &Place) -> String {
    let out = place.out("disk/run");
    let body = format!("out = {:?}\n{BLANK}{SCENES}[train]\nsteps = 1\nbatch = 2\n", path(&out));
    place.file("run.toml", body.as_bytes())
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file_and_the_old_model_stays_whole() {
    let place = Place::new();
    let flags = mounting(&place);
    let (limit, why) = match flags {
        Some(_) => ("", "No space left on device"),
        // In blocks of 512 bytes.
        None => ("ulimit -f 1000", "File too large"),
    };
    println!("the full disk is {}", if flags.is_some() { "a mounted one" } else { limit });
    let at = |name: &str| path(&place.out("disk").join(name)).to_owned();
    let tuned = place.out("tuned");
    run("convert --model _ --to hugging-face --dtype f32 --out _", &[&place.model, path(&tuned)]);
    let texts = place.file("texts.txt", "a red car\n".repeat(20_000).as_bytes());
    let [model, ids, lines] = ["model", "ids.safetensors", "negatives.jsonl"].map(at);
    let config = run_on(&place);
    for (args, name) in [
        (
            line(
                "convert --model _ --to hugging-face --dtype f32 --force --out _",
                &[&place.model, &model],
            ),
            "disk/model/model.safetensors: ",
        ),
        (
            line(
                "patch --pretrained _ --finetuned _ --alpha 0.5 --force --out _",
                &[&place.model, path(&tuned), &model],
            ),
            "disk/model/model.safetensors: ",
        ),
        (
            line("tokenize --model _ --texts _ --out _", &[&place.model, &texts, &ids]),
            "disk/ids.safetensors: ",
        ),
        (line("negatives --input _ --out _", &[&texts, &lines]), "disk/negatives.jsonl: "),
        (line("train _ --device cpu", &[&config]), "the checkpoint of step 1 was not saved: "),
    ] {
        refused(&on_disk(&place, flags, limit, &args), &[name, why]);
    }
}

#[test]
fn a_disk_that_can_only_be_read_is_an_error_that_names_the_output() {
    let place = Place::new();
    let flags = mounting(&place);
    let (limit, why) = match flags {
        Some(_) => ("mount -o remount,ro \"$disk\"", "Read-only file system"),
        None => ("chmod -R a-w \"$disk\"", "Permission denied"),
    };
    let probe = place.out("disk/probe");
    if flags.is_none() {
        let folder = place.out("disk");
        let command = "chmod a-w \"$0\"; touch \"$1\"";
        let touched =
            Command::new("sh").args(["-c", command, path(&folder), path(&probe)]).status();
        if touched.unwrap().success() {
            println!("left out: no mount is allowed here, and this user may write everywhere");
            return;
        }
    }
    println!("the disk is {}", if flags.is_some() { "mounted to be read" } else { limit });
    let at = |name: &str| path(&place.out("disk").join(name)).to_owned();
    let texts = place.file("texts.txt", b"a red car\n");
    let [model, new, ids, lines] = ["model", "new", "ids.safetensors", "negatives.jsonl"].map(at);
    let config = run_on(&place);
    let convert = "convert --model _ --to open-clip --out _";
    let replace = format!("{convert} --force");
    for (args, name) in [
        (line(&replace, &[&place.model, &model]), "disk/model: "),
        (line(convert, &[&place.model, &new]), "disk/new: "),
        (
            line("tokenize --model _ --texts _ --out _", &[&place.model, &texts, &ids]),
            "disk/ids.safetensors: ",
        ),
        (line("negatives --input _ --out _", &[&texts, &lines]), "disk/negatives.jsonl: "),
        (line("train _ --device cpu", &[&config]), "disk/run: "),
    ] {
        refused(&on_disk(&place, flags, limit, &args), &[name, why]);
    }
}
