//! Which image each container runs: the release lock, the user's mirror, the user's overrides.

use std::collections::BTreeMap;
use std::fmt;

use crate::{LockError, ReleaseLock};

/// An image of the release lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageName {
    GloonetOperator,
    CiliumAgent,
    CiliumOperator,
    GlooMeshAgent,
    GlooMeshAnalyzer,
    GlooMeshInsights,
    GlooMeshMgmtServer,
    HubbleRelay,
    RedisSink,
    Redis,
    Prometheus,
    OtelCollector,
    Grafana,
}

impl ImageName {
    pub const ALL: [Self; 13] = [
        Self::GloonetOperator,
        Self::CiliumAgent,
        Self::CiliumOperator,
        Self::GlooMeshAgent,
        Self::GlooMeshAnalyzer,
        Self::GlooMeshInsights,
        Self::GlooMeshMgmtServer,
        Self::HubbleRelay,
        Self::RedisSink,
        Self::Redis,
        Self::Prometheus,
        Self::OtelCollector,
        Self::Grafana,
    ];

    /// Name in the release lock and key of `spec.images.overrides`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GloonetOperator => "gloonet-operator",
            Self::CiliumAgent => "cilium-agent",
            Self::CiliumOperator => "cilium-operator",
            Self::GlooMeshAgent => "gloo-mesh-agent",
            Self::GlooMeshAnalyzer => "gloo-mesh-analyzer",
            Self::GlooMeshInsights => "gloo-mesh-insights",
            Self::GlooMeshMgmtServer => "gloo-mesh-mgmt-server",
            Self::HubbleRelay => "hubble-relay",
            Self::RedisSink => "redis-sink",
            Self::Redis => "redis",
            Self::Prometheus => "prometheus",
            Self::OtelCollector => "otel-collector",
            Self::Grafana => "grafana",
        }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// An image cannot be named.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error(
        "images.overrides names {given:?}, which is no image of this release; there are {available}"
    )]
    UnknownOverride { given: String, available: String },
    #[error(
        "images.overrides.{image} is {reference:?}; write registry/path:tag or registry/path@sha256:<64 hex digits>"
    )]
    Reference { image: ImageName, reference: String },
    #[error(
        "images.registry is {registry:?}; write host[:port][/path] without scheme and without a slash at the end"
    )]
    Registry { registry: String },
    #[error("the release lock of this build is not usable")]
    Lock(#[source] LockError),
}

/// Every image reference of one installation, decided before anything is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageResolver {
    references: BTreeMap<ImageName, String>,
    /// `Always`, `IfNotPresent` or `Never`.
    pub pull_policy: String,
    /// Names of Secrets in each namespace with pods.
    pub pull_secrets: Vec<String>,
}

impl ImageResolver {
    /// Resolves all images. `registry` empty: as in the lock, with `@digest` where it is known. Otherwise the host is
    /// replaced by `registry`, path and tag kept. An override wins and is used as it stands.
    pub fn new(
        lock: &ReleaseLock,
        registry: &str,
        overrides: &BTreeMap<String, String>,
        pull_policy: &str,
        pull_secrets: &[String],
    ) -> Result<Self, ImageError> {
        check_registry(registry)?;
        for given in overrides.keys() {
            if !ImageName::ALL.iter().any(|name| name.as_str() == given) {
                let available = ImageName::ALL.map(ImageName::as_str).join(", ");
                return Err(ImageError::UnknownOverride {
                    given: given.clone(),
                    available,
                });
            }
        }
        let mut references = BTreeMap::new();
        for name in ImageName::ALL {
            let reference = match overrides.get(name.as_str()) {
                Some(reference) if is_reference(reference) => reference.clone(),
                Some(reference) => {
                    return Err(ImageError::Reference {
                        image: name,
                        reference: reference.clone(),
                    });
                }
                None => locked(lock, name, registry)?,
            };
            references.insert(name, reference);
        }
        Ok(Self {
            references,
            pull_policy: pull_policy.to_owned(),
            pull_secrets: pull_secrets.to_vec(),
        })
    }

    /// The full reference of one image.
    pub fn reference(&self, name: ImageName) -> &str {
        self.references.get(&name).map_or("", String::as_str)
    }

    /// All images by lock name, for `status.images`.
    pub fn all(&self) -> impl Iterator<Item = (ImageName, &str)> {
        self.references
            .iter()
            .map(|(name, reference)| (*name, reference.as_str()))
    }
}

