//! Maps and programs of the kernel: memory of those that the agent holds, as is told of open descriptors, and writes to maps.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use datapath::MapOperations;

use super::snapshot::{Metric, counter, float, gauge};

/// How the kernel names descriptors of each sort, and under which name it tells their number.
const MAPS: (&str, &str) = ("anon_inode:bpf-map", "map_id");
const PROGRAMS: (&str, &str) = ("anon_inode:bpf-prog", "prog_id");

/// As Cilium's metrics name a map: without what all begin with.
pub(super) fn map_name(map: &str) -> String {
    map.strip_prefix("cilium_").unwrap_or(map).to_owned()
}

pub(super) fn memory() -> Vec<Metric> {
    let one = |held| vec![(Vec::new(), float(sum(&descriptions(held), held.1)))];
    vec![
        gauge(
            "bpf_maps_virtual_memory_max_bytes",
            "Memory of the maps that the agent holds; of a policy's own map only while it is written",
            one(MAPS),
        ),
        gauge(
            "bpf_progs_virtual_memory_max_bytes",
            "Memory of the programs that the agent holds",
            one(PROGRAMS),
        ),
    ]
}

/// Entries that the agent writes or removes one by one; those it removes many at once are in `datapath_conntrack_gc_entries`.
pub(super) fn operations(done: Vec<MapOperations>) -> Metric {
    let rows = done.into_iter().map(|one| {
        let outcome = if one.well { "success" } else { "fail" };
        let labels = vec![
            ("map_name", map_name(one.map)),
            ("operation", one.operation.to_owned()),
            ("outcome", outcome.to_owned()),
        ];
        (labels, float(one.number))
    });
    counter(
        "bpf_map_ops",
        "Entries of maps written and removed one by one",
        rows.collect(),
    )
}

/// What the kernel says of each descriptor of a sort. One that is closed meanwhile is left out.
fn descriptions((name, _): (&str, &str)) -> Vec<String> {
    let held = fs::read_dir("/proc/self/fd").into_iter().flatten();
    let held = held.filter_map(Result::ok);
    held.filter(|fd| fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == name))
        .filter_map(|fd| {
            fs::read_to_string(Path::new("/proc/self/fdinfo").join(fd.file_name())).ok()
        })
        .collect()
}

/// In bytes; several descriptors may be of one map.
fn sum(descriptions: &[String], number: &str) -> u64 {
    let each = descriptions.iter().filter_map(|text| {
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            let (_, value) = lines.find(|(found, _)| *found == name)?;
            value.trim().parse::<u64>().ok()
        };
        Some((field(number)?, field("memlock")?))
    });
    each.collect::<BTreeMap<_, _>>().values().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_counts_once_however_often_it_is_held_and_what_is_none_does_not() {
        let map = |id: u32, bytes: u32| {
            format!("pos:\t0\nflags:\t02000002\nmap_type:\t1\nmemlock:\t{bytes}\nmap_id:\t{id}\n")
        };
        let program = "prog_type:\t3\nmemlock:\t4096\nprog_id:\t7\n".to_owned();
        let held = [
            map(1, 8192),
            map(2, 100),
            map(1, 8192),
            program,
            String::new(),
        ];
        assert_eq!(sum(&held, MAPS.1), 8292);
        assert_eq!(sum(&held, PROGRAMS.1), 4096);
    }

    #[test]
    fn what_is_no_map_is_none_of_this_process() {
        let _file = fs::File::open("/proc/self/stat").unwrap();
        assert_eq!(descriptions(MAPS), [""; 0]);
    }
}
