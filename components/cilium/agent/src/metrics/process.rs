//! What the process itself uses, read from procfs.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let usage = parse(&stat, ticks_per_second(), page_size());
        let cpu = ConstCounter::new(usage.cpu_seconds);
        let help = "Time on a processor, user and system";
        cpu.encode(encoder.encode_descriptor(
            "process_cpu",
            help,
            Some(&Unit::Seconds),
            cpu.metric_type(),
        )?)?;
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let gauges = [
            (
                "process_resident_memory_bytes",
                "Memory in use",
                usage.resident,
            ),
            (
                "process_virtual_memory_bytes",
                "Addresses in use",
                usage.virtual_,
            ),
            (
                "process_open_fds",
                "Open file descriptors",
                i64::try_from(open).unwrap_or(i64::MAX),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[derive(Debug, Default, PartialEq)]
struct Usage {
    cpu_seconds: f64,
    resident: i64,
    virtual_: i64,
}

/// proc(5), /proc/PID/stat: fields after the name in parentheses, which may itself hold anything.
fn parse(stat: &str, ticks: f64, page: i64) -> Usage {
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after.split_whitespace().collect();
    let number = |index: usize| {
        fields
            .get(index)
            .and_then(|text| text.parse::<i64>().ok())
            .unwrap_or(0)
    };
    let cpu = u32::try_from(number(11) + number(12)).unwrap_or(u32::MAX);
    Usage {
        cpu_seconds: f64::from(cpu) / ticks,
        virtual_: number(20),
        resident: number(21) * page,
    }
}

fn ticks_per_second() -> f64 {
    // The kernel's interface to programs is 100 Hz on every architecture we build for.
    100.0
}

fn page_size() -> i64 {
    4096
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_after_the_last_parenthesis() {
        let stat = "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 4 0 99 8192 3 0 0";
        let usage = parse(stat, 100.0, 4096);
        assert_eq!(
            usage,
            Usage {
                cpu_seconds: 2.0,
                resident: 12_288,
                virtual_: 8192
            }
        );
    }

    #[test]
    fn our_own_file_has_what_is_read() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let usage = parse(&stat, 100.0, 4096);
        assert!(
            usage.resident > 100_000 && usage.virtual_ > usage.resident,
            "{usage:?}"
        );
    }
}
