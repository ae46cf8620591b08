//! What tools ask before they ask for flows: whether the server is well, and what it speaks.

use tonic::service::Routes;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

use crate::proto::DESCRIPTORS;

/// What `hubble status` and a relay call the observer (Cilium's `pkg/hubble/api/v1`, `ObserverServiceName`).
pub const OBSERVER: &str = "hubble.server.Observer";

/// The names that may be asked for: the whole server, the services by their own names, and the observer by that other one.
const SERVICES: [&str; 4] = ["", "observer.Observer", "peer.Peer", OBSERVER];

/// Says of every service that it is served. A node's server that answers at all is well: it has nothing behind it that could
/// fail.
pub(crate) async fn serving() -> HealthReporter {
    let reporter = HealthReporter::new();
    set(&reporter, &SERVICES, ServingStatus::Serving).await;
    reporter
}

/// Sets what is said of `services`.
pub async fn set(reporter: &HealthReporter, services: &[&str], status: ServingStatus) {
    for service in services {
        reporter.set_service_status(*service, status).await;
    }
}

/// Adds health, as `reporter` has it, and reflection.
pub fn add(routes: Routes, reporter: HealthReporter) -> Routes {
    let health = HealthService::from_health_reporter(reporter);
    let routes = routes.add_service(HealthServer::new(health));
    let build = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    match (build().build_v1(), build().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "cannot offer reflection: the descriptors built in are not readable");
            routes
        }
    }
}
