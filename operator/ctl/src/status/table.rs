//! The page a person reads: one line about the whole, one row per component.

use comfy_table::{Attribute, Cell, Color, Table, presets};
use gloonet_api::{
    GlooNetwork, GlooNetworkStatus,
    status::{ComponentHealth, ComponentStatus},
};
use jiff::Timestamp;

use crate::age::age;

/// The whole page. Colour only where `colour` says that a person looks.
pub(super) fn page(network: &GlooNetwork, now: Timestamp, colour: bool) -> String {
    let status = network.status.clone().unwrap_or_default();
    let mut text = headline(network, &status);
    if status.components.is_empty() {
        text.push_str(
            "no component yet: is the operator running? kubectl -n gloonet-system get pods\n",
        );
        return text;
    }
    text.push('\n');
    text.push_str(&components(&status.components, now, colour));
    text
}

fn headline(network: &GlooNetwork, status: &GlooNetworkStatus) -> String {
    let spec = &network.spec;
    let version = status.version.as_deref().unwrap_or("none yet");
    let mut text = format!(
        "GlooNetwork default  cluster {}  role {}  version {version}\n",
        spec.cluster_name,
        spec.role.as_str()
    );
    let conditions: Vec<String> = status
        .conditions
        .iter()
        .map(|condition| format!("{}={}", condition.type_, condition.status))
        .collect();
    if !conditions.is_empty() {
        text.push_str(&conditions.join("  "));
        text.push('\n');
    }
    if !status.message.is_empty() {
        text.push_str(&status.message);
        text.push('\n');
    }
    if behind(network, status) {
        text.push_str("the operator has not looked at the newest specification yet\n");
    }
    text
}

fn behind(network: &GlooNetwork, status: &GlooNetworkStatus) -> bool {
    status.observed_generation.is_some() && status.observed_generation < network.metadata.generation
}

/// One row per component, in the order they are installed.
pub(super) fn components(rows: &[ComponentStatus], now: Timestamp, colour: bool) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if colour {
        table.enforce_styling();
    }
    table.set_header([
        "COMPONENT",
        "VERSION",
        "STATE",
        "HEALTH",
        "READY",
        "SINCE",
        "MESSAGE",
    ]);
    for row in rows {
        table.add_row(cells(row, now, colour));
    }
    let lines = table.lines().map(|line| line.trim().to_owned());
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

fn cells(row: &ComponentStatus, now: Timestamp, colour: bool) -> Vec<Cell> {
    let ready = if row.desired == 0 {
        String::new()
    } else {
        format!("{}/{}", row.ready, row.desired)
    };
    let since = row
        .since
        .as_ref()
        .map_or_else(String::new, |since| age(since.0, now));
    let health = Cell::new(row.health.as_str());
    vec![
        Cell::new(&row.name),
        Cell::new(&row.version),
        Cell::new(format!("{:?}", row.state)),
        if colour {
            health.fg(shade(row.health)).add_attribute(Attribute::Bold)
        } else {
            health
        },
        Cell::new(ready),
        Cell::new(since),
        Cell::new(&row.message),
    ]
}

fn shade(health: ComponentHealth) -> Color {
    match health {
        ComponentHealth::Healthy => Color::Green,
        ComponentHealth::Progressing | ComponentHealth::Waiting => Color::Yellow,
        ComponentHealth::Degraded => Color::Red,
        ComponentHealth::Unknown => Color::Magenta,
    }
}

#[cfg(test)]
mod tests {
    use gloonet_api::{GlooNetworkSpec, status::ComponentState};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn network() -> GlooNetwork {
        let mut network = GlooNetwork::new("default", GlooNetworkSpec::named("west"));
        network.metadata.generation = Some(2);
        let row = |name: &str, health, message: &str, ready| ComponentStatus {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            state: ComponentState::Managed,
            health,
            message: message.to_owned(),
            since: Some(Time(Timestamp::from_second(940).unwrap())),
            updated: None,
            ready,
            desired: 3,
        };
        network.status = Some(GlooNetworkStatus {
            observed_generation: Some(1),
            message: "1 of 2 components are healthy".to_owned(),
            components: vec![
                row(
                    "cilium-agent",
                    ComponentHealth::Healthy,
                    "every node serves",
                    3,
                ),
                row(
                    "redis",
                    ComponentHealth::Degraded,
                    "pod gloo-mesh/redis-0: CrashLoopBackOff",
                    0,
                ),
            ],
            ..GlooNetworkStatus::default()
        });
        network
    }

    #[test]
    fn the_page_has_a_headline_and_a_row_per_component() {
        let page = page(&network(), Timestamp::from_second(1000).unwrap(), false);
        insta::assert_snapshot!(page, @r"
        GlooNetwork default  cluster west  role Standalone  version none yet
        1 of 2 components are healthy
        the operator has not looked at the newest specification yet

        COMPONENT     VERSION  STATE    HEALTH    READY  SINCE  MESSAGE
        cilium-agent  0.1.0    Managed  Healthy   3/3    1m0s   every node serves
        redis         0.1.0    Managed  Degraded  0/3    1m0s   pod gloo-mesh/redis-0: CrashLoopBackOff
        ");
    }

    #[test]
    fn a_resource_no_operator_has_seen_says_where_to_look() {
        let network = GlooNetwork::new("default", GlooNetworkSpec::named("west"));
        assert!(page(&network, Timestamp::UNIX_EPOCH, false).contains("is the operator running?"));
    }
}
