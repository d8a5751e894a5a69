//! Runs other programs: prints the command, checks the result, and can set a time limit. Used by every command.

use std::env;
use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a program with a time limit is checked.
const POLL: Duration = Duration::from_millis(100);

/// Prints a line. A closed pipe (`cargo xtask test | head`) doesn't end the checks.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Whether this is continuous integration (`CI=true`), where no check may be skipped.
pub fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}

/// `--locked` in continuous integration: there a Cargo.lock that doesn't match the manifests is a mistake in the commit.
pub fn locked() -> &'static [&'static str] {
    if in_ci() { &["--locked"] } else { &[] }
}

/// Runs a program with the output of this one.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().with_context(|| format!("can't start `{shown}`"))?;
    judge(&shown, status)
}

/// [`run`] with a time limit, for programs that wait on a network.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = show(command);
    let deadline = Instant::now() + limit;
    let mut child = command.spawn().with_context(|| format!("can't start `{shown}`"))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return judge(&shown, status);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!("`{shown}` exceeded its time limit of {} s", limit.as_secs());
        }
        thread::sleep(POLL);
    }
}

/// The standard output of a program; `None` if it can't be started or fails.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// Whether a program is installed and succeeds with these arguments. Prints nothing.
pub fn works(program: &str, args: &[&str]) -> bool {
    output(Command::new(program).args(args)).is_some()
}

/// The standard output of a program, which is printed too, and the time that it took.
pub fn transcript(command: &mut Command) -> Result<(String, Duration)> {
    let shown = show(command);
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

/// Prints a command and returns it, as typed in a shell: the program by its file name.
fn show(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_stem().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args()).map(OsStr::to_string_lossy);
    let shown = words.collect::<Vec<_>>().join(" ");
    say(format_args!("$ {shown}"));
    shown
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
        assert!(error.unwrap_err().to_string().contains("sleep 30` exceeded its time limit"));
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
