//! Errors and warnings in the agent's log.

use gloonet_daemon::troubles::written;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

/// Of the program itself, so that there is something to count up from.
const OWN: &str = "cilium_agent";

#[derive(Debug)]
pub(super) struct Troubles;

impl Collector for Troubles {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut family = encoder.encode_descriptor(
            "errors_warnings",
            "Lines of the log that are errors or warnings, by the module that wrote them",
            None,
            MetricType::Counter,
        )?;
        let mut rows = written();
        for level in ["error", "warning"] {
            if !rows.iter().any(|row| (row.0, row.1) == (level, OWN)) {
                rows.push((level, OWN, 0));
            }
        }
        for (level, module, number) in rows {
            let labels = [("level", level), ("subsystem", module)];
            ConstCounter::new(number).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
