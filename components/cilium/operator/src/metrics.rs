//! Metrics under Cilium's names (`cilium_operator_…`), where Cilium has one.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

mod load_balancers;
mod process;

pub use load_balancers::LoadBalancers;

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Everything that is measured.
pub struct Metrics {
    registry: Registry,
    ipam_nodes: Family<Labels<1>, Gauge>,
    ipam_ips: Family<Labels<1>, Gauge>,
    ipam_available: Gauge,
    ipam_resync: Counter,
    identities: Family<Labels<1>, Gauge>,
    identities_removed: Counter,
    endpoints_removed: Family<Labels<1>, Counter>,
    unmanaged_pods: Gauge,
    policies: Family<Labels<1>, Gauge>,
    load_balancers: LoadBalancers,
    controller_runs: Family<RunLabels, Counter>,
    controller_panics: Family<Labels<1>, Counter>,
    writes: Family<Labels<2>, Counter>,
    unreadable: Family<Labels<1>, Gauge>,
    leader: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    name: &'static str,
    status: &'static str,
}

/// State of the address pool.
#[derive(Clone, Copy, Debug, Default)]
pub struct IpamGauges {
    /// Nodes.
    pub nodes: usize,
    /// Nodes no podCIDR is left for.
    pub nodes_without: usize,
    /// podCIDRs that can still be given.
    pub blocks_free: u64,
    /// Pod addresses in podCIDRs that are given.
    pub addresses_given: u64,
    /// Pod addresses in podCIDRs that can still be given.
    pub addresses_free: u64,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("cilium_operator"),
            ipam_nodes: Family::default(),
            ipam_ips: Family::default(),
            ipam_available: Gauge::default(),
            ipam_resync: Counter::default(),
            identities: Family::default(),
            identities_removed: Counter::default(),
            endpoints_removed: Family::default(),
            unmanaged_pods: Gauge::default(),
            policies: Family::default(),
            load_balancers: LoadBalancers::default(),
            controller_runs: Family::default(),
            controller_panics: Family::default(),
            writes: Family::default(),
            unreadable: Family::default(),
            leader: Gauge::default(),
        };
        metrics.register_gauges();
        metrics.register_counters();
        metrics
    }
}

impl Metrics {
    fn register_gauges(&mut self) {
        let r = &mut self.registry;
        for (name, help, family) in [
            (
                "ipam_nodes",
                "Nodes by whether they have a podCIDR",
                &self.ipam_nodes,
            ),
            (
                "ipam_ips",
                "Pod addresses in podCIDRs given and available",
                &self.ipam_ips,
            ),
            (
                "identity_gc_entries",
                "Identities by status",
                &self.identities,
            ),
            (
                "policies",
                "Cilium policies by whether they are followed in full",
                &self.policies,
            ),
            (
                "unreadable_objects",
                "Objects left out as unreadable",
                &self.unreadable,
            ),
        ] {
            r.register(name, help, family.clone());
        }
        for (name, help, gauge) in [
            (
                "ipam_available",
                "podCIDRs that can still be given",
                &self.ipam_available,
            ),
            (
                "unmanaged_pods",
                "Running pods without an endpoint",
                &self.unmanaged_pods,
            ),
            (
                "leader",
                "1 while this replica holds the Lease",
                &self.leader,
            ),
        ] {
            r.register(name, help, gauge.clone());
        }
        self.load_balancers.register(r);
        r.register_collector(Box::new(process::Process));
    }

    fn register_counters(&mut self) {
        let r = &mut self.registry;
        for (name, help, family) in [
            (
                "endpoint_gc_objects",
                "CiliumEndpoints removed",
                &self.endpoints_removed,
            ),
            (
                "controllers_panics",
                "Panics by controller",
                &self.controller_panics,
            ),
        ] {
            r.register(name, help, family.clone());
        }
        for (name, help, counter) in [
            (
                "ipam_resync",
                "Looks at the podCIDRs of all nodes",
                &self.ipam_resync,
            ),
            (
                "identity_gc_removed",
                "Unused identities removed",
                &self.identities_removed,
            ),
        ] {
            r.register(name, help, counter.clone());
        }
        let runs = "Looks of each controller by outcome";
        r.register("controllers_runs", runs, self.controller_runs.clone());
        let writes = "Writes to the API server by kind and outcome";
        r.register("writes", writes, self.writes.clone());
    }

