use super::*;

fn parse(arguments: &[&str]) -> Result<Args, String> {
    let all = ["hubble-relay"].iter().chain(arguments);
    Args::try_parse_from(all).map_err(|error| error.to_string())
}

fn server(arguments: &[&str]) -> Result<Option<ServerFiles>, ArgsError> {
    let args = parse(arguments).unwrap();
    let Listen::Port(address) = args.listen_address else {
        panic!("a port");
    };
    args.server_files(address)
}

const CERTIFICATE: [&str; 4] = [
    "--tls-relay-server-cert-file=/c",
    "--tls-relay-server-key-file=/k",
    "--listen-address=:4245",
    "--cluster-name=east",
];

#[test]
fn without_arguments_nothing_is_served_and_nobody_is_asked() {
    let args = parse(&[]).unwrap();
    assert_eq!(args.peer_service, "hubble-peer.kube-system.svc:443");
    assert_eq!(args.client_files(), Err(ArgsError::NoClientTls));
    assert!(matches!(server(&[]), Err(ArgsError::NoServerTls { .. })));
    assert_eq!(server(&CERTIFICATE), Err(ArgsError::NoClients));
}

#[test]
fn a_port_is_served_without_tls_on_loopback_only() {
    let plain = "--disable-server-tls";
    assert!(matches!(server(&[plain]), Err(ArgsError::PlainPort { .. })));
    let loopback = ["--listen-address=127.0.0.1:4245", plain];
    assert_eq!(server(&loopback), Ok(None));
    assert!(
        server(&loopback[..1]).is_err(),
        "it is not enough to listen there"
    );
}

#[test]
fn clients_without_a_certificate_are_served_when_that_was_said() {
    let anyone = [&CERTIFICATE[..], &["--allow-anonymous-clients"]].concat();
    assert_eq!(server(&anyone).unwrap().unwrap().clients, Clients::Anyone);
    let both = [&anyone[..], &["--tls-relay-client-ca-files=/a"]].concat();
    assert!(parse(&both).is_err());
    let mutual = [
        &CERTIFICATE[..],
        &["--tls-relay-client-ca-files=/a", "--client-names=ui,cli"],
    ]
    .concat();
    assert_eq!(
        server(&mutual).unwrap().unwrap().clients,
        Clients::Of {
            authorities: "/a".into(),
            names: vec!["ui".to_owned(), "cli".to_owned()],
        }
    );
}

#[test]
fn addresses_sockets_and_durations_are_read_as_people_write_them() {
    let args = parse(&[
        "--listen-address=unix:///run/relay.sock",
        "--sort-buffer-drain-timeout=500ms",
    ])
    .unwrap();
    assert_eq!(
        args.listen_address,
        Listen::Socket("/run/relay.sock".into())
    );
    assert_eq!(args.sort_buffer_drain_timeout, Duration::from_millis(500));
    assert_eq!(args.metrics_listen_address.to_string(), "0.0.0.0:9966");
    let unit = parse(&["--error-aggregation-window=3h"]).unwrap_err();
    assert!(unit.contains("ms, s and m"), "{unit}");
    assert!(parse(&["--listen-address=unix://relative"]).is_err());
}

#[test]
fn the_agent_behind_the_service_is_verified_by_a_name_its_certificate_has() {
    let args = parse(&["--cluster-name=east.example"]).unwrap();
    assert_eq!(
        args.peer_server_name(),
        "hubble-peer.east-example.hubble-grpc.cilium.io"
    );
}

#[test]
fn every_flag_has_a_variable() {
    use clap::CommandFactory;
    for argument in Args::command().get_arguments() {
        let flag = argument.get_id().as_str();
        let exempt = ["help", "version", "log_format"].contains(&flag);
        assert!(exempt || argument.get_env().is_some(), "{flag}");
    }
}
