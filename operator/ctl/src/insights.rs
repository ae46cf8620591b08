//! `gloonet insights`: what a person should know of all clusters. `gloonet insights explain`: what a code means and what to do.

mod engine;
mod explain;
mod table;
mod watch;

use std::{path::Path, time::Duration};

use gloo_insights::{Code, Insight, Overview, Severity};
use jiff::Timestamp;

use crate::{
    fetch::{self, FetchError},
    format::{self, Format, FormatError},
};
use engine::EngineError;

/// How often --watch looks.
const WATCH: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    filter: Filter,
    /// Go on and print what changes, until interrupted; as JSON an object a line.
    #[arg(short, long)]
    watch: bool,
    /// How to print. JSON and YAML hold evidence and history.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say what a code means, why it matters, and what to do; with an engine in reach, for each place it is found at.
    Explain {
        /// As HLT0101.
        code: Code,
    },
    /// List every code there is.
    Codes,
}

/// Which insights.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Filter {
    /// Of this cluster.
    #[arg(long)]
    cluster: Option<String>,
    /// At least this bad: error, warning, info.
    #[arg(long)]
    severity: Option<Severity>,
    /// Of this code.
    #[arg(long)]
    code: Option<Code>,
    /// Cleared, expired and suppressed ones too.
    #[arg(long)]
    all: bool,
    /// Also each rule that cannot be judged, and why.
    #[arg(long)]
    unknown: bool,
}

/// Insights could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum InsightsError {
    #[error("the management cluster cannot be asked")]
    Fetch(#[source] FetchError),
    #[error("the insights engine cannot be asked")]
    Engine(#[source] EngineError),
    #[error("they cannot be printed")]
    Format(#[source] FormatError),
    #[error("there is no code {0} in this release: gloonet insights codes lists them")]
    Code(Code),
    #[error("what it says cannot be written")]
    Output(#[source] std::io::Error),
}

pub(crate) async fn run(
    kubeconfig: Option<&Path>,
    given: &Arguments,
) -> Result<String, InsightsError> {
    match &given.command {
        Some(Command::Codes) => return Ok(explain::codes()),
        Some(Command::Explain { code }) => {
            let rule = gloo_insights::find(*code).ok_or(InsightsError::Code(*code))?;
            let found = overview(kubeconfig).await;
            return Ok(explain::text(
                rule,
                found.as_ref().map_err(ToString::to_string),
            ));
        }
        None => {}
    }
    if given.watch {
        return watch(kubeconfig, given).await;
    }
    let overview = overview(kubeconfig).await?;
    let chosen = choose(&overview, &given.filter);
    match given.output {
        Format::Table => Ok(table::text(
            &overview,
            &chosen,
            &given.filter,
            Timestamp::now(),
        )),
        Format::Json => format::json(&chosen).map_err(InsightsError::Format),
        Format::Yaml => format::yaml(&chosen).map_err(InsightsError::Format),
    }
}

async fn overview(kubeconfig: Option<&Path>) -> Result<Overview, InsightsError> {
    let client = fetch::client(kubeconfig)
        .await
        .map_err(InsightsError::Fetch)?;
    engine::ask(client).await.map_err(InsightsError::Engine)
}

/// Prints what is there, and then each change. People get a table first, programs get everything in the form of a change.
async fn watch(kubeconfig: Option<&Path>, given: &Arguments) -> Result<String, InsightsError> {
    let mut last = overview(kubeconfig).await?;
    let chosen = choose(&last, &given.filter);
    let mut text = match given.output {
        Format::Table => table::text(&last, &chosen, &given.filter, Timestamp::now()),
        output => changes(&watch::first(&chosen), output)?,
    };
    loop {
        let written = crate::say(&mut std::io::stdout().lock(), &text);
        written.map_err(InsightsError::Output)?;
        tokio::time::sleep(WATCH).await;
        text.clear();
        match overview(kubeconfig).await {
            Ok(now) => {
                let (before, after) = (choose(&last, &given.filter), choose(&now, &given.filter));
                text = changes(&watch::between(&before, &after), given.output)?;
                last = now;
            }
            // The engine is replaced now and then; that is no end. Standard output is for what it says.
            Err(error) => {
                let line = format!("… {}\n", crate::sentence(&error));
                let written = crate::say(&mut std::io::stderr().lock(), &line);
                written.map_err(InsightsError::Output)?;
            }
        }
    }
}

fn changes(changes: &[watch::Change<'_>], output: Format) -> Result<String, InsightsError> {
    watch::text(changes, output).map_err(InsightsError::Format)
}

/// The worst first, then by code and place.
fn choose<'a>(overview: &'a Overview, filter: &Filter) -> Vec<&'a Insight> {
    let mut chosen: Vec<&Insight> = overview
        .insights
        .iter()
        .filter(|one| filter.all || (one.state.stands() && one.suppressed.is_none()))
        .filter(|one| {
            filter
                .cluster
                .as_ref()
                .is_none_or(|name| one.cluster == *name)
        })
        .filter(|one| filter.severity.is_none_or(|least| one.severity >= least))
        .filter(|one| filter.code.is_none_or(|code| one.code == code))
        .collect();
    chosen.sort_by(|one, other| {
        let key = |insight: &Insight| (std::cmp::Reverse(insight.severity), insight.id.clone());
        key(one).cmp(&key(other))
    });
    chosen
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn insight(code: &str, severity: &str, cluster: &str, state: &str) -> Insight {
        serde_json::from_value(json!({
            "id": format!("{code}/{cluster}/Node/a"), "code": code, "severity": severity, "cluster": cluster,
            "target": {"kind": "Node", "name": "a"}, "title": "t", "summary": "a is silent",
            "evidence": {"pod": "cilium-x"}, "state": {"is": state, "at": "2026-01-01T00:00:00Z"},
            "created": "2026-01-01T00:00:00Z", "observed": "2026-01-01T00:00:00Z", "run": "r", "history": [],
        }))
        .unwrap()
    }

    pub(super) fn overview(insights: Vec<Insight>) -> Overview {
        Overview {
            run: "r".to_owned(),
            ended: "2026-01-01T00:10:00Z".parse().unwrap(),
            clusters: vec!["west".to_owned()],
            insights,
            unknown: Vec::new(),
            errors: Vec::new(),
        }
    }

    #[test]
    fn the_worst_comes_first_and_what_is_cleared_is_left_out() {
        let overview = overview(vec![
            insight("BP0109", "INFO", "west", "active"),
            insight("HLT0101", "ERROR", "west", "active"),
            insight("HLT0102", "ERROR", "west", "cleared"),
            insight("HLT0103", "ERROR", "east", "active"),
        ]);
        let codes = |filter: &Filter| -> Vec<String> {
            let chosen = choose(&overview, filter);
            chosen.iter().map(|one| one.code.to_string()).collect()
        };
        assert_eq!(codes(&Filter::default()), ["HLT0101", "HLT0103", "BP0109"]);
        let west = Filter {
            cluster: Some("west".to_owned()),
            severity: Some(Severity::Warning),
            ..Filter::default()
        };
        assert_eq!(codes(&west), ["HLT0101"]);
        let all = Filter {
            all: true,
            ..Filter::default()
        };
        assert_eq!(codes(&all).len(), 4);
    }
}
