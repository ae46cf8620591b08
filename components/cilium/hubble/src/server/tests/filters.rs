use super::*;

const TRACED: &[Verdict] = &[Verdict::Forwarded];
const DROPPED: &[Verdict] = &[Verdict::Dropped];
const BOTH: &[Verdict] = &[Verdict::Forwarded, Verdict::Dropped];
const NONE: &[Verdict] = &[];

#[tokio::test]
async fn each_filter_reaches_the_flows() {
    /// Which of the two flows pass.
    macro_rules! passes {
        ($served:expr; $($field:ident = $value:expr => $expected:expr;)*) => {$(
            let passing = $served.passing(|filter| filter.$field = $value).await.unwrap();
            assert_eq!(passing, $expected as &[Verdict], "{}", stringify!($field = $value));
        )*};
    }
    let served = Served::new().await;
    let workload = |name: &str| {
        vec![Workload {
            name: name.to_owned(),
            kind: String::new(),
        }]
    };
    passes! { served;
        uuid = strings(&["x"]) => NONE;
        source_ip = strings(&["10.0.1.3/32"]) => TRACED;
        destination_ip = strings(&["10.0.2.4"]) => DROPPED;
        source_pod = strings(&["shop/"]) => TRACED;
        destination_pod = strings(&["kube-system/dns"]) => DROPPED;
        source_label = strings(&["app=client"]) => TRACED;
        destination_label = strings(&["k8s:app in (dns)"]) => DROPPED;
        source_service = strings(&["default/web"]) => NONE;
        destination_service = strings(&["web"]) => TRACED;
        source_workload = workload("client") => TRACED;
        destination_workload = workload("dns") => DROPPED;
        source_cluster_name = strings(&["east"]) => DROPPED;
        destination_cluster_name = strings(&["east"]) => TRACED;
        source_identity = vec![2002] => TRACED;
        destination_identity = vec![2003] => DROPPED;
        protocol = strings(&["tcp"]) => TRACED;
        source_port = strings(&["5000"]) => DROPPED;
        destination_port = strings(&["80"]) => TRACED;
        verdict = vec![Verdict::Dropped.into()] => DROPPED;
        drop_reason_desc = vec![133] => DROPPED;
        event_type = vec![EventTypeFilter { r#type: 4, match_sub_type: true, sub_type: 0 }] => TRACED;
        reply = vec![false] => BOTH;
        tcp_flags = vec![TcpFlags { syn: true, ..TcpFlags::default() }] => TRACED;
        node_name = strings(&["east/worker-*"]) => BOTH;
        node_labels = strings(&["zone=b"]) => NONE;
        traffic_direction = vec![1] => TRACED;
        ip_version = vec![1] => BOTH;
        interface = vec![NetworkInterface { index: 7, name: String::new() }] => TRACED;
        encrypted = vec![true] => NONE;
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_an_invalid_argument_with_its_name() {
    let served = Served::new().await;
    let refused = served
        .passing(|filter| filter.http_method = strings(&["GET"]))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), refused.message().contains("http_method")),
        (Code::InvalidArgument, true)
    );
    let refused = served
        .passing(|filter| filter.source_ip = strings(&["nowhere"]))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), refused.message().contains("nowhere")),
        (Code::InvalidArgument, true)
    );
    let both = GetFlowsRequest {
        first: true,
        follow: true,
        ..GetFlowsRequest::default()
    };
    assert_eq!(
        served.flows(both).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let field_mask = Some(prost_types::FieldMask {
        paths: strings(&["nothing"]),
    });
    let masked = GetFlowsRequest {
        field_mask,
        ..GetFlowsRequest::default()
    };
    assert_eq!(
        served.flows(masked).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}