fn locked(lock: &ReleaseLock, name: ImageName, registry: &str) -> Result<String, ImageError> {
    let entry = lock
        .images
        .iter()
        .find(|image| image.name == name.as_str())
        .ok_or_else(|| {
            ImageError::Lock(LockError::Missing {
                kind: "image",
                name: name.as_str(),
            })
        })?;
    let repository = match (registry, entry.reference.split_once('/')) {
        ("", _) | (_, None) => entry.reference.clone(),
        (mirror, Some((_, path))) => format!("{mirror}/{path}"),
    };
    let digest = entry
        .digest()
        .map(|digest| format!("@{digest}"))
        .unwrap_or_default();
    Ok(format!("{repository}:{}{digest}", entry.version))
}

fn check_registry(registry: &str) -> Result<(), ImageError> {
    let plain = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | ':' | '/')
    };
    let usable = registry.is_empty()
        || (registry.chars().all(plain)
            && !registry.contains("//")
            && !registry.ends_with('/')
            && !registry.starts_with('/'));
    if usable {
        Ok(())
    } else {
        Err(ImageError::Registry {
            registry: registry.to_owned(),
        })
    }
}

fn is_reference(reference: &str) -> bool {
    let plain = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | ':' | '/' | '@')
    };
    let last = reference.rsplit('/').next().unwrap_or_default();
    reference.contains('/') && reference.chars().all(plain) && last.contains([':', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(registry: &str, overrides: &[(&str, &str)]) -> Result<ImageResolver, ImageError> {
        let overrides = overrides
            .iter()
            .map(|(name, image)| ((*name).to_owned(), (*image).to_owned()))
            .collect();
        ImageResolver::new(
            &ReleaseLock::embedded().unwrap(),
            registry,
            &overrides,
            "IfNotPresent",
            &[],
        )
    }

    #[test]
    fn without_a_mirror_the_reference_is_the_locks() {
        let images = resolve("", &[]).unwrap();
        assert_eq!(
            images.reference(ImageName::Redis),
            "docker.io/library/redis:7.0.15"
        );
    }

    #[test]
    fn a_known_digest_is_part_of_the_reference_also_behind_a_mirror() {
        let mut lock = ReleaseLock::embedded().unwrap();
        let digest = format!("sha256:{}", "a".repeat(64));
        for image in &mut lock.images {
            image.digest.clone_from(&digest);
        }
        let images = ImageResolver::new(
            &lock,
            "mirror.example:5000/proxy",
            &BTreeMap::new(),
            "Always",
            &[],
        )
        .unwrap();
        let wanted = format!("mirror.example:5000/proxy/library/redis:7.0.15@{digest}");
        assert_eq!(images.reference(ImageName::Redis), wanted);
    }

    #[test]
    fn a_mirror_replaces_the_host_and_keeps_path_and_tag() {
        let images = resolve("lab.gloonet.local", &[]).unwrap();
        assert_eq!(
            images.reference(ImageName::Redis),
            "lab.gloonet.local/library/redis:7.0.15"
        );
        assert_eq!(
            images.reference(ImageName::CiliumAgent),
            "lab.gloonet.local/gloonetwork/cilium-agent:0.1.0"
        );
    }

    #[test]
    fn an_override_is_used_as_it_stands_and_only_for_its_image() {
        let images = resolve(
            "mirror.example",
            &[("grafana", "other.example/g/grafana:1")],
        )
        .unwrap();
        assert_eq!(
            images.reference(ImageName::Grafana),
            "other.example/g/grafana:1"
        );
        assert_eq!(
            images.reference(ImageName::Redis),
            "mirror.example/library/redis:7.0.15"
        );
    }

    #[test]
    fn an_override_for_an_unknown_image_is_refused_with_the_names_there_are() {
        let refusal = resolve("", &[("graphana", "x.example/y:1")])
            .unwrap_err()
            .to_string();
        assert!(
            refusal.contains("graphana")
                && refusal.contains("grafana, ") | refusal.ends_with("grafana"),
            "{refusal}"
        );
    }

    #[test]
    fn an_override_without_tag_or_with_a_space_and_a_registry_with_a_scheme_are_refused() {
        for reference in ["redis", "x.example/redis", "x.example/redis:7 --privileged"] {
            assert!(
                matches!(
                    resolve("", &[("redis", reference)]),
                    Err(ImageError::Reference { .. })
                ),
                "{reference}"
            );
        }
        for registry in ["https://mirror.example", "mirror.example/", "/mirror"] {
            assert!(
                matches!(resolve(registry, &[]), Err(ImageError::Registry { .. })),
                "{registry}"
            );
        }
    }
}
