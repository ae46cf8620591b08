//! The whole catalog over large clusters: what a run costs beside what reading its input costs, and the memory of both.

use std::time::{Duration, Instant};

use gloo_insights::{
    Answers, Book, Cluster, Sample, Settings, Verdict, View, evaluate,
    testing::{Scene, pod},
};
use gloo_record::{
    Analyzer, Report, assemble,
    cilium_agents::{Agent, Health},
    network_policies::{Namespace, Policy},
    nodes::Node,
    parts,
};

/// Runs of which the middle one counts.
const RUNS: usize = 11;

/// How large the clusters are.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long, default_value_t = 10)]
    clusters: usize,
    /// In each cluster.
    #[arg(long, default_value_t = 500)]
    nodes: usize,
    /// In each cluster; a hundredth of them are without a policy, one in a thousand without an endpoint.
    #[arg(long, default_value_t = 10_000)]
    pods: usize,
}

/// Its name in reports and in Prometheus' answers.
fn name(number: usize) -> String {
    format!("cluster-{number}")
}

/// The samples of the scene, which are about one cluster, about each of them.
fn answers(scene: &Scene, clusters: usize) -> Answers {
    let about = |sample: &Sample, number: usize| {
        let mut sample = sample.clone();
        if let Some(cluster) = sample.labels.get_mut("cluster_name") {
            *cluster = name(number);
        }
        sample
    };
    let each = |samples: &Vec<Sample>| {
        let numbers = 0..clusters;
        numbers
            .flat_map(|number| samples.iter().map(move |sample| about(sample, number)))
            .collect()
    };
    let answers = scene.answers.iter();
    answers
        .map(|(query, samples)| (*query, samples.as_ref().map(each).map_err(Clone::clone)))
        .collect()
}

pub(crate) fn run(given: &Arguments) -> anyhow::Result<()> {
    let mut scene = Scene::healthy();
    scene.answers = answers(&scene, given.clusters);
    let written: Vec<Vec<String>> = (0..given.clusters)
        .map(|number| texts(&cluster(given, number)))
        .collect::<anyhow::Result<_>>()?;
    let bytes: usize = written.iter().flatten().map(String::len).sum();
    let before = resident();
    let mut times: Vec<(Duration, Duration)> = Vec::new();
    let (mut book, mut standing, mut unknown) = (Book::default(), 0, 0);
    for run in 0..RUNS {
        let started = Instant::now();
        let clusters: Vec<Cluster> = written
            .iter()
            .enumerate()
            .map(|(number, texts)| read(number, texts, &scene))
            .collect::<anyhow::Result<_>>()?;
        let reading = started.elapsed();
        let started = Instant::now();
        unknown = judge(&clusters, &scene, &mut book, &format!("run-{run}"));
        times.push((reading, started.elapsed()));
        standing = book
            .insights
            .values()
            .filter(|one| one.state.stands())
            .count();
    }
    times.sort_unstable_by_key(|(_, judging)| *judging);
    let (reading, judging) = times[RUNS / 2];
    println!(
        "insights: {} clusters x {} nodes, {} pods; {} rules",
        given.clusters,
        given.nodes,
        given.pods,
        gloo_insights::catalog().len()
    );
    println!(
        "records                    {:>10.1} MiB as JSON",
        mebibytes(bytes)
    );
    println!(
        "reading them (the bound)   {:>10.1} ms",
        milliseconds(reading)
    );
    println!(
        "judging and keeping        {:>10.1} ms",
        milliseconds(judging)
    );
    println!(
        "one run                    {:>10.1} ms   (aim 2,000)   judging : reading {:.2}",
        milliseconds(reading + judging),
        judging.as_secs_f64() / reading.as_secs_f64()
    );
    println!("insights standing          {standing:>10}");
    println!("rules not judged           {unknown:>10}");
    println!(
        "resident memory            {:>10.1} MiB, of which the generated records {:.1}",
        mebibytes(resident()),
        mebibytes(before)
    );
    Ok(())
}

