use prost::Message;

use super::*;

#[tokio::test]
async fn the_server_says_that_it_is_well_and_what_it_speaks() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_reflection::pb::v1;
    let served = Served::new().await;
    for service in ["", "observer.Observer"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let health = HealthClient::new(served.channel.clone())
            .check(request)
            .await
            .unwrap();
        assert_eq!(health.into_inner().status, 1);
    }
    let request = v1::ServerReflectionRequest {
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
        ..Default::default()
    };
    let mut client =
        v1::server_reflection_client::ServerReflectionClient::new(served.channel.clone());
    let requests = futures::stream::iter([request]);
    let answer = client
        .server_reflection_info(requests)
        .await
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let bytes = answer.encode_to_vec();
    let has = |name: &str| {
        bytes
            .windows(name.len())
            .any(|window| window == name.as_bytes())
    };
    assert!(has("observer.Observer") && has("peer.Peer") && has("grpc.health.v1.Health"));
}

#[tokio::test]
async fn reflection_speaks_its_older_version_too() {
    use tonic_reflection::pb::v1alpha;
    let served = Served::new().await;
    let request = v1alpha::ServerReflectionRequest {
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                "flow.Flow".to_owned(),
            ),
        ),
        ..Default::default()
    };
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(served.channel.clone());
    let requests = futures::stream::iter([request]);
    let answer = client
        .server_reflection_info(requests)
        .await
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    assert!(
        answer
            .encode_to_vec()
            .windows(17)
            .any(|window| window == b"egress_allowed_by")
    );
}
