//! What tools ask before they ask for flows: whether the server is well, and what it speaks.

use http::{HeaderName, HeaderValue, Response};
use tonic::service::Routes;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tower::util::MapResponseLayer;

use crate::proto::DESCRIPTORS;

/// What `hubble status` and a relay call the observer (Cilium's `pkg/hubble/api/v1`, `ObserverServiceName`).
pub const OBSERVER: &str = "hubble.server.Observer";

/// The names that may be asked for: the whole server, the services by their own names, and the observer by that other one.
const SERVICES: [&str; 4] = ["", "observer.Observer", "peer.Peer", OBSERVER];

/// The header of every answer in which a node's server tells its version (Cilium's `pkg/hubble/defaults`): the `hubble` command
/// warns whose own is older.
pub(crate) const SERVER_VERSION: HeaderName = HeaderName::from_static("hubble-server-version");
/// The same for a relay (`pkg/hubble/relay/defaults`).
pub const RELAY_VERSION: HeaderName = HeaderName::from_static("hubble-relay-version");

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

/// Adds the version to the header of every answer. A text that is no header's value is left out.
pub fn tell_version(routes: Routes, header: HeaderName, version: &str) -> Routes {
    let Ok(version) = HeaderValue::from_str(version) else {
        return routes;
    };
    let tell = MapResponseLayer::new(move |mut answer: Response<_>| {
        answer.headers_mut().insert(header.clone(), version.clone());
        answer
    });
    routes.into_axum_router().layer(tell).into()
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
