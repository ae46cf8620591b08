use gloonet_api::status::{ComponentHealth, ComponentState, ComponentStatus};
use gloonet_catalog::{ComponentId, Health};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::world::{World, component, object, platform};
use crate::{Desired, Intent, Reason, SecretCondition, Step, lint, plan, removal};

fn lines(steps: &[Step]) -> Vec<String> {
    steps.iter().map(Step::to_string).collect()
}

fn installed() -> (World, Desired) {
    let (mut world, mut desired) = (World::new(), platform());
    world.converge(&mut desired);
    (world, desired)
}

#[test]
fn an_install_goes_in_graph_order_and_each_step_waits_for_health() {
    let (mut world, mut desired) = (World::new(), platform());
    let first = world.reconcile(&desired);
    assert_eq!(
        lines(&first.steps),
        ["make Secret gloo-mesh/redis-auth (new)"]
    );
    assert_eq!(
        first.waits(ComponentId::Redis),
        Some(&[ComponentId::Trust][..])
    );
    world.settle(&mut desired);
    let second = world.reconcile(&desired);
    let stores = [
        "apply ConfigMap gloo-mesh/redis (new)",
        "apply Deployment gloo-mesh/redis (new)",
        "apply Deployment gloo-mesh/prometheus (new)",
    ];
    assert_eq!(lines(&second.steps), stores);
    world.settle(&mut desired);
    assert_eq!(lines(&world.reconcile(&desired).steps).len(), 2);
    world.settle(&mut desired);
    assert!(world.reconcile(&desired).steps.is_empty());
}

#[test]
fn a_deleted_or_edited_object_is_restored_even_while_what_it_needs_is_sick() {
    let (mut world, mut desired) = installed();
    desired
        .components
        .iter_mut()
        .for_each(|one| one.health = Health::degraded("sick"));
    world.edit(&object("ConfigMap/gateway=1").key);
    world
        .live
        .objects
        .remove(&object("Deployment/gateway=1").key);
    let steps = world.reconcile(&desired).steps;
    let wanted = [
        "apply ConfigMap gloo-mesh/gateway (was changed by somebody else)",
        "apply Deployment gloo-mesh/gateway (was deleted)",
    ];
    assert_eq!(lines(&steps), wanted);
}

#[test]
fn a_change_waits_for_what_it_needs() {
    let (mut world, mut desired) = installed();
    desired.components[0].objects = Ok(vec![
        object("ConfigMap/gateway=1"),
        object("Deployment/gateway=2"),
    ]);
    desired.components[2].health = Health::degraded("sick");
    let waiting = world.reconcile(&desired);
    assert!(waiting.steps.is_empty());
    assert_eq!(
        waiting.waits(ComponentId::Gateway),
        Some(&[ComponentId::Redis][..])
    );
    desired.components[2].health = Health::progressing("serves, and something is not settled yet");
    assert!(
        world
            .reconcile(&desired)
            .waits(ComponentId::Gateway)
            .is_some()
    );
    desired.components[2].health.serves = true;
    let going_on = world.reconcile(&desired);
    assert_eq!(
        lines(&going_on.steps),
        ["apply Deployment gloo-mesh/gateway (changed)"]
    );
}

fn stuck_agent(since: Timestamp) -> ComponentStatus {
    ComponentStatus {
        name: ComponentId::CiliumAgent.to_string(),
        version: String::new(),
        state: ComponentState::Managed,
        health: ComponentHealth::Degraded,
        message: "no progress".to_owned(),
        since: Some(Time(since)),
        updated: Some(Time(since)),
        ready: 0,
        desired: 3,
    }
}

