//! `cilium-dbg config`.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use crate::Error;
use crate::agent::Agent;
use crate::output::Output;
use crate::table::Table;

#[derive(Debug, Args)]
pub struct Arguments {
    /// One value only, by its name in the list
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub async fn run(arguments: &Arguments, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let raw: Value = agent.get("/config", "its configuration").await?;
    let values = values(&raw["status"]);
    if let Some(name) = &arguments.name {
        let found = values.iter().find(|(known, _)| known == name);
        let (_, value) = found.ok_or_else(|| {
            Error::Usage(format!(
                "{name:?} is no value of the configuration, and none can be set; `config` lists them"
            ))
        })?;
        if !arguments.output.write(value, out)? {
            writeln!(out, "{}", text(value))?;
        }
        return Ok(());
    }
    if arguments.output.write(&raw, out)? {
        return Ok(());
    }
    let mut table = Table::with_least(2);
    for (name, value) in &values {
        table.line(format!("{name}\t{}", text(value)));
    }
    table.write(out)?;
    Ok(())
}

/// Every value with its path, `a.b`.
fn values(of: &Value) -> Vec<(String, Value)> {
    let Value::Object(fields) = of else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (name, value) in fields {
        let inner = values(value);
        if inner.is_empty() {
            all.push((name.clone(), value.clone()));
        }
        all.extend(
            inner
                .into_iter()
                .map(|(rest, value)| (format!("{name}.{rest}"), value)),
        );
    }
    all
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_is_listed_with_its_path() {
        let status = json!({"deviceMTU": 1450, "addressing": {"ipv4": {"ip": "10.0.0.1"}}});
        let listed: Vec<String> = values(&status)
            .iter()
            .map(|(name, value)| format!("{name}={}", text(value)))
            .collect();
        assert_eq!(listed, ["addressing.ipv4.ip=10.0.0.1", "deviceMTU=1450"]);
    }
}
