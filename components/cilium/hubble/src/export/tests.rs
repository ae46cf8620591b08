use std::{fs, path::Path};

use serde_json::Value;

use super::*;
use crate::{
    fixture::{self, Cluster, at},
    observer,
};

fn settings(path: &Path) -> Settings {
    Settings {
        path: path.to_owned(),
        max_bytes: 1 << 20,
        backups: 2,
        group: None,
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn flows_are_written_in_order_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.log");
    let (observer, mut writer) = observer::new(fixture::config(127), Arc::new(Cluster));
    assert!(observer.exported().is_none());
    let mut exporter = Exporter::new(Arc::clone(&observer), settings(&path));
    for second in 0..100 {
        writer.packet(at(second));
    }
    exporter.step().await.unwrap();
    let lines = lines(&path);
    assert_eq!(lines.len(), 100);
    assert_eq!(lines[99]["flow"]["time"], "1970-01-01T00:01:39Z");
    let counts = observer.exported().unwrap();
    assert_eq!(
        counts.outcomes(),
        [("written", 100), ("missed", 0), ("refused", 0)]
    );
}

#[tokio::test]
async fn what_the_ring_went_over_is_counted_and_told_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.log");
    let (observer, mut writer) = observer::new(fixture::config(7), Arc::new(Cluster));
    let mut exporter = Exporter::new(Arc::clone(&observer), settings(&path));
    for second in 0..20 {
        writer.packet(at(second));
    }
    exporter.step().await.unwrap();
    let lines = lines(&path);
    assert_eq!(lines[0]["lost_events"]["num_events_lost"], "13");
    assert_eq!(lines.len(), 8);
    let counts = observer.exported().unwrap();
    assert_eq!(
        counts.outcomes(),
        [("written", 7), ("missed", 13), ("refused", 0)]
    );
}

#[tokio::test]
async fn a_disk_that_refuses_costs_flows_that_are_counted_and_the_next_ones_are_tried() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("hubble");
    let path = place.join("events.log");
    fs::write(&place, "in the way").unwrap();
    let (observer, mut writer) = observer::new(fixture::config(127), Arc::new(Cluster));
    let mut exporter = Exporter::new(Arc::clone(&observer), settings(&path));
    writer.packet(at(1));
    writer.packet(at(2));
    exporter.step().await.unwrap_err();
    fs::remove_file(&place).unwrap();
    writer.packet(at(3));
    exporter.step().await.unwrap();
    assert_eq!(lines(&path).len(), 1);
    let counts = observer.exported().unwrap();
    assert_eq!(
        counts.outcomes(),
        [("written", 1), ("missed", 0), ("refused", 2)]
    );
}
