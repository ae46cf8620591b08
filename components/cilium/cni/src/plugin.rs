//! One call by a container runtime: environment and standard input in, standard output and exit status out.

use std::io::{Read, Write};

use serde_json::Value;

use crate::environment::{self, Lookup, Verb};
use crate::error::Failure;
use crate::netconf::{self, INPUT_MAX, NetConf};
use crate::verb::{add, check, del, gc, status, version};

/// Returns whether the call succeeded; a failure is on `output` as the error object the specification asks for.
pub fn run(lookup: Lookup<'_>, input: impl Read, mut output: impl Write) -> bool {
    let mut bytes = Vec::new();
    let outcome = read(input, &mut bytes).and_then(|()| call(lookup, &bytes));
    let (text, succeeded) = match outcome {
        Ok(result) => (result.map(|value| value.to_string()), true),
        Err(failure) => {
            let object = failure.object(netconf::version_of(&bytes).as_str());
            (serde_json::to_string(&object).ok(), false)
        }
    };
    // A runtime that closed our output learns the outcome from the exit status.
    if let Some(text) = text {
        let _ = writeln!(output, "{text}");
    }
    succeeded
}

fn read(input: impl Read, bytes: &mut Vec<u8>) -> Result<(), Failure> {
    let limit = u64::try_from(INPUT_MAX).unwrap_or(u64::MAX);
    let read = input
        .take(limit + 1)
        .read_to_end(bytes)
        .map_err(Failure::ReadInput)?;
    if read > INPUT_MAX {
        bytes.clear();
        return Err(Failure::InvalidConfig(format!(
            "longer than {INPUT_MAX} bytes"
        )));
    }
    Ok(())
}

fn call(lookup: Lookup<'_>, input: &[u8]) -> Result<Option<Value>, Failure> {
    let verb = environment::verb(lookup)?;
    if verb == Verb::Version {
        return Ok(Some(version::version(input)));
    }
    let conf = netconf::parse(input, verb)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    runtime.block_on(dispatch(lookup, verb, &conf))
}

async fn dispatch(
    lookup: Lookup<'_>,
    verb: Verb,
    conf: &NetConf,
) -> Result<Option<Value>, Failure> {
    let attachment = || environment::attachment(lookup, verb);
    match verb {
        Verb::Add => {
            let made = add::add(conf, &attachment()?).await?;
            return Ok(Some(made.to_json(conf.version)));
        }
        Verb::Del => del::del(conf, &attachment()?).await?,
        Verb::Check => check::check(conf, &attachment()?).await?,
        Verb::Status => status::status(conf).await?,
        Verb::Gc => gc::gc(conf).await?,
        Verb::Version => {}
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
