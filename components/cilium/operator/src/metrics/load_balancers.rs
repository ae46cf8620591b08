//! What is counted of the addresses of load balancers.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::signed;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabel {
    pool: String,
}

/// Gauges of pools and of Services.
#[derive(Debug, Default)]
pub struct LoadBalancers {
    conflicting: Gauge,
    available: Family<PoolLabel, Gauge>,
    used: Family<PoolLabel, Gauge>,
    matching: Gauge,
    unsatisfied: Gauge,
}

impl LoadBalancers {
    pub(super) fn register(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            (
                "lbipam_conflicting_pools",
                "CiliumLoadBalancerIPPools that give nothing because of a contradiction",
                &self.conflicting,
            ),
            (
                "lbipam_services_matching",
                "Services that a CiliumLoadBalancerIPPool selects",
                &self.matching,
            ),
            (
                "lbipam_services_unsatisfied",
                "Services without all the addresses they ask for",
                &self.unsatisfied,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        for (name, help, family) in [
            (
                "lbipam_ips_available",
                "Addresses of each pool that nobody has",
                &self.available,
            ),
            (
                "lbipam_ips_used",
                "Addresses of each pool that somebody has",
                &self.used,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
    }

    /// Services that pools select, and those without all they ask for.
    pub fn services(&self, matching: usize, unsatisfied: usize) {
        self.matching.set(signed(matching as u64));
        self.unsatisfied.set(signed(unsatisfied as u64));
    }

    /// Pools in conflict.
    pub fn conflicting(&self, pools: usize) {
        self.conflicting.set(signed(pools as u64));
    }

    /// Addresses of a pool.
    pub fn pool(&self, name: &str, available: u64, used: u64) {
        let label = label(name);
        self.available.get_or_create(&label).set(signed(available));
        self.used.get_or_create(&label).set(signed(used));
    }

    /// A pool is no more.
    pub fn forget(&self, name: &str) {
        let label = label(name);
        self.available.remove(&label);
        self.used.remove(&label);
    }
}

fn label(pool: &str) -> PoolLabel {
    PoolLabel {
        pool: pool.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;

    fn has(metrics: &Metrics, line: &str) -> bool {
        metrics.text().unwrap().lines().any(|one| one == line)
    }

    #[test]
    fn the_gauges_have_ciliums_names_and_a_pool_that_is_gone_is_not_counted() {
        let metrics = Metrics::default();
        let load_balancers = metrics.load_balancers();
        load_balancers.conflicting(1);
        load_balancers.services(3, 2);
        load_balancers.pool("blue", 250, 4);
        for line in [
            "cilium_operator_lbipam_conflicting_pools 1",
            "cilium_operator_lbipam_services_matching 3",
            "cilium_operator_lbipam_services_unsatisfied 2",
            r#"cilium_operator_lbipam_ips_available{pool="blue"} 250"#,
            r#"cilium_operator_lbipam_ips_used{pool="blue"} 4"#,
        ] {
            assert!(has(&metrics, line), "{line}");
        }
        load_balancers.forget("blue");
        assert!(!has(
            &metrics,
            r#"cilium_operator_lbipam_ips_used{pool="blue"} 4"#
        ));
    }
}
