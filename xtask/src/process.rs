//! Running other programs: quietly into a log with progress on screen, or for their output.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::home;
use crate::progress::Step;

/// How many lines of a failed program's log are shown.
const SHOWN_LINES: usize = 40;

/// Runs a command to its end with its output in `$GLOONET_HOME/logs/<log>.log`, keeping `step` alive on screen.
/// A failure shows the end of the log.
pub fn run_logged(command: &mut Command, log: &str, step: &mut Step) -> Result<PathBuf> {
    let path = home::cache_folder("logs")?.join(format!("{log}.log"));
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    let errors = file.try_clone().context("share the log file")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .spawn()
        .with_context(|| format!("start {}", describe(command)))?;
    let status = loop {
        if let Some(status) = child.try_wait().context("wait for a child")? {
            break status;
        }
        step.tick();
        sleep(Duration::from_millis(100));
    };
    if status.success() {
        return Ok(path);
    }
    let text = fs::read_to_string(&path).unwrap_or_default();
    bail!(
        "{} ended with {status}; the end of {}:\n{}",
        describe(command),
        path.display(),
        end_of(&text)
    )
}

/// The last lines that say something: a backtrace is longer than the error it belongs to, and the log has it.
fn end_of(log: &str) -> String {
    let said = |line: &&str| {
        let frame = line
            .trim_start()
            .split_once(": ")
            .is_some_and(|(number, _)| number.parse::<u16>().is_ok());
        !frame && !line.trim_start().starts_with("at ")
    };
    let lines: Vec<&str> = log.lines().filter(said).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

/// Runs a command with this process's own input and output.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("start {}", describe(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", describe(command));
    }
    Ok(())
}

/// Runs a command and returns what it printed; a failure carries its error output.
pub fn output(command: &mut Command) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", describe(command)))?;
    if !status.success() {
        bail!(
            "{} ended with {status}: {}",
            describe(command),
            String::from_utf8_lossy(&stderr).trim()
        );
    }
    String::from_utf8(stdout).with_context(|| format!("{} printed no UTF-8", describe(command)))
}

fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_has_the_error_and_not_the_backtrace_after_it() {
        let frames =
            "  7: core::ops::function::FnOnce::call_once\n             at /rustc/x/function.rs:250:5\n"
                .repeat(60);
        let log = format!(
            "Error: only clerk is served\n\nStack backtrace:\n{frames}\nfailures:\n    faults\n"
        );
        assert_eq!(
            end_of(&log),
            "Error: only clerk is served\n\nStack backtrace:\n\nfailures:\n    faults"
        );
    }
}
