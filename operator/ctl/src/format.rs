//! Machine-readable output.

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
    Yaml,
}

/// The value could not be written in that format.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    #[error("JSON cannot be written")]
    Json(#[source] serde_json::Error),
    #[error("YAML cannot be written")]
    Yaml(#[source] serde_norway::Error),
}

/// As indented JSON, with a newline at the end.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<String, FormatError> {
    let mut text = serde_json::to_string_pretty(value).map_err(FormatError::Json)?;
    text.push('\n');
    Ok(text)
}

/// As JSON in one line: of many, each can be read when it comes.
pub(crate) fn json_line(value: &impl serde::Serialize) -> Result<String, FormatError> {
    let mut text = serde_json::to_string(value).map_err(FormatError::Json)?;
    text.push('\n');
    Ok(text)
}

/// As one YAML document.
pub(crate) fn yaml(value: &impl serde::Serialize) -> Result<String, FormatError> {
    serde_norway::to_string(value).map_err(FormatError::Yaml)
}
