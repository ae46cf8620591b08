//! The status while everything is being taken away.

use gloonet_api::{
    GlooNetworkSpec, GlooNetworkStatus, ManagementState,
    status::{ComponentHealth, ComponentState, ComponentStatus},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{
    ObjectKey,
    removal::{PATIENCE, Uninstall},
};

/// Reason of every condition from the first look of an uninstall on.
const UNINSTALLING: &str = "Uninstalling";

/// Pods that were there before still have their network by it. An agent that ends takes nothing along, whatever ends it.
const ON_NODES: &str = "on every node the pod network as its last agent left it, and /var/run/cilium, cilium-cni and \
    05-cilium.conflist: docs/runbooks/uninstall.md says how to take them away";

/// Status during an uninstall. When the removal of a component began is kept in its row, so the clock survives a restart.
pub fn leaving(
    previous: &GlooNetworkStatus,
    generation: Option<i64>,
    spec: &GlooNetworkSpec,
    look: &Uninstall,
    now: Timestamp,
) -> GlooNetworkStatus {
    let components: Vec<_> = look
        .given_up
        .iter()
        .chain(&look.left)
        .map(|name| row(previous, look, name, now))
        .collect();
    let kept = stays(&look.kept, spec);
    let message = match &look.current {
        Some(current) => format!("removing {current}, {} to go{kept}", look.left.len()),
        None => format!("everything is removed{kept}"),
    };
    let mut status = previous.clone();
    status.observed_generation = generation;
    status.conditions = [
        ("Available", "False"),
        ("Progressing", "True"),
        ("Degraded", "False"),
        ("Upgradeable", "False"),
        ("Paused", "False"),
    ]
    .map(|(kind, value)| condition(&previous.conditions, kind, value, &message, generation, now))
    .into();
    status.message = message;
    status.components = components;
    status.plan = None;
    status
}

/// What stays after the uninstall, as the end of a sentence. Where no object stays nothing was ever installed, on nodes neither.
pub fn stays(kept: &[ObjectKey], spec: &GlooNetworkSpec) -> String {
    if kept.is_empty() {
        return String::new();
    }
    let count = |kind: &str| kept.iter().filter(|key| key.kind == kind).count();
    let definitions = count("CustomResourceDefinition");
    let mut named: Vec<String> = kept
        .iter()
        .filter(|key| key.kind != "CustomResourceDefinition")
        .map(ToString::to_string)
        .collect();
    if definitions > 0 {
        named.push(format!(
            "{definitions} CustomResourceDefinitions with the objects made of them"
        ));
    }
    if spec.cilium.state == ManagementState::Managed {
        named.push(ON_NODES.to_owned());
    }
    format!("; these stay: {}", named.join(", "))
}

/// When the uninstall began to remove a component.
pub fn began(previous: &GlooNetworkStatus, name: &str) -> Option<Timestamp> {
    let row = previous.components.iter().find(|row| row.name == name)?;
    let going = is_under_way(previous, row) && row.health == ComponentHealth::Progressing;
    row.since.as_ref().filter(|_| going).map(|since| since.0)
}

/// A row may say Removing since long before, of a component that was switched off: that is no time of the uninstall's.
fn is_under_way(previous: &GlooNetworkStatus, row: &ComponentStatus) -> bool {
    let mut conditions = previous.conditions.iter();
    row.state == ComponentState::Removing && conditions.any(|one| one.reason == UNINSTALLING)
}

fn row(
    previous: &GlooNetworkStatus,
    look: &Uninstall,
    name: &str,
    now: Timestamp,
) -> ComponentStatus {
    let last = previous.components.iter().find(|row| row.name == name);
    let going = look.current.as_deref() == Some(name);
    let given_up = look.given_up.iter().any(|other| other == name);
    let (health, message) = if going {
        (
            ComponentHealth::Progressing,
            "its objects are being deleted".to_owned(),
        )
    } else if given_up {
        (
            ComponentHealth::Progressing,
            format!(
                "not gone after {} s, left to Kubernetes",
                PATIENCE.as_secs()
            ),
        )
    } else {
        (
            ComponentHealth::Waiting,
            format!(
                "goes after {}",
                look.current.as_deref().unwrap_or("the others")
            ),
        )
    };
    let same = last.filter(|row| row.health == health && is_under_way(previous, row));
    let since = same.and_then(|row| row.since.clone()).unwrap_or(Time(now));
    ComponentStatus {
        name: name.to_owned(),
        version: last.map(|row| row.version.clone()).unwrap_or_default(),
        state: ComponentState::Removing,
        health,
        message,
        since: Some(since.clone()),
        updated: Some(since),
        ready: 0,
        desired: 0,
    }
}

fn condition(
    previous: &[Condition],
    kind: &str,
    value: &str,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let last = previous
        .iter()
        .find(|one| one.type_ == kind && one.status == value);
    Condition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: UNINSTALLING.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: last.map_or(Time(now), |last| last.last_transition_time.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removing(name: &str, since: Timestamp) -> ComponentStatus {
        ComponentStatus {
            name: name.to_owned(),
            version: "7.0.15".to_owned(),
            state: ComponentState::Removing,
            health: ComponentHealth::Progressing,
            message: "its objects are being deleted".to_owned(),
            since: Some(Time(since)),
            updated: Some(Time(since)),
            ready: 0,
            desired: 0,
        }
    }

    #[test]
    fn the_time_of_a_removal_counts_from_the_uninstall_and_not_from_when_it_was_switched_off() {
        let now = Timestamp::UNIX_EPOCH;
        let long_ago = now - PATIENCE;
        let switched_off = GlooNetworkStatus {
            conditions: vec![Condition {
                reason: "Working".to_owned(),
                ..condition(&[], "Progressing", "True", "", None, long_ago)
            }],
            components: vec![removing("redis", long_ago)],
            ..GlooNetworkStatus::default()
        };
        assert_eq!(began(&switched_off, "redis"), None);
        let look = Uninstall {
            left: vec!["redis".to_owned()],
            current: Some("redis".to_owned()),
            ..Uninstall::default()
        };
        let spec = GlooNetworkSpec::named("west");
        let first = leaving(&switched_off, None, &spec, &look, now);
        assert_eq!(began(&first, "redis"), Some(now));
        assert_eq!(first.components[0].version, "7.0.15");
        let later = leaving(&first, None, &spec, &look, now + PATIENCE);
        assert_eq!(began(&later, "redis"), Some(now));
    }

    fn key(kind: &str, name: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: name.to_owned(),
        }
    }

    #[test]
    fn what_stays_is_named_and_what_agents_left_on_nodes_with_it_where_we_had_agents() {
        let kept = [
            key("CustomResourceDefinition", "ciliumnodes.cilium.io"),
            key("CustomResourceDefinition", "workspaces.admin.gloo.solo.io"),
            key("Namespace", "gloo-mesh"),
        ];
        let objects = "; these stay: Namespace gloo-mesh, 2 CustomResourceDefinitions with the objects made of them";
        let mut spec = GlooNetworkSpec::named("west");
        assert_eq!(stays(&kept, &spec), format!("{objects}, {ON_NODES}"));
        spec.cilium.state = ManagementState::Removed;
        assert_eq!(stays(&kept, &spec), objects);
    }

    #[test]
    fn a_platform_that_was_refused_from_the_beginning_leaves_nothing() {
        assert_eq!(stays(&[], &GlooNetworkSpec::named("west")), "");
    }
}