#[test]
fn an_agent_rollout_that_moves_gets_no_second_template_and_one_that_is_stuck_does() {
    let mut desired = Desired {
        components: vec![component(
            ComponentId::CiliumAgent,
            &[],
            &["Deployment/cilium=1"],
        )],
    };
    let mut world = World::new();
    world.converge(&mut desired);
    desired.components[0].objects = Ok(vec![object("Deployment/cilium=2")]);
    desired.components[0].health = Health::progressing("1 of 3 pods updated");
    assert_eq!(world.reconcile(&desired).held, [ComponentId::CiliumAgent]);
    desired.components[0].health = Health::degraded("1 pod ErrImagePull");
    assert_eq!(
        lines(&world.reconcile(&desired).steps),
        ["apply Deployment gloo-mesh/cilium (changed)"]
    );
    desired.components[0].objects = Ok(vec![object("Deployment/cilium=3")]);
    desired.components[0].health = Health::progressing("0 of 3 pods available");
    assert_eq!(world.reconcile(&desired).held, [ComponentId::CiliumAgent]);
    let since = Timestamp::UNIX_EPOCH;
    let desired = desired.after(
        &[stuck_agent(since)],
        since + SignedDuration::from_secs(630),
    );
    assert_eq!(
        lines(&world.reconcile(&desired).steps),
        ["apply Deployment gloo-mesh/cilium (changed)"]
    );
}

#[test]
fn an_object_that_is_no_longer_rendered_is_deleted_by_uid_and_then_forgotten() {
    let (mut world, mut desired) = installed();
    desired.components[0].objects = Ok(vec![object("Deployment/gateway=1")]);
    assert_eq!(
        lines(&world.reconcile(&desired).steps),
        ["delete ConfigMap gloo-mesh/gateway (not wanted any more)"]
    );
    assert_eq!(
        lines(&world.reconcile(&desired).steps),
        ["forget ConfigMap gloo-mesh/gateway (gone)"]
    );
    assert!(world.reconcile(&desired).steps.is_empty());
}

#[test]
fn an_object_made_anew_by_somebody_else_is_not_deleted() {
    let (mut world, mut desired) = installed();
    world
        .live
        .objects
        .get_mut(&object("ConfigMap/gateway=1").key)
        .unwrap()
        .uid = "theirs".to_owned();
    desired.components[0].objects = Ok(vec![object("Deployment/gateway=1")]);
    let steps = world.reconcile(&desired).steps;
    assert_eq!(
        lines(&steps),
        ["forget ConfigMap gloo-mesh/gateway (not made by the operator)"]
    );
}

#[test]
fn nothing_is_deleted_when_nothing_is_described_or_nothing_was_read() {
    let (world, mut desired) = installed();
    assert!(
        plan(&Desired::default(), &world.live, &world.inventory)
            .unwrap()
            .steps
            .is_empty()
    );
    desired
        .components
        .iter_mut()
        .for_each(|one| one.intent = Intent::Unwanted);
    let blind = crate::Live::default();
    assert!(
        plan(&desired, &blind, &world.inventory)
            .unwrap()
            .steps
            .is_empty()
    );
}

#[test]
fn a_component_that_cannot_be_rendered_loses_nothing() {
    let (mut world, mut desired) = installed();
    desired.components[0].objects = Err("template broken".to_owned());
    assert!(world.reconcile(&desired).steps.is_empty());
}

#[test]
fn namespaces_and_definitions_stay_when_their_component_goes() {
    let objects = [
        "CustomResourceDefinition/ciliumnodes=1",
        "Namespace/gloo-mesh=1",
        "ConfigMap/x=1",
    ];
    let mut desired = Desired {
        components: vec![component(ComponentId::Crds, &[], &objects)],
    };
    let mut world = World::new();
    world.converge(&mut desired);
    desired.components[0].intent = Intent::Unwanted;
    world.reconcile(&desired);
    assert_eq!(
        world
            .deleted
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["ConfigMap gloo-mesh/x"]
    );
}

#[test]
fn a_removed_component_goes_after_those_that_need_it() {
    let (mut world, mut desired) = installed();
    desired.components[0].intent = Intent::Unwanted;
    desired.components[2].intent = Intent::Unwanted;
    world.reconcile(&desired);
    assert!(
        world.deleted.iter().all(|key| key.name == "gateway"),
        "{:?}",
        world.deleted
    );
    world.reconcile(&desired);
    assert!(
        world.deleted.iter().any(|key| key.name == "redis"),
        "{:?}",
        world.deleted
    );
}

