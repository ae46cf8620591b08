use std::collections::BTreeSet;
use std::process::Command;

use super::*;
use crate::collectors::Collectors;
use crate::component::tests::{input, input_of, named, program, run};
use crate::gateway::Gateway;
use crate::{Component, Input};

/// `otelcol-contrib validate` on a rendered file, with certificates where the file looks for them. Several files are put together, as in a pod.
pub(crate) fn collector_accepts(files: &[&str]) {
    let Some(collector) = program("otelcol-contrib") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // A public key like the operator makes one: the collector reads the file already when it validates.
    let keys = folder.path().join("jwks.json");
    let key = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    std::fs::write(&keys, key).unwrap();
    let mut command = Command::new(collector);
    command
        .arg("validate")
        .env("NODE_IP", "127.0.0.1")
        .env("NODE_NAME", "worker-1")
        .env("TOKEN", "not a real one");
    for (number, file) in files.iter().enumerate() {
        let here = folder.path().display().to_string();
        let text = file
            .replace("/etc/otel-keys/jwks.json", &format!("{here}/jwks.json"))
            .replace(QUEUE_FOLDER, &here);
        let path = folder.path().join(format!("{number}.yaml"));
        std::fs::write(&path, text).unwrap();
        command.arg(format!("--config={}", path.display()));
    }
    run(&mut command);
}

/// Fails when a rendered configuration has a name that `names` lacks, or the other way round.
pub(crate) fn assert_names(names: &Names, configuration: &str) {
    let configuration: Value = serde_norway::from_str(configuration).unwrap();
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let listed = |list: &[&str]| -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    };
    assert_eq!(keys(&configuration["receivers"]), listed(names.receivers));
    assert_eq!(keys(&configuration["processors"]), listed(names.processors));
    assert_eq!(keys(&configuration["exporters"]), listed(names.exporters));
    assert_eq!(
        keys(&configuration["service"]["pipelines"]),
        listed(names.pipelines)
    );
}

/// A remote write of the user's, fed by every metric, and a pipeline of their own.
pub(crate) fn remote_write() -> ExtraConfig {
    serde_json::from_value(json!({
        "processors": {"filter/mine": {"metrics": {"metric": ["name == \"up\""]}}},
        "exporters": {
            "prometheusremotewrite/mine": {"endpoint": "https://metrics.example.org/api/v1/write", "headers": {"Authorization": "Bearer ${env:TOKEN}"}},
            "debug/mine": {},
        },
        "pipelines": {"metrics/mine": {"receivers": ["otlp"], "processors": ["memory_limiter", "filter/mine"], "exporters": ["debug/mine"]}},
        "alsoExport": {"metrics": ["prometheusremotewrite/mine"]},
        "envSecret": "my-token",
    }))
    .unwrap()
}

fn pod() -> Value {
    json!({
        "containers": [{"name": "collector", "ports": [], "readinessProbe": {}, "volumeMounts": []}],
        "volumes": [],
    })
}

#[test]
fn without_parts_of_the_users_there_is_one_file_and_no_judge() {
    let mut pod = pod();
    complete(&mut pod, &ExtraConfig::default());
    assert_eq!(
        pod["containers"][0]["args"],
        json!(["--config=/conf/relay.yaml"])
    );
    assert_eq!(pod.get("initContainers"), None);
    assert_eq!(extra_file(&ExtraConfig::default()), None);
}

#[test]
fn the_collector_judges_both_files_with_the_users_environment_before_it_serves() {
    let mut pod = pod();
    complete(&mut pod, &remote_write());
    let judge = &pod["initContainers"][0];
    assert_eq!(
        judge["args"],
        json!([
            "validate",
            "--config=/conf/relay.yaml",
            "--config=/conf/extra.yaml"
        ])
    );
    assert_eq!(
        judge["envFrom"],
        json!([{"secretRef": {"name": "my-token"}}])
    );
    assert_eq!(judge.get("readinessProbe"), None);
    assert_eq!(
        pod["containers"][0]["args"],
        json!(["--config=/conf/relay.yaml", "--config=/conf/extra.yaml"])
    );
}

