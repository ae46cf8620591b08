use gloonet_api::cilium::RoutingMode;
use gloonet_api::{GlooNetworkSpec, ManagementState};

use super::{names, refused, refused_with};

#[test]
fn a_running_network_keeps_its_routing_mode_until_a_change_to_that_very_mode_is_confirmed() {
    let change = |confirmed: Option<&'static str>| {
        refused_with(
            |spec| spec.cilium.routing.mode = RoutingMode::Native,
            |facts| {
                facts.previous_routing_mode = Some("Tunnel".to_owned());
                facts.confirmed_routing_mode = confirmed.map(str::to_owned);
            },
        )
    };
    for confirmed in [None, Some("Tunnel")] {
        names(
            &change(confirmed),
            &[
                "spec.cilium.routing.mode",
                "runs in mode Tunnel",
                "gloonetwork.io/confirm-routing-mode: Native",
            ],
        );
    }
    assert!(change(Some("Native")).is_empty());
}

#[test]
fn a_running_network_goes_on_in_its_mode_without_a_word() {
    let before = |mode: &'static str| {
        refused_with(
            |_| {},
            |facts| facts.previous_routing_mode = Some(mode.to_owned()),
        )
    };
    assert!(before("Tunnel").is_empty());
    assert_eq!(before("Native").len(), 1);
}

#[test]
fn a_network_that_does_not_run_yet_or_no_longer_shall_takes_either_mode() {
    let native = |spec: &mut GlooNetworkSpec| spec.cilium.routing.mode = RoutingMode::Native;
    assert!(refused(native).is_empty());
    let removed = refused_with(
        |spec| {
            native(spec);
            spec.cilium.state = ManagementState::Removed;
        },
        |facts| facts.previous_routing_mode = Some("Tunnel".to_owned()),
    );
    assert!(removed.is_empty(), "{removed:?}");
}