#[test]
fn a_paused_component_is_not_written_and_not_pruned() {
    let (mut world, mut desired) = installed();
    world.edit(&object("ConfigMap/redis=1").key);
    desired.components[2].intent = Intent::Paused;
    desired.components[2].objects = Ok(Vec::new());
    assert!(world.reconcile(&desired).steps.is_empty());
}

#[test]
fn a_certificate_that_runs_out_is_renewed_and_nothing_else() {
    let (mut world, mut desired) = installed();
    desired.components[1].secrets[0].condition = SecretCondition::Expiring;
    assert_eq!(
        lines(&world.reconcile(&desired).steps),
        ["make Secret gloo-mesh/redis-auth (certificate runs out)"]
    );
}

#[test]
fn a_secret_that_cannot_be_read_is_neither_made_nor_deleted() {
    let (mut world, mut desired) = installed();
    desired.components[1].secrets[0].condition = SecretCondition::Unread;
    assert!(world.reconcile(&desired).steps.is_empty());
}

#[test]
fn the_linter_refuses_a_plan_that_deletes_what_is_wanted() {
    let (world, desired) = installed();
    let key = object("ConfigMap/redis=1").key;
    let uid = world.live.objects[&key].uid.clone();
    let step = Step::Delete {
        component: "redis".to_owned(),
        key: key.clone(),
        uid,
        reason: Reason::Unwanted,
    };
    assert_eq!(
        lint::lint(&[step], &desired, &world.live, &world.inventory),
        Err(lint::Fault::DeletesWanted(key))
    );
}

#[test]
fn an_uninstall_goes_backwards_and_ends_with_the_release() {
    let (mut world, desired) = installed();
    let order = crate::graph::order(&desired).unwrap();
    let mut went = Vec::new();
    for _ in 0..10 {
        let look = removal::uninstall(
            &order,
            &world.live,
            &world.inventory,
            Timestamp::UNIX_EPOCH,
            |_| None,
        );
        went.extend(look.current);
        look.steps.iter().for_each(|step| world.run(step));
    }
    assert_eq!(went, ["telemetry-gateway", "prometheus", "redis", "trust"]);
    assert!(world.released);
}

#[test]
fn what_could_not_be_deleted_in_its_time_is_deleted_when_it_can_be() {
    let (world, desired) = installed();
    let order = crate::graph::order(&desired).unwrap();
    let begin = Timestamp::UNIX_EPOCH;
    let late = begin + removal::PATIENCE;
    let of_redis = |look: &removal::Uninstall| {
        let deleted = look.steps.iter();
        deleted
            .filter(|step| matches!(step, Step::Delete { .. }) && step.component() == Some("redis"))
            .count()
    };
    let look = removal::uninstall(&order, &world.live, &world.inventory, late, |name| {
        (name == "redis").then_some(begin)
    });
    assert_eq!(look.given_up, ["redis"]);
    assert!(of_redis(&look) > 0);
}

#[test]
fn an_uninstall_ends_although_an_operand_hangs() {
    let (mut world, desired) = installed();
    let order = crate::graph::order(&desired).unwrap();
    let hanging = object("Deployment/redis=1").key;
    let begin = Timestamp::UNIX_EPOCH;
    let late = begin + removal::PATIENCE;
    let mut abandoned = Vec::new();
    for _ in 0..10 {
        let look = removal::uninstall(&order, &world.live, &world.inventory, late, |name| {
            (name == "redis").then_some(begin)
        });
        abandoned.extend(look.abandoned);
        for step in look
            .steps
            .iter()
            .filter(|step| !matches!(step, Step::Delete { key, .. } if *key == hanging))
        {
            world.run(step);
        }
    }
    assert!(world.released);
    assert!(abandoned.contains(&hanging));
}
