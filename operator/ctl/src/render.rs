//! `gloonet render`: a GlooNetwork in, the objects it leads to out, without a cluster.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use gloonet_api::{GlooNetwork, unknown};
use gloonet_catalog::{ComponentId, Input, Refusal, catalog, validate};

use crate::{
    format::{self, Format, FormatError},
    offline,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// File with the GlooNetwork; - reads standard input.
    #[arg(short, long, value_name = "FILE")]
    filename: PathBuf,
    /// Only this component.
    #[arg(short, long)]
    component: Option<ComponentId>,
    /// Address of the API server as nodes reach it, where spec.cilium.kubernetesService is absent.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "kubernetes.default.svc:443"
    )]
    api_server: String,
    /// How to print.
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Format,
}

/// Nothing could be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderFileError {
    #[error("{file} cannot be read", file = .file.display())]
    Read {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("{file} is not a GlooNetwork", file = .file.display())]
    Parse {
        file: PathBuf,
        source: serde_norway::Error,
    },
    #[error("{file} has fields a GlooNetwork does not know: {fields}", file = .file.display())]
    Unknown { file: PathBuf, fields: String },
    #[error("--api-server {given:?} is not HOST:PORT")]
    Address { given: String },
    #[error("the specification is refused: {}", refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused { refusals: Vec<Refusal> },
    #[error("component {component} cannot be rendered")]
    Component {
        component: ComponentId,
        source: gloonet_catalog::RenderError,
    },
    #[error("the release lock of this build cannot be used")]
    Lock(#[source] gloonet_catalog::LockError),
    #[error("the objects cannot be printed")]
    Format(#[source] FormatError),
}

pub(crate) fn run(given: &Arguments) -> Result<String, RenderFileError> {
    let network = parse(&given.filename, &read(&given.filename)?)?;
    let input = accept(&network, &given.api_server)?;
    let mut objects = Vec::new();
    for component in catalog() {
        let wanted = given.component.is_none_or(|id| id == component.id());
        if wanted && component.enabled(&input) {
            let rendered = component.objects(&input);
            objects.extend(rendered.map_err(|source| RenderFileError::Component {
                component: component.id(),
                source,
            })?);
        }
    }
    if given.output == Format::Json {
        return format::json(&objects).map_err(RenderFileError::Format);
    }
    let documents = objects
        .iter()
        .map(|object| format::yaml(object).map_err(RenderFileError::Format));
    documents
        .map(|text| Ok(format!("---\n{}", text?)))
        .collect()
}

fn read(file: &Path) -> Result<String, RenderFileError> {
    let mut text = String::new();
    let result = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    result
        .map(|()| text)
        .map_err(|source| RenderFileError::Read {
            file: file.to_owned(),
            source,
        })
}

fn parse(file: &Path, text: &str) -> Result<GlooNetwork, RenderFileError> {
    let refuse = |source| RenderFileError::Parse {
        file: file.to_owned(),
        source,
    };
    let raw: serde_json::Value = serde_norway::from_str(text).map_err(refuse)?;
    let fields = unknown::unknown_fields(&raw);
    if !fields.is_empty() {
        return Err(RenderFileError::Unknown {
            file: file.to_owned(),
            fields: fields.join(", "),
        });
    }
    serde_norway::from_str(text).map_err(refuse)
}

fn accept(network: &GlooNetwork, api_server: &str) -> Result<Input, RenderFileError> {
    let address = api_server
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    let address = address.ok_or_else(|| RenderFileError::Address {
        given: api_server.to_owned(),
    })?;
    let facts = offline::facts(&network.spec, address).map_err(RenderFileError::Lock)?;
    validate(&network.spec, &facts).map_err(|refusals| RenderFileError::Refused { refusals })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "
apiVersion: gloonetwork.io/v1alpha1
kind: GlooNetwork
metadata: {name: default}
spec: {clusterName: west}
";

    #[test]
    fn the_smallest_resource_renders_every_component_that_is_on() {
        let network = parse(Path::new("small.yaml"), SMALL).unwrap();
        let input = accept(&network, "10.0.0.1:6443").unwrap();
        let on: Vec<_> = catalog()
            .into_iter()
            .filter(|component| component.enabled(&input))
            .collect();
        assert!(on.len() > 5);
        for component in on {
            component.objects(&input).unwrap();
        }
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let error = parse(
            Path::new("x.yaml"),
            &SMALL.replace("clusterName: west", "clusterName: west, rediss: {}"),
        );
        let text = error.unwrap_err().to_string();
        assert!(text.contains("spec.rediss"), "{text}");
    }

    #[test]
    fn broken_yaml_names_the_file() {
        let error = parse(Path::new("x.yaml"), "a: [").unwrap_err();
        assert!(crate::sentence(&error).contains("x.yaml"));
    }

    #[test]
    fn a_secret_that_the_resource_names_is_taken_as_there() {
        let external = "clusterName: west, redis: {mode: External, external: {address: 'r:6379', credentialsSecret: login, tls: {caSecret: ca}}}";
        let network = parse(
            Path::new("x.yaml"),
            &SMALL.replace("clusterName: west", external),
        )
        .unwrap();
        assert!(accept(&network, "10.0.0.1:6443").is_ok());
    }

    #[test]
    fn an_address_without_a_port_is_refused() {
        let network = parse(Path::new("small.yaml"), SMALL).unwrap();
        assert!(matches!(
            accept(&network, "10.0.0.1"),
            Err(RenderFileError::Address { .. })
        ));
    }
}
