mod users;

use gloonet_api::Switch;
use gloonet_api::redis::{ExternalRedis, ExternalTls};

use super::*;
use crate::component::tests::{answered, failed, input, input_of, named, running};
use crate::{ProbeKind, ProbeTarget, SecretKeyRef, State};

const POD: &str = "gloo-mesh/gloo-mesh-redis-0";

fn healthy() -> Observed {
    let mut observed = running(&WORKLOAD, 1);
    let values = [
        ("used_memory", 1e6),
        ("maxmemory", 1e8),
        ("aof_enabled", 1.0),
        ("aof_last_write_ok", 1.0),
        ("loading", 0.0),
    ];
    observed.probes.push(answered(READ_WRITE, POD, &values));
    observed
}

fn external() -> Input {
    input_of(|spec| {
        spec.redis.mode = RedisMode::External;
        spec.redis.external = Some(ExternalRedis {
            address: "redis.example.org:6380".to_owned(),
            tls: ExternalTls {
                state: Switch::Enabled,
                ca_secret: Some("external-redis-ca".to_owned()),
            },
            credentials_secret: None,
        });
    })
}

#[test]
fn running_and_accepting_writes_is_healthy() {
    assert_eq!(Redis.health(&input(), &healthy()).state, State::Healthy);
}

#[test]
fn a_pod_that_runs_but_refuses_twice_is_degraded_with_its_words() {
    let mut observed = healthy();
    observed.probes = vec![failed(READ_WRITE, POD, "WRONGPASS")];
    assert_eq!(Redis.health(&input(), &observed).state, State::Progressing);
    observed.earlier.clone_from(&observed.probes);
    let health = Redis.health(&input(), &observed);
    assert_eq!((health.state, health.stands), (State::Degraded, false));
    assert!(health.message.contains("WRONGPASS"), "{}", health.message);
}

#[test]
fn loading_is_progressing_and_a_failed_append_only_file_or_full_memory_is_degraded() {
    for (value, state) in [
        (("loading", 1.0), State::Progressing),
        (("aof_last_write_ok", 0.0), State::Degraded),
        (("used_memory", 0.99e8), State::Degraded),
    ] {
        let mut observed = healthy();
        let mut values = vec![
            ("used_memory", 1e6),
            ("maxmemory", 1e8),
            ("aof_enabled", 1.0),
            ("aof_last_write_ok", 1.0),
            ("loading", 0.0),
        ];
        values.retain(|(name, _)| *name != value.0);
        values.push(value);
        observed.probes = vec![answered(READ_WRITE, POD, &values)];
        assert_eq!(Redis.health(&input(), &observed).state, state, "{value:?}");
    }
}

#[test]
fn an_external_redis_renders_nothing_and_is_asked_over_tls() {
    let input = external();
    assert_eq!(Redis.objects(&input).unwrap().len(), 0);
    let probe = &Redis.probes(&input)[0];
    assert_eq!(
        probe.target,
        ProbeTarget::Address("redis.example.org:6380".to_owned())
    );
    let ProbeKind::RedisReadWrite { login, .. } = &probe.kind else {
        panic!("{probe:?}");
    };
    let authority = SecretKeyRef::new("gloo-mesh", "external-redis-ca", "ca.crt");
    assert_eq!(
        (&login.authority, &login.password),
        (&Some(authority), &None)
    );
}

#[test]
fn an_external_redis_that_cannot_be_reached_twice_is_degraded() {
    let mut observed = Observed::default();
    observed.probes.push(failed(
        READ_WRITE,
        "redis.example.org:6380",
        "connection refused",
    ));
    observed.earlier.clone_from(&observed.probes);
    assert_eq!(Redis.health(&external(), &observed).state, State::Degraded);
}

#[test]
fn a_volume_is_claimed_only_when_persistence_is_enabled() {
    let claims = |input: &Input| {
        let objects = Redis.objects(input).unwrap();
        objects
            .iter()
            .filter(|object| object.types.as_ref().unwrap().kind == "PersistentVolumeClaim")
            .count()
    };
    let persistent = input_of(|spec| {
        spec.redis.managed.persistence.state = Switch::Enabled;
        spec.redis.managed.persistence.storage_class = Some("fast".to_owned());
    });
    assert_eq!((claims(&input()), claims(&persistent)), (0, 1));
}

#[test]
fn no_object_holds_a_password() {
    let objects = Redis.objects(&input()).unwrap();
    let config = named(&objects, "ConfigMap", "gloo-mesh-redis-config").data["data"]["redis.conf"]
        .as_str()
        .unwrap();
    assert!(
        !config.contains("requirepass") && !config.contains(" on "),
        "{config}"
    );
}
