//! Accepted input to what shall be.

mod bound;

use std::collections::{BTreeMap, BTreeSet};

use gloonet_api::{Pause, cilium::Rollout};
use gloonet_catalog::{ComponentId, Health, Input, Observed, SecretSpec, catalog};
use jiff::Timestamp;

use crate::{Desired, DesiredComponent, DesiredObject, Intent, NeededSecret, ObjectKey, progress};

/// Everything the catalog makes of one input. Equal inputs give equal results, so it may be kept.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    parts: BTreeMap<ComponentId, Part>,
}

#[derive(Clone, Debug)]
struct Part {
    needs: Vec<ComponentId>,
    wanted: bool,
    objects: Result<Vec<DesiredObject>, String>,
    secrets: Vec<SecretSpec>,
}

/// Renders every component.
pub fn render(input: &Input) -> Rendered {
    let parts = catalog().into_iter().map(|component| {
        let wanted = component.enabled(input);
        let objects = if wanted {
            component
                .objects(input)
                .map_err(|error| chain(&error))
                .and_then(|objects| {
                    objects
                        .into_iter()
                        .map(|body| {
                            DesiredObject::new(body).ok_or_else(|| {
                                "an object without kind or name was rendered".to_owned()
                            })
                        })
                        .collect()
                })
        } else {
            Ok(Vec::new())
        };
        let secrets = if wanted {
            component.secrets(input)
        } else {
            Vec::new()
        };
        (
            component.id(),
            Part {
                needs: component.needs().to_vec(),
                wanted,
                objects,
                secrets,
            },
        )
    });
    Rendered {
        parts: parts.collect(),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

impl Rendered {
    /// Secrets of all components.
    pub fn secrets(&self) -> Vec<SecretSpec> {
        self.parts
            .values()
            .flat_map(|part| part.secrets.clone())
            .collect()
    }

    /// Which component each Secret belongs to.
    pub fn owners(&self) -> impl Iterator<Item = (ComponentId, ObjectKey)> {
        let owned = |(id, part): (&ComponentId, &Part)| {
            let id = *id;
            let keys: Vec<_> = part
                .secrets
                .iter()
                .map(|spec| ObjectKey::secret(&spec.namespace, &spec.name))
                .collect();
            keys.into_iter().map(move |key| (id, key))
        };
        self.parts.iter().flat_map(owned)
    }

    /// Objects of all components.
    pub fn objects(&self) -> impl Iterator<Item = (ComponentId, &DesiredObject)> {
        self.parts
            .iter()
            .flat_map(|(id, part)| part.objects.iter().flatten().map(|object| (*id, object)))
    }

    /// Keys of the objects and Secrets of one component.
    pub fn keys(&self, id: ComponentId) -> impl Iterator<Item = ObjectKey> {
        let parts = self.parts.get(&id).into_iter();
        parts.flat_map(|part| {
            let objects = part.objects.iter().flatten();
            let secrets = part.secrets.iter();
            let secrets = secrets.map(|spec| ObjectKey::secret(&spec.namespace, &spec.name));
            objects.map(|object| object.key.clone()).chain(secrets)
        })
    }

    /// Definitions among the objects: name, and group and kind of what they define.
    pub fn definitions(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let definitions = self
            .objects()
            .filter(|(_, object)| object.key.kind == "CustomResourceDefinition");
        definitions.filter_map(|(_, object)| {
            let spec = &object.body.data["spec"];
            let (group, kind) = (spec["group"].as_str()?, spec["names"]["kind"].as_str()?);
            Some((object.key.name.as_str(), group, kind))
        })
    }

    /// Components that are wanted, with why they could not be rendered, if so.
    pub fn wanted(&self) -> impl Iterator<Item = (ComponentId, Option<&str>)> {
        let wanted = self.parts.iter().filter(|(_, part)| part.wanted);
        wanted.map(|(id, part)| (*id, part.objects.as_ref().err().map(String::as_str)))
    }
}

/// Joins what was rendered with how things are. `uid` gives the UID of a Secret that was made, `observed` what a component is
/// judged by, or a sentence about what of that cannot be read: its health is then Unknown, never worse.
pub fn desired(
    rendered: &Rendered,
    input: &Input,
    secrets: &[NeededSecret],
    paused: &Paused,
    uid: impl Fn(&ObjectKey) -> Option<String>,
    observed: impl Fn(ComponentId) -> Result<Observed, String>,
) -> Desired {
    let made: Vec<ObjectKey> = secrets.iter().map(NeededSecret::key).collect();
    let uid = |key: &ObjectKey| bound::made_as(key, secrets, &uid);
    let components = catalog().into_iter().filter_map(|component| {
        let id = component.id();
        let part = rendered.parts.get(&id)?;
        let intent = match (paused.covers(id), part.wanted) {
            (true, _) => Intent::Paused,
            (false, true) => Intent::Wanted,
            (false, false) => Intent::Unwanted,
        };
        let health = if part.wanted {
            let judge = |seen| component.health(input, &seen);
            observed(id).map_or_else(Health::unknown, judge)
        } else {
            Health::progressing("its objects are being deleted")
        };
        let mine = |secret: &&NeededSecret| part.secrets.contains(&secret.spec);
        Some(DesiredComponent {
            id,
            needs: part.needs.clone(),
            intent,
            objects: part.objects.as_ref().map_err(Clone::clone).map(|objects| {
                objects
                    .iter()
                    .map(|object| bound::to_secrets(object, &made, &uid))
                    .collect()
            }),
            secrets: secrets.iter().filter(mine).cloned().collect(),
            health,
            deadline: progress::deadline(id, &input.spec.cilium.rollout),
            stuck: false,
        })
    });
    Desired {
        components: components.collect(),
    }
}

/// Every component of the catalog, none of them wanted: where an uninstall starts.
pub fn nothing_wanted() -> Desired {
    let components = catalog().into_iter().map(|component| DesiredComponent {
        id: component.id(),
        needs: component.needs().to_vec(),
        intent: Intent::Unwanted,
        objects: Ok(Vec::new()),
        secrets: Vec::new(),
        health: Health::progressing("its objects are being deleted"),
        deadline: progress::deadline(component.id(), &Rollout::default()),
        stuck: false,
    });
    Desired {
        components: components.collect(),
    }
}

/// Which components are left alone now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paused {
    /// Empty with `active`: all.
    names: BTreeSet<String>,
    active: bool,
    /// A sentence about a pause in force.
    pub in_force: Option<String>,
    /// A sentence about a pause that has run out and is still written down.
    pub expired: Option<String>,
}

impl Paused {
    /// Reads the pause of a specification.
    pub fn of(pause: Option<&Pause>, now: Timestamp) -> Self {
        let Some(pause) = pause else {
            return Self::default();
        };
        let until = pause.until.0.strftime("%Y-%m-%d %H:%M:%S UTC");
        if pause.until.0 <= now {
            let expired = format!(
                "the pause ended at {until} and the operator works again; remove spec.pause"
            );
            return Self {
                expired: Some(expired),
                ..Self::default()
            };
        }
        let whom = if pause.components.is_empty() {
            "everything".to_owned()
        } else {
            pause.components.join(", ")
        };
        Self {
            names: pause.components.iter().cloned().collect(),
            active: true,
            in_force: Some(format!(
                "{whom} is left alone until {until}: {}",
                pause.reason
            )),
            expired: None,
        }
    }

    fn covers(&self, id: ComponentId) -> bool {
        self.active && (self.names.is_empty() || self.names.contains(id.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use gloonet_api::GlooNetworkSpec;
    use gloonet_catalog::{ClusterFacts, State, validate};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn input() -> Input {
        let facts = ClusterFacts {
            api_server: Some(("192.0.2.1".to_owned(), 6443)),
            ..ClusterFacts::default()
        };
        validate(&GlooNetworkSpec::named("west"), &facts).unwrap()
    }

    #[test]
    fn every_component_of_the_catalog_renders_and_the_order_has_no_circle() {
        let input = input();
        let rendered = render(&input);
        assert_eq!(
            rendered
                .wanted()
                .filter(|(_, broken)| broken.is_some())
                .count(),
            0
        );
        let desired = desired(
            &rendered,
            &input,
            &[],
            &Paused::default(),
            |_| None,
            |_| Ok(Observed::default()),
        );
        assert_eq!(
            crate::graph::order(&desired).unwrap().len(),
            ComponentId::ALL.len()
        );
    }

    #[test]
    fn what_cannot_be_read_leaves_its_own_components_unknown_and_no_other() {
        let input = input();
        let unread = |id| match id {
            ComponentId::Redis => Err("Pods cannot be read".to_owned()),
            _ => Ok(Observed::default()),
        };
        let paused = Paused::default();
        let desired = desired(&render(&input), &input, &[], &paused, |_| None, unread);
        for component in &desired.components {
            let is_unknown = component.health.state == State::Unknown;
            assert_eq!(is_unknown, component.id == ComponentId::Redis);
        }
        let redis = desired.get(ComponentId::Redis).unwrap();
        assert_eq!(redis.health.message, "Pods cannot be read");
    }

    #[test]
    fn a_pause_covers_the_named_components_until_its_end() {
        let until: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let pause = Pause {
            until: Time(until),
            reason: "debugging".to_owned(),
            components: vec!["redis".to_owned()],
        };
        let before = Paused::of(Some(&pause), until - jiff::SignedDuration::from_secs(1));
        assert!(before.covers(ComponentId::Redis) && !before.covers(ComponentId::Grafana));
        let after = Paused::of(Some(&pause), until);
        assert!(!after.covers(ComponentId::Redis) && after.expired.is_some());
    }
}
