//! `cilium-dbg monitor`.

mod text;

use std::io::Write;

use cilium_cni::model::event::{Event, Kind, Line, Way};
use clap::{Args, ValueEnum};

use crate::Error;
use crate::agent::Agent;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Only events of this type; may be repeated
    #[arg(short = 't', long = "type", value_delimiter = ',')]
    types: Vec<Type>,
    /// Only what comes from this endpoint; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    from: Vec<u16>,
    /// Only what goes to this endpoint; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    to: Vec<u16>,
    /// Only what comes from or goes to this endpoint; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    related_to: Vec<u16>,
    /// A JSON object a line
    #[arg(short, long, conflicts_with = "verbose")]
    json: bool,
    /// The same, as other commands say it
    #[arg(short = 'o', long = "output", value_enum, conflicts_with = "verbose")]
    output: Option<OnlyJson>,
    /// More of each event, with the policies that decided
    #[arg(short, long)]
    verbose: bool,
    /// Identities as numbers
    #[arg(short, long)]
    numeric: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnlyJson {
    Json,
}

/// Of Cilium's types those this datapath has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Type {
    Drop,
    Trace,
    PolicyVerdict,
}

/// Ends when the agent does, or its reader has seen enough.
pub async fn run(arguments: &Arguments, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let asked = "its events";
    let mut lines = agent.lines("/gloonet/monitor", asked).await?;
    eprintln!("Press Ctrl-C to quit");
    while let Some(line) = lines.next().await.map_err(|source| Error::Ask {
        asked: asked.to_owned(),
        source,
    })? {
        let line: Line = serde_json::from_slice(&line).map_err(|source| Error::Answer {
            asked: asked.to_owned(),
            source,
        })?;
        if let Some(text) = arguments.show(&line) {
            writeln!(out, "{text}")?;
            out.flush()?;
        }
    }
    Err(Error::Refused {
        asked: asked.to_owned(),
        message: "it has ended".to_owned(),
    })
}

impl Arguments {
    fn show(&self, line: &Line) -> Option<String> {
        let json = self.json || self.output.is_some();
        match line {
            Line::Lost { lost } if json => Some(text::lost_json(*lost)),
            Line::Lost { lost } => Some(text::lost(*lost)),
            Line::Event(event) if !self.wants(event) => None,
            Line::Event(event) if json => Some(text::json(event)),
            Line::Event(event) if self.verbose => Some(text::verbose(event, self.numeric)),
            Line::Event(event) => Some(text::brief(event, self.numeric)),
        }
    }

    fn wants(&self, event: &Event) -> bool {
        let kind = match event.kind {
            Kind::Drop => Type::Drop,
            Kind::Trace => Type::Trace,
            Kind::PolicyVerdict => Type::PolicyVerdict,
        };
        let (source, destination) = ends(event);
        let any = |wanted: &[u16], ids: &[u16]| {
            wanted.is_empty() || ids.iter().any(|id| *id != 0 && wanted.contains(id))
        };
        (self.types.is_empty() || self.types.contains(&kind))
            && any(&self.from, &[source])
            && any(&self.to, &[destination])
            && any(&self.related_to, &[source, destination])
    }
}

/// Endpoints the packet comes from and goes to; 0 where there is none.
fn ends(event: &Event) -> (u16, u16) {
    match event.direction {
        Way::Egress => (event.endpoint, 0),
        Way::Ingress => (0, event.endpoint),
    }
}