fn judge(clusters: &[Cluster], scene: &Scene, book: &mut Book, run: &str) -> usize {
    let settings = Settings::default();
    let mut unknown = 0;
    for cluster in clusters {
        let answers: &Answers = &scene.answers;
        let view = View {
            cluster,
            answers,
            now: scene.now,
        };
        let all = evaluate(&view, &settings, || (), |_, (), ()| ());
        let known = |verdict: &Verdict| matches!(verdict, Verdict::Found(_));
        unknown += all.iter().filter(|one| !known(&one.verdict)).count();
        let place = (cluster.name.as_str(), cluster.home);
        book.advance(place, &all, &settings, run, scene.now);
    }
    unknown
}

/// As redis-sink keeps it: the parts' texts, several for what is long.
fn texts(scene: &Scene) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    for report in scene.cluster.reports.values().flatten() {
        for part in parts(report)? {
            all.push(serde_json::to_string(&part)?);
        }
    }
    Ok(all)
}

fn read(number: usize, texts: &[String], scene: &Scene) -> anyhow::Result<Cluster> {
    let mut parts: std::collections::BTreeMap<String, Vec<gloo_record::Part>> =
        std::collections::BTreeMap::new();
    for text in texts {
        let part: gloo_record::Part = serde_json::from_str(text)?;
        parts.entry(part.run.clone()).or_default().push(part);
    }
    let reports: Vec<Report> = parts
        .values()
        .map(|parts| assemble(parts))
        .collect::<Result<_, _>>()?;
    Ok(Cluster {
        name: name(number),
        home: number == 0,
        reports: reports
            .into_iter()
            .map(|report| (report.analyzer, Ok(report)))
            .collect(),
        snapshot: scene.cluster.snapshot.clone(),
    })
}

fn cluster(given: &Arguments, number: usize) -> Scene {
    let name = |at: usize| format!("node-{number}-{at}");
    let mut scene = Scene::healthy()
        .agents(|agents| {
            let one = agents.agents.first().cloned().unwrap_or_default();
            agents.agents = (0..given.nodes)
                .map(|at| Agent {
                    pod: pod("kube-system", &format!("cilium-{at}"), &name(at)),
                    health: if at % 100 == 7 {
                        Health::NoAnswer("timeout".to_owned())
                    } else {
                        Health::Ok
                    },
                    ..one.clone()
                })
                .collect();
            agents.unmanaged = given.pods / 1000;
            agents.unmanaged_pods = (0..given.pods / 1000)
                .map(|at| format!("shop/p{at}"))
                .collect();
        })
        .nodes(|nodes| {
            let one = nodes.nodes.first().cloned().unwrap_or_default();
            let node = |at| Node {
                name: name(at),
                ..one.clone()
            };
            nodes.nodes = (0..given.nodes).map(node).collect();
        })
        .policies(|policies| {
            policies.namespaces = (0..given.pods / 50)
                .map(|at| Namespace {
                    name: format!("team-{at}"),
                    pods: 50,
                    ingress_isolated: if at % 100 == 0 { 0 } else { 50 },
                    egress_isolated: 50,
                    ..Namespace::default()
                })
                .collect();
            let policy = |at: usize| Policy {
                kind: "NetworkPolicy".to_owned(),
                namespace: format!("team-{at}"),
                name: "all".to_owned(),
                selects: 50,
                allows_all_ingress: true,
                ..Policy::default()
            };
            policies.remarkable = (0..given.pods / 50).step_by(10).map(policy).collect();
        });
    // Each report is a run of its own, as in life.
    for (at, report) in scene.cluster.reports.values_mut().flatten().enumerate() {
        report.run = format!("{number}-{at}");
    }
    debug_assert_eq!(scene.cluster.reports.len(), Analyzer::ALL.len());
    scene
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|rest| {
        rest.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<usize>()
            .ok()
    });
    kibibytes.unwrap_or_default() * 1024
}

#[expect(clippy::cast_precision_loss, reason = "sizes for people")]
fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
