//! Programs the lab runs to their end.

use std::process::{Command, Output, Stdio};

/// Why a program's work is not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started at all.
    #[error("cannot start {program}")]
    Start {
        program: String,
        #[source]
        source: std::io::Error,
    },
    /// It ran and failed.
    #[error("`{line}` ended with {status}: {stderr}")]
    Failed {
        line: String,
        status: String,
        stderr: String,
    },
}

/// Runs a program to its end and gives its output, whatever its exit status.
pub fn output(command: &mut Command) -> Result<Output, Error> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Start {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })
}

/// Runs a program that must succeed; gives its standard output.
pub fn run(command: &mut Command) -> Result<String, Error> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Failed {
        line: line(command),
        status: output.status.to_string(),
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// The command as a person would type it, shortened: inner specifications are long.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut line = words
        .map(|w| w.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    if let Some((cut, _)) = line.char_indices().nth(300) {
        line.truncate(cut);
        line.push('…');
    }
    line
}
