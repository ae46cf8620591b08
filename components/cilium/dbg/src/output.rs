//! `-o json`, `-o yaml` and `-o jsonpath='{.a.b[0]}'`.

use std::io::Write;
use std::str::FromStr;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::Error;

#[derive(Clone, Debug, Default, Args)]
pub struct Output {
    /// json, yaml, or jsonpath='{.field.field[0]}'
    #[arg(short = 'o', long = "output", value_name = "FORMAT")]
    format: Option<Format>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
    /// Fields and positions, from the outside in.
    Path(Vec<Step>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Field(String),
    Position(usize),
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.strip_prefix("jsonpath=")) {
            ("json", _) => Ok(Self::Json),
            ("yaml", _) => Ok(Self::Yaml),
            (_, Some(path)) => steps(path.trim_matches('\'')).map(Self::Path),
            (_, None) => Err(format!(
                "{text:?} is not supported; use json, yaml or jsonpath"
            )),
        }
    }
}

/// Plain paths only; no filters, wildcards or ranges.
fn steps(path: &str) -> Result<Vec<Step>, String> {
    let wrong = || format!("{path:?} is no path like {{.field.field[0]}}");
    let inner = path
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(wrong)?;
    let inner = inner.strip_prefix('$').unwrap_or(inner);
    let mut steps = Vec::new();
    for part in inner.split(['.', '[']).filter(|part| !part.is_empty()) {
        match part.strip_suffix(']') {
            Some(number) => steps.push(Step::Position(number.parse().map_err(|_| wrong())?)),
            None if part
                .chars()
                .all(|c| c.is_alphanumeric() || "-_".contains(c)) =>
            {
                steps.push(Step::Field(part.to_owned()));
            }
            None => return Err(wrong()),
        }
    }
    Ok(steps)
}

impl Output {
    /// Always JSON.
    pub fn json() -> Self {
        Self {
            format: Some(Format::Json),
        }
    }

    /// Whether people want a table.
    pub fn is_text(&self) -> bool {
        self.format.is_none()
    }

    /// This, or JSON when nothing was asked for.
    #[must_use]
    pub fn or_json(&self) -> Self {
        Self {
            format: self.format.clone().or(Some(Format::Json)),
        }
    }

    /// Writes `value` when JSON, YAML or a part of it was asked for; `false` when a table was.
    pub fn write(&self, value: &impl Serialize, out: &mut dyn Write) -> Result<bool, Error> {
        let Some(format) = &self.format else {
            return Ok(false);
        };
        let value = serde_json::to_value(value).map_err(std::io::Error::from)?;
        match format {
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, &value).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
            Format::Yaml => {
                let text = serde_norway::to_string(&value).map_err(std::io::Error::other)?;
                out.write_all(text.as_bytes())?;
            }
            Format::Path(steps) => match find(&value, steps) {
                Some(Value::String(text)) => writeln!(out, "{text}")?,
                Some(other) => writeln!(out, "{other}")?,
                None => return Err(Error::NoSuchPath(named(steps))),
            },
        }
        Ok(true)
    }
}

fn find<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get(name),
        Step::Position(number) => value.get(number),
    })
}

fn named(steps: &[Step]) -> String {
    let parts: Vec<String> = steps
        .iter()
        .map(|step| match step {
            Step::Field(name) => format!(".{name}"),
            Step::Position(number) => format!("[{number}]"),
        })
        .collect();
    format!("{{{}}}", parts.concat())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(format: &str, value: &Value) -> Result<String, Error> {
        let output = Output {
            format: Some(format.parse().unwrap()),
        };
        let mut out = Vec::new();
        output.write(value, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_paths_cilium_cli_asks_for_give_the_bare_value() {
        let version = json!({"Daemon": {"Version": "0.1.0"}, "revision": 7});
        assert_eq!(
            written("jsonpath={$.Daemon.Version}", &version).unwrap(),
            "0.1.0\n"
        );
        assert_eq!(written("jsonpath='{.revision}'", &version).unwrap(), "7\n");
    }

    #[test]
    fn positions_in_lists_can_be_asked_for() {
        let list = json!([{"status": {"a-b": ["x", "y"]}}]);
        assert_eq!(
            written("jsonpath={[0].status.a-b[1]}", &list).unwrap(),
            "y\n"
        );
    }

    #[test]
    fn yaml_says_the_same_as_json() {
        let value = json!({"status": {"ids": [1, 2]}});
        assert_eq!(
            written("yaml", &value).unwrap(),
            "status:\n  ids:\n  - 1\n  - 2\n"
        );
    }

    #[test]
    fn a_path_to_nothing_is_an_error_that_names_it() {
        let error = written("jsonpath={.a.b}", &json!({"a": {}})).unwrap_err();
        assert_eq!(error.to_string(), "the output holds nothing at {.a.b}");
    }

    #[test]
    fn what_is_not_supported_is_refused_and_not_taken_for_something_else() {
        for format in [
            "xml",
            "jsonpath={..a}x",
            "jsonpath={.a[*]}",
            "jsonpath={.a[?(@.b)]}",
        ] {
            assert!(format.parse::<Format>().is_err(), "{format}");
        }
    }
}
