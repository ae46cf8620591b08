//! What a collector has taken is not lost while the gateway is away: neither with its process, nor when there is no more room.
//!
//! Test 63 of the security reference, with the collector's own program and the configuration of the operator.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tonic::{Code, transport::Channel, transport::Endpoint};

use super::files::{self, Ports};
use super::gateway::program;
use super::load::{BATCH, request};
use super::stage::{Process, ask, ready, start};

/// The collector tries the gateway again every ten seconds at the latest.
const ARRIVES: Duration = Duration::from_mins(1);
const REFUSED: &str = "otelcol_exporter_enqueue_failed_log_records";

/// A collector whose gateway is not there yet.
struct Alone {
    folder: tempfile::TempDir,
    program: PathBuf,
    ports: Ports,
    channel: Channel,
    collector: Option<Process>,
}

impl Alone {
    /// Nothing where the program is not wanted. `room`: bytes of the queue, other than the operator's.
    async fn set(room: Option<u64>) -> Option<Self> {
        let program = program()?;
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports::free().unwrap();
        let tls = files::certificates(folder.path()).unwrap();
        files::collector(folder.path(), &ports, false).unwrap();
        files::gateway(folder.path(), &ports).unwrap();
        let mut alone = Self {
            folder,
            program,
            ports,
            channel: Endpoint::from_shared(format!("https://127.0.0.1:{}", ports.collector))
                .unwrap()
                .tls_config(tls)
                .unwrap()
                .connect_lazy(),
            collector: None,
        };
        alone.change("gateway", |file| {
            file["exporters"] = json!({"debug": {"verbosity": "detailed"}});
            file["service"]["pipelines"]["logs/redis_stream"]["exporters"] = json!(["debug"]);
        });
        if let Some(room) = room {
            alone.change("collector", |file| {
                file["exporters"]["otlp"]["sending_queue"]["queue_size"] = json!(room);
            });
        }
        alone.start_collector().await;
        Some(alone)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let path = self.folder.path().join(format!("{name}.yaml"));
        let text = fs::read(&path).unwrap();
        let mut file = serde_json::from_slice(&text).unwrap();
        change(&mut file);
        fs::write(path, file.to_string()).unwrap();
    }

    async fn start_collector(&mut self) {
        let folder = self.folder.path();
        self.collector = Some(start(&self.program, folder, "collector").unwrap());
        ready(self.ports.collector_health).await.unwrap();
    }

    /// One request with these numbers.
    async fn send(&self, first: u64) -> Code {
        let mut client = LogsServiceClient::new(self.channel.clone());
        match client.export(request(first..first + BATCH)).await {
            Ok(_) => Code::Ok,
            Err(status) => status.code(),
        }
    }

    /// Records for which the collector had no room, as it counts them itself.
    async fn refused(&self) -> u64 {
        let port = self.ports.collector_metrics;
        let page = ask(port, "GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
        let line = page.lines().find(|line| line.starts_with(REFUSED));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Starts the gateway and waits for what arrives there, until it is all of `numbers` or the time is over.
    async fn arrived(&self, numbers: &BTreeSet<u64>) -> BTreeSet<u64> {
        let folder = self.folder.path();
        let _gateway = start(&self.program, folder, "gateway").unwrap();
        let deadline = Instant::now() + ARRIVES;
        loop {
            let said = fs::read_to_string(folder.join("gateway.log")).unwrap();
            let bodies = said.split("Body: Str(").skip(1);
            let number = |body: &str| body.split(' ').next().unwrap().parse().unwrap();
            let arrived: BTreeSet<u64> = bodies.map(number).collect();
            if arrived.is_superset(numbers) || Instant::now() > deadline {
                return arrived;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test]
async fn what_a_collector_has_taken_arrives_though_it_was_killed_before_the_gateway_was_there() {
    let Some(mut alone) = Alone::set(None).await else {
        return;
    };
    let numbers: BTreeSet<u64> = (0..10 * BATCH).collect();
    for first in (0..10).map(|at| at * BATCH) {
        assert_eq!(alone.send(first).await, Code::Ok);
    }
    // Killed, not ended: it had no time to write anything.
    alone.collector = None;
    alone.start_collector().await;
    assert_eq!(alone.arrived(&numbers).await, numbers);
}

#[tokio::test]
async fn a_collector_without_room_refuses_and_counts_and_what_it_took_arrives() {
    // Room for about a dozen requests of 200 records.
    let Some(alone) = Alone::set(Some(600 << 10)).await else {
        return;
    };
    let (mut taken, mut refused) = (BTreeSet::new(), 0);
    for first in (0..60).map(|at| at * BATCH) {
        match alone.send(first).await {
            Code::Ok => taken.extend(first..first + BATCH),
            // Who sends keeps it and tries again later.
            Code::Unavailable => refused += BATCH,
            other => panic!("{other}"),
        }
    }
    assert!(
        !taken.is_empty() && refused > 0,
        "{} taken, {refused} refused",
        taken.len()
    );
    assert_eq!(alone.refused().await, refused);
    assert_eq!(alone.arrived(&taken).await, taken);
}
