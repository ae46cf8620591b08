//! When certificates run out, as Prometheus is told.

use std::collections::BTreeMap;

use gloo_insights::{View, clean};
use gloo_record::certificates::Certificate;
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

/// Certificates of one cluster that are told, those first that run out first. Its word is foreign, and a series each.
const MOST: usize = 200;

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    pub place: String,
    pub issuer: String,
    /// Seconds since 1970.
    pub at: i64,
}

/// Those of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiries {
    pub told: Vec<Expiry>,
    pub omitted: usize,
}

/// By cluster; one of which nothing is known now is not there.
pub type All = BTreeMap<String, Expiries>;

/// What is known of the cluster's certificates now.
pub fn of(view: &View<'_>) -> Option<Expiries> {
    let record = view.certificates().ok()?;
    let mut told: Vec<Expiry> = record.certificates.iter().map(expiry).collect();
    told.sort_by(|one, other| (one.at, &one.place).cmp(&(other.at, &other.place)));
    let omitted = told.len().saturating_sub(MOST);
    told.truncate(MOST);
    Some(Expiries { told, omitted })
}

fn expiry(one: &Certificate) -> Expiry {
    Expiry {
        place: clean(&one.place.sentence()),
        issuer: clean(&one.issuer),
        at: one.not_after.as_second(),
    }
}

type Told = Family<[(&'static str, String); 3], Gauge>;
type Omitted = Family<[(&'static str, String); 1], Gauge>;

pub(crate) fn register(all: &All, registry: &mut Registry) {
    let (told, omitted) = (Told::default(), Omitted::default());
    for (cluster, of) in all {
        for one in &of.told {
            let labels = [
                ("cluster", cluster.clone()),
                ("issuer", one.issuer.clone()),
                ("place", one.place.clone()),
            ];
            told.get_or_create(&labels).set(one.at);
        }
        let count = i64::try_from(of.omitted).unwrap_or(i64::MAX);
        let labels = [("cluster", cluster.clone())];
        omitted.get_or_create(&labels).set(count);
    }
    registry.register(
        "gloo_mesh_certificate_expiry_timestamp_seconds",
        "When a certificate that an analyzer found runs out",
        told,
    );
    registry.register(
        "gloo_mesh_omitted_certificates",
        "Certificates of a cluster beyond those that are told; they run out later",
        omitted,
    );
}

#[cfg(test)]
mod tests {
    use gloo_insights::testing::Scene;
    use gloo_record::Analyzer;

    use super::*;
    use crate::{
        metrics::{self, Metrics},
        shared::Shared,
    };

    /// With so many certificates, each an hour after the one before.
    fn scene(count: u16) -> Scene {
        let hour = jiff::SignedDuration::from_hours(1);
        Scene::healthy().certificates(|all| {
            let one = all.certificates.remove(0);
            for number in 0..i32::from(count) {
                let mut more = one.clone();
                more.not_after += hour * number;
                more.issuer = format!("CN={number}\u{1b}[2J");
                all.certificates.insert(0, more);
            }
        })
    }

    fn text(scene: &Scene) -> String {
        let shared = Shared::default();
        let of_it = of(&scene.view()).map(|of| (scene.cluster.name.clone(), of));
        shared.certify(of_it.into_iter().collect());
        metrics::text(&Metrics::default(), &shared).unwrap()
    }

    #[test]
    fn a_certificate_is_a_series_with_its_cluster_its_issuer_and_its_place() {
        let text = text(&scene(1));
        let series = "gloo_mesh_certificate_expiry_timestamp_seconds{cluster=\"west\",issuer=\"CN=0[2J\",place=\"Secret gloo-mesh/relay-server-tls-secret key tls.crt\"} 1776912000";
        assert!(text.contains(series), "{text}");
        assert!(text.contains("gloo_mesh_omitted_certificates{cluster=\"west\"} 0"));
    }

    #[test]
    fn of_very_many_those_that_run_out_first_are_told_and_the_others_counted() {
        let told = of(&scene(250).view()).unwrap();
        assert_eq!((told.told.len(), told.omitted), (MOST, 50));
        let issuers: Vec<&str> = told.told.iter().map(|one| one.issuer.as_str()).collect();
        assert_eq!((issuers[0], issuers[199]), ("CN=0[2J", "CN=199[2J"));
    }

    #[test]
    fn of_a_cluster_whose_report_is_missing_failed_or_old_nothing_is_told() {
        let failed = Scene::healthy().without(Analyzer::Certificates, "403");
        for scene in [Scene::blind(), failed, Scene::healthy().hours_later(2)] {
            let text = text(&scene);
            assert!(
                !text.contains("certificate_expiry_timestamp_seconds{"),
                "{text}"
            );
        }
    }
}
