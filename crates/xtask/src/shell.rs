//! Running other programs: shown, checked, and where they might hang, within a time limit. Used by every command.

use std::env;
use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a program with a time limit is looked after.
const POLL: Duration = Duration::from_millis(100);

/// Prints a line. Nobody may be reading any more (`cargo xtask test | head`), and that's no reason to end the checks.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Whether this is continuous integration, where what a step promises must be there: `CI=true`.
pub fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}

/// `--locked` in continuous integration, where a Cargo.lock that doesn't fit the manifests is a mistake in the commit.
pub fn locked() -> &'static [&'static str] {
    if in_ci() { &["--locked"] } else { &[] }
}

/// Runs a program to its end, its output going where ours goes.
///
/// # Errors
/// When it can't be started or doesn't succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    say(format_args!("$ {shown}"));
    let status = command.status().with_context(|| format!("can't start `{shown}`"))?;
    judge(&shown, status)
}

/// [`run`], but ends the program when `limit` is over. For programs that wait on a network.
///
/// # Errors
/// When it can't be started, doesn't succeed, or isn't done in time.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = show(command);
    say(format_args!("$ {shown}"));
    let deadline = Instant::now() + limit;
    let mut child = command.spawn().with_context(|| format!("can't start `{shown}`"))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return judge(&shown, status);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!("`{shown}` was not done in {} s", limit.as_secs());
        }
        thread::sleep(POLL);
    }
}

/// What a program prints to standard output; none when it can't be started or doesn't succeed.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// Whether a program is there and answers these arguments with success. Silent.
pub fn works(program: &str, args: &[&str]) -> bool {
    output(Command::new(program).args(args)).is_some()
}

/// What a program prints to standard output, shown too, and how long it took.
///
/// # Errors
/// When it can't be started or doesn't succeed.
pub fn transcript(command: &mut Command) -> Result<(String, Duration)> {
    let shown = show(command);
    say(format_args!("$ {shown}"));
    let start = Instant::now();
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("can't start `{shown}`"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    say(&text);
    judge(&shown, output.status)?;
    Ok((text, start.elapsed()))
}

fn judge(shown: &str, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    bail!("`{shown}` ended with {status}")
}

/// A command as one would type it: the program by its file name, since cargo's full path says nothing.
fn show(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_stem().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = run(Command::new("no-such-program").arg("--version")).unwrap_err();
        assert!(error.to_string().contains("no-such-program --version"));
        assert!(!works("no-such-program", &[]));
    }

    #[test]
    fn success_and_failure_are_told_apart() {
        assert!(run(cargo().arg("--version")).is_ok());
        let error = run(cargo().arg("--no-such-flag")).unwrap_err().to_string();
        assert!(error.contains("cargo --no-such-flag"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_hangs_is_ended() {
        let start = Instant::now();
        let error = run_within(Command::new("sleep").arg("30"), Duration::from_millis(200));
        assert!(error.unwrap_err().to_string().contains("sleep 30` was not done"));
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
