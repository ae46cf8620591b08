//! What is worth an Event: the difference between two statuses.

use gloonet_api::{
    GlooNetworkStatus,
    status::{ComponentHealth, ComponentStatus},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// One Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// For a person to look at.
    pub warning: bool,
    /// In CamelCase.
    pub reason: &'static str,
    /// A sentence.
    pub note: String,
}

/// What happened between two statuses.
pub fn news(before: &GlooNetworkStatus, after: &GlooNetworkStatus) -> Vec<News> {
    let mut all: Vec<News> = after
        .components
        .iter()
        .filter_map(|row| component(before, row))
        .collect();
    all.extend(condition(before, after, "Available"));
    all.extend(complaint(before, after));
    all
}

fn component(before: &GlooNetworkStatus, row: &ComponentStatus) -> Option<News> {
    let last = before
        .components
        .iter()
        .find(|last| last.name == row.name)
        .map(|last| last.health);
    if last == Some(row.health) {
        return None;
    }
    let note = format!("{}: {}", row.name, row.message);
    match row.health {
        ComponentHealth::Healthy => Some(News {
            warning: false,
            reason: "ComponentHealthy",
            note,
        }),
        ComponentHealth::Degraded => Some(News {
            warning: true,
            reason: "ComponentDegraded",
            note,
        }),
        ComponentHealth::Progressing | ComponentHealth::Waiting | ComponentHealth::Unknown => None,
    }
}

fn condition(before: &GlooNetworkStatus, after: &GlooNetworkStatus, kind: &str) -> Option<News> {
    let now = find(after, kind)?;
    let was = find(before, kind).map(|last| last.status.as_str());
    match (was, now.status.as_str()) {
        (was, "True") if was != Some("True") => Some(News {
            warning: false,
            reason: "Available",
            note: now.message.clone(),
        }),
        (Some("True"), _) => (now.status != "True").then(|| News {
            warning: true,
            reason: "NotAvailable",
            note: now.message.clone(),
        }),
        _ => None,
    }
}

/// Refusals, unknown fields, fights, expired pauses: whatever makes the platform Degraded besides its components.
fn complaint(before: &GlooNetworkStatus, after: &GlooNetworkStatus) -> Option<News> {
    const COMPLAINTS: [&str; 4] = ["Refused", "UnknownField", "FightingManager", "PauseExpired"];
    let now = find(after, "Degraded").filter(|now| now.status == "True")?;
    let reason = COMPLAINTS
        .into_iter()
        .find(|reason| *reason == now.reason)?;
    let told = find(before, "Degraded")
        .is_some_and(|was| was.reason == now.reason && was.message == now.message);
    (!told).then(|| News {
        warning: true,
        reason,
        note: now.message.clone(),
    })
}

fn find<'a>(status: &'a GlooNetworkStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|one| one.type_ == kind)
}

#[cfg(test)]
mod tests {
    use gloonet_api::status::ComponentState;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn row(health: ComponentHealth, message: &str) -> ComponentStatus {
        ComponentStatus {
            name: "redis".to_owned(),
            version: "7.0.15".to_owned(),
            state: ComponentState::Managed,
            health,
            message: message.to_owned(),
            since: None,
            updated: None,
            ready: 0,
            desired: 1,
        }
    }

    fn status(rows: Vec<ComponentStatus>, conditions: &[[&str; 4]]) -> GlooNetworkStatus {
        let condition = |[kind, status, reason, message]: &[&str; 4]| Condition {
            type_: (*kind).to_owned(),
            status: (*status).to_owned(),
            reason: (*reason).to_owned(),
            message: (*message).to_owned(),
            observed_generation: None,
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        };
        GlooNetworkStatus {
            components: rows,
            conditions: conditions.iter().map(condition).collect(),
            ..GlooNetworkStatus::default()
        }
    }

    /// `!` before a warning.
    fn told(before: &GlooNetworkStatus, after: &GlooNetworkStatus) -> Vec<String> {
        let word = |one: News| {
            let mark = if one.warning { "!" } else { "" };
            format!("{mark}{}: {}", one.reason, one.note)
        };
        news(before, after).into_iter().map(word).collect()
    }

    #[test]
    fn a_component_is_news_when_it_became_healthy_or_broke_and_not_on_its_way() {
        use ComponentHealth::{Degraded, Healthy, Progressing, Unknown, Waiting};
        let of = |health| status(vec![row(health, "why")], &[]);
        let nobody = GlooNetworkStatus::default();
        assert_eq!(
            told(&nobody, &of(Healthy)),
            ["ComponentHealthy: redis: why"]
        );
        assert_eq!(
            told(&of(Healthy), &of(Degraded)),
            ["!ComponentDegraded: redis: why"]
        );
        for quiet in [Progressing, Waiting, Unknown] {
            assert_eq!(told(&nobody, &of(quiet)), [""; 0]);
            assert_eq!(
                told(&of(quiet), &of(Healthy)),
                ["ComponentHealthy: redis: why"]
            );
        }
    }

    #[test]
    fn what_was_said_of_a_component_is_not_said_again_in_other_words() {
        let broken = |message| status(vec![row(ComponentHealth::Degraded, message)], &[]);
        assert_eq!(
            told(&broken("no pod"), &broken("one pod of three")),
            [""; 0]
        );
    }

    #[test]
    fn the_platform_is_news_when_it_becomes_available_and_when_it_stops_to_be() {
        let of = |value| status(Vec::new(), &[["Available", value, "Some", "because"]]);
        let nobody = GlooNetworkStatus::default();
        assert_eq!(told(&nobody, &of("True")), ["Available: because"]);
        assert_eq!(told(&of("False"), &of("True")), ["Available: because"]);
        assert_eq!(told(&of("True"), &of("False")), ["!NotAvailable: because"]);
        for (before, after) in [("True", "True"), ("False", "False"), ("False", "Unknown")] {
            assert_eq!(told(&of(before), &of(after)), [""; 0], "{before} {after}");
        }
        assert_eq!(told(&nobody, &of("False")), [""; 0], "it never was");
    }

    #[test]
    fn a_complaint_is_a_warning_once_and_again_when_it_says_something_else() {
        let of = |reason, message| status(Vec::new(), &[["Degraded", "True", reason, message]]);
        let nobody = GlooNetworkStatus::default();
        for reason in ["Refused", "UnknownField", "FightingManager", "PauseExpired"] {
            let first = of(reason, "redis");
            assert_eq!(told(&nobody, &first), [format!("!{reason}: redis")]);
            assert_eq!(told(&first, &first), [""; 0]);
            assert_eq!(
                told(&first, &of(reason, "grafana")),
                [format!("!{reason}: grafana")]
            );
        }
        // A component has said that itself.
        assert_eq!(told(&nobody, &of("ComponentDegraded", "redis")), [""; 0]);
        let over = status(Vec::new(), &[["Degraded", "False", "Refused", "redis"]]);
        assert_eq!(told(&nobody, &over), [""; 0]);
    }
}