/// Every container of both programs, as they are in the cluster.
fn containers(change: impl Fn(&mut ExtraConfig)) -> Vec<Value> {
    let input = input_of(|spec| {
        for extra in [
            &mut spec.telemetry.gateway.extra,
            &mut spec.telemetry.collectors.extra,
        ] {
            *extra = remote_write();
            change(extra);
        }
    });
    let mut objects = Gateway.objects(&input).unwrap();
    objects.extend(Collectors.objects(&input).unwrap());
    let pods = objects
        .iter()
        .map(|object| &object.data["spec"]["template"]["spec"]);
    pods.flat_map(|pod| [&pod["initContainers"], &pod["containers"]])
        .filter_map(Value::as_array)
        .flatten()
        .cloned()
        .collect()
}

#[test]
fn what_a_collector_says_of_values_from_a_secret_is_not_for_the_status() {
    let all = containers(|_| {});
    let with_values = all.iter().filter(|one| one.get("envFrom").is_some());
    let policies: Vec<&Value> = with_values
        .map(|one| &one["terminationMessagePolicy"])
        .collect();
    assert_eq!(policies, ["File"; 4], "a judge and a collector of each");
}

#[test]
fn what_a_collector_says_of_the_users_parts_alone_is_for_the_status() {
    for container in containers(|extra| extra.env_secret = None) {
        assert_eq!(
            container["terminationMessagePolicy"], "FallbackToLogsOnError",
            "{container}"
        );
    }
}

#[test]
fn the_second_file_holds_what_was_added_and_no_more() {
    let file = extra_file(&remote_write()).unwrap();
    let file: Value = serde_norway::from_str(&file).unwrap();
    assert_eq!(
        file.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["exporters", "processors", "service"]
    );
}

/// Our file as it is in the cluster.
pub(crate) fn rendered(component: &impl Component, input: &Input, config_map: &str) -> Value {
    let objects = component.objects(input).unwrap();
    let data = &named(&objects, "ConfigMap", config_map).data["data"];
    serde_norway::from_str(data[OURS].as_str().unwrap()).unwrap()
}

/// A gRPC server sends a client away that asks oftener than it permits, or without a request when it does not permit that.
#[test]
fn a_gateway_that_is_gone_is_missed_and_collectors_ask_no_oftener_than_it_permits() {
    let seconds = |value: &Value| -> u32 {
        let text = value.as_str().unwrap();
        text.strip_suffix('s').unwrap().parse().unwrap()
    };
    let collectors = rendered(&Collectors, &input(), "gloo-telemetry-collector-config");
    let asks = &collectors["exporters"]["otlp"]["keepalive"];
    let missed = seconds(&asks["time"]) + seconds(&asks["timeout"]);
    assert!(missed <= 30, "{asks}");
    assert_eq!(asks["permit_without_stream"], true);
    let gateway = rendered(&Gateway, &input(), "gloo-telemetry-gateway-config");
    for receiver in ["otlp", "otlp/clusters"] {
        let grpc = &gateway["receivers"][receiver]["protocols"]["grpc"];
        let permits = &grpc["keepalive"]["enforcement_policy"];
        assert!(
            seconds(&permits["min_time"]) < seconds(&asks["time"]),
            "{receiver}"
        );
        assert_eq!(permits["permit_without_stream"], true, "{receiver}");
    }
}

/// What a message becomes in memory nobody bounds but who bounds the message: `testing/gloo-bench` sends the worst to the program.
#[test]
fn every_receiver_bounds_its_messages_and_every_pipeline_looks_at_memory_first() {
    let collectors = rendered(&Collectors, &input(), "gloo-telemetry-collector-config");
    let gateway = rendered(&Gateway, &input(), "gloo-telemetry-gateway-config");
    for (file, count) in [(&collectors, 1), (&gateway, 2)] {
        let receivers = file["receivers"].as_object().unwrap();
        let served = receivers
            .iter()
            .filter(|(_, settings)| settings.get("protocols").is_some());
        assert_eq!(served.clone().count(), count);
        for (receiver, settings) in served {
            let grpc = &settings["protocols"]["grpc"];
            assert_eq!(grpc["max_recv_msg_size_mib"], 1, "{receiver}");
            assert_eq!(grpc["max_concurrent_streams"], 4, "{receiver}");
        }
        let pipelines = file["service"]["pipelines"].as_object().unwrap();
        for (name, pipeline) in pipelines {
            assert_eq!(pipeline["processors"][0], "memory_limiter", "{name}");
        }
    }
    let batch = &collectors["exporters"]["otlp"]["sending_queue"]["batch"];
    assert!(batch["max_size"].as_u64().unwrap() <= 1 << 19, "{batch}");
}