    /// The exposition, in OpenMetrics text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }

    /// A look at all podCIDRs.
    pub fn ipam(&self, gauges: &IpamGauges) {
        let IpamGauges {
            nodes,
            nodes_without,
            blocks_free,
            addresses_given,
            addresses_free,
        } = *gauges;
        self.ipam_resync.inc();
        let count = |category, n: usize| {
            self.ipam_nodes
                .get_or_create(&[("category", category)])
                .set(signed(n as u64))
        };
        count("total", nodes);
        count("in-deficit", nodes_without);
        self.ipam_ips
            .get_or_create(&[("type", "given")])
            .set(signed(addresses_given));
        self.ipam_ips
            .get_or_create(&[("type", "available")])
            .set(signed(addresses_free));
        self.ipam_available.set(signed(blocks_free));
    }

    /// A look at all identities.
    pub fn identities(&self, alive: usize, without_number: usize) {
        self.identities
            .get_or_create(&[("status", "alive")])
            .set(signed(alive as u64));
        self.identities
            .get_or_create(&[("status", "without-number")])
            .set(signed(without_number as u64));
    }

    /// An identity was removed.
    pub fn identity_removed(&self) {
        self.identities_removed.inc();
    }

    /// An endpoint was removed.
    pub fn endpoint_removed(&self) {
        self.endpoints_removed
            .get_or_create(&[("outcome", "success")])
            .inc();
    }

    /// Running pods without an endpoint.
    pub fn unmanaged(&self, pods: usize) {
        self.unmanaged_pods.set(signed(pods as u64));
    }

    /// A look at all Cilium policies.
    pub fn policies(&self, valid: usize, invalid: usize) {
        for (label, number) in [("true", valid), ("false", invalid)] {
            self.policies
                .get_or_create(&[("valid", label)])
                .set(signed(number as u64));
        }
    }

    /// What is counted of load balancers.
    pub fn load_balancers(&self) -> &LoadBalancers {
        &self.load_balancers
    }

    /// A controller has looked and written.
    pub fn ran(&self, name: &'static str, success: bool) {
        let status = if success { "success" } else { "failure" };
        self.controller_runs
            .get_or_create(&RunLabels { name, status })
            .inc();
    }

    /// A controller panicked.
    pub fn panicked(&self, name: &'static str) {
        self.controller_panics
            .get_or_create(&[("name", name)])
            .inc();
    }

    /// A write ended.
    pub fn wrote(&self, kind: &'static str, outcome: &'static str) {
        self.writes
            .get_or_create(&[("write", kind), ("outcome", outcome)])
            .inc();
    }

    /// Objects of a kind that cannot be read.
    pub fn unreadable(&self, resource: &'static str, objects: usize) {
        self.unreadable
            .get_or_create(&[("resource", resource)])
            .set(signed(objects as u64));
    }

    /// Whether this replica leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names the dashboard "Cilium Operator" reads (cilium.md §5.1) and §5.4 lists.
    #[test]
    fn metrics_have_ciliums_names() {
        let metrics = Metrics::default();
        metrics.ipam(&IpamGauges {
            nodes: 3,
            nodes_without: 1,
            blocks_free: 254,
            addresses_given: 506,
            addresses_free: 64_262,
        });
        metrics.identities(4, 0);
        metrics.endpoint_removed();
        metrics.unmanaged(2);
        metrics.policies(5, 1);
        let text = metrics.text().unwrap();
        for line in [
            r#"cilium_operator_ipam_nodes{category="total"} 3"#,
            r#"cilium_operator_ipam_nodes{category="in-deficit"} 1"#,
            r#"cilium_operator_ipam_ips{type="available"} 64262"#,
            "cilium_operator_ipam_available 254",
            "cilium_operator_ipam_resync_total 1",
            r#"cilium_operator_identity_gc_entries{status="alive"} 4"#,
            r#"cilium_operator_endpoint_gc_objects_total{outcome="success"} 1"#,
            "cilium_operator_unmanaged_pods 2",
            r#"cilium_operator_policies{valid="false"} 1"#,
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line} is missing from\n{text}"
            );
        }
        for name in [
            "cilium_operator_process_cpu_seconds_total ",
            "cilium_operator_process_resident_memory_bytes ",
        ] {
            assert!(
                text.lines().any(|l| l.starts_with(name)),
                "{name} is missing from\n{text}"
            );
        }
    }
}
