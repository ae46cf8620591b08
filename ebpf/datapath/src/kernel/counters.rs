use datapath_abi::{metric, reason};

use super::maps::Maps;
use crate::{Counter, Direction, Error};

pub(super) fn read(maps: &Maps) -> Result<Vec<Counter>, Error> {
    let mut counters = Vec::new();
    for &reason in reason::ALL {
        for (number, direction) in [
            (metric::INGRESS, Direction::Ingress),
            (metric::EGRESS, Direction::Egress),
        ] {
            let slot = metric::slot(reason, number);
            let by_cpu = maps
                .cilium_metrics
                .map
                .get(&slot, 0)
                .map_err(maps.cilium_metrics.failed("read"))?;
            let packets = by_cpu.iter().map(|cpu| cpu.packets).sum();
            let bytes = by_cpu.iter().map(|cpu| cpu.bytes).sum();
            if packets > 0 {
                counters.push(Counter {
                    reason,
                    direction,
                    packets,
                    bytes,
                });
            }
        }
    }
    Ok(counters)
}
