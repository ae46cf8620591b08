use std::ffi::OsString;

use proptest::prelude::*;

use super::*;

fn lookup<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
    move |name| {
        pairs
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| OsString::from(value))
    }
}

const GOOD: [(&str, &str); 4] = [
    ("CNI_CONTAINERID", "abc123"),
    ("CNI_IFNAME", "eth0"),
    ("CNI_NETNS", "/run/netns/x"),
    (
        "CNI_ARGS",
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0.a;K8S_POD_UID=1-2",
    ),
];

#[test]
fn the_pod_is_read_from_cni_args_and_foreign_keys_are_left_alone() {
    let read = attachment(&lookup(&GOOD), Verb::Add).unwrap();
    let pod = read.pod.unwrap();
    assert_eq!(
        (pod.namespace.as_str(), pod.name.as_str()),
        ("shop", "web-0.a")
    );
    assert_eq!(pod.uid, "1-2");
}

#[test]
fn each_missing_variable_is_code_4_and_named() {
    for missing in ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"] {
        let rest: Vec<_> = GOOD
            .into_iter()
            .filter(|(key, _)| *key != missing)
            .collect();
        let failure = attachment(&lookup(&rest), Verb::Add).unwrap_err();
        assert_eq!(failure.code(), 4);
        assert!(failure.to_string().contains(missing), "{failure}");
    }
    assert_eq!(verb(&lookup(&[])).unwrap_err().code(), 4);
    assert_eq!(
        verb(&lookup(&[("CNI_COMMAND", "add")])).unwrap_err().code(),
        4
    );
}

#[test]
fn del_works_without_a_namespace() {
    let rest: Vec<_> = GOOD
        .into_iter()
        .filter(|(key, _)| *key != "CNI_NETNS")
        .collect();
    assert_eq!(attachment(&lookup(&rest), Verb::Del).unwrap().netns, None);
}

#[test]
fn names_that_could_leave_their_folder_or_the_kernels_limit_are_refused() {
    let bad = [
        ("CNI_CONTAINERID", "../etc"),
        ("CNI_CONTAINERID", "-a"),
        ("CNI_IFNAME", "a/b"),
        ("CNI_IFNAME", ".."),
        ("CNI_IFNAME", "sixteen-bytes-16"),
        ("CNI_IFNAME", "eth 0"),
        ("CNI_ARGS", "K8S_POD_NAMESPACE"),
        ("CNI_ARGS", "K8S_POD_NAMESPACE=a;K8S_POD_NAME=../x"),
        ("CNI_ARGS", "K8S_POD_NAMESPACE=a"),
    ];
    for (variable, value) in bad {
        let mut pairs = GOOD.to_vec();
        pairs.retain(|(key, _)| *key != variable);
        pairs.push((variable, value));
        let failure = attachment(&lookup(&pairs), Verb::Add).unwrap_err();
        assert_eq!(failure.code(), 4, "{variable}={value}");
        assert!(failure.to_string().contains(variable), "{failure}");
    }
}

proptest! {
    #[test]
    fn no_environment_panics_and_every_refusal_is_code_4(
        id in ".{0,20}", ifname in ".{0,20}", args in ".{0,60}",
    ) {
        let pairs = [("CNI_CONTAINERID", id.as_str()), ("CNI_IFNAME", &ifname), ("CNI_ARGS", &args)];
        if let Err(failure) = attachment(&lookup(&pairs), Verb::Del) {
            prop_assert_eq!(failure.code(), 4);
        }
    }
}
