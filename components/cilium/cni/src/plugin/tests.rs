use std::ffi::OsString;
use std::io;

use serde_json::json;

use super::*;

const GOOD: &str = r#"{"cniVersion":"1.0.0","name":"cilium","type":"cilium-cni","agent-socket":"/nonexistent/cilium.sock"}"#;
const HERE: &str = "/proc/self/ns/net";

/// Whether a call succeeds, and what the runtime reads.
fn called(verb: &str, netns: &str, input: impl Read) -> (bool, String) {
    let lookup = |name: &str| match name {
        "CNI_COMMAND" => Some(OsString::from(verb)),
        "CNI_CONTAINERID" => Some(OsString::from("abc")),
        "CNI_IFNAME" => Some(OsString::from("eth0")),
        "CNI_NETNS" => Some(OsString::from(netns)),
        _ => None,
    };
    let mut output = Vec::new();
    let succeeded = run(&lookup, input, &mut output);
    (succeeded, String::from_utf8(output).unwrap())
}

/// The error object of a call that has to fail.
fn refused(verb: &str, netns: &str, input: impl Read) -> Value {
    let (succeeded, output) = called(verb, netns, input);
    assert!(!succeeded, "{output}");
    assert_eq!(output.lines().count(), 1, "{output}");
    serde_json::from_str(&output).unwrap()
}

#[test]
fn version_is_answered_to_whoever_asks_also_without_a_configuration() {
    for (input, spoken) in [
        (GOOD, "1.0.0"),
        ("", "1.1.0"),
        (r#"{"cniVersion":"9.9.9"}"#, "1.1.0"),
    ] {
        let (succeeded, output) = called("VERSION", "", input.as_bytes());
        assert!(succeeded, "{output}");
        assert_eq!(
            serde_json::from_str::<Value>(&output).unwrap(),
            json!({"cniVersion": spoken, "supportedVersions": ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]})
        );
    }
}

#[test]
fn a_configuration_that_is_no_json_is_code_6_with_the_place_and_the_cure() {
    let error = refused("ADD", HERE, &b"{\"cniVersion\": \"1.0.0\", oops"[..]);
    assert_eq!(error["code"], 6);
    assert_eq!(error["cniVersion"], "1.1.0");
    let said = error["msg"].as_str().unwrap();
    assert!(
        said.contains("put /etc/cni/net.d/05-cilium.conflist right"),
        "{said}"
    );
    let place = error["details"].as_str().unwrap();
    assert!(place.contains("line 1 column"), "{place}");
}

#[test]
fn each_thing_that_is_wrong_with_a_call_has_the_code_of_the_specification_and_its_own_version() {
    let future = GOOD.replace("1.0.0", "2.0.0");
    let long = "x".repeat(INPUT_MAX + 1);
    let chained = GOOD.replace("agent-socket", "chaining-mode");
    for (verb, netns, input, code, said) in [
        (
            "ADD",
            HERE,
            future.as_str(),
            1,
            "use one of 0.3.1, 0.4.0, 1.0.0, 1.1.0",
        ),
        ("GC", HERE, GOOD, 1, "GC needs cniVersion 1.1.0"),
        ("ADD", HERE, &chained, 2, "remove it"),
        ("ADD", "/run/netns/gone", GOOD, 3, "/run/netns/gone"),
        (
            "ADD",
            "/etc/hostname",
            GOOD,
            4,
            "is not a network namespace",
        ),
        ("ADD", "", GOOD, 4, "CNI_NETNS"),
        (
            "FETCH",
            HERE,
            GOOD,
            4,
            "must be ADD, DEL, CHECK, STATUS, GC or VERSION",
        ),
        ("", HERE, GOOD, 4, "CNI_COMMAND"),
        ("ADD", HERE, &long, 7, "longer than"),
        ("CHECK", HERE, GOOD, 7, "prevResult"),
    ] {
        let error = refused(verb, netns, input.as_bytes());
        assert_eq!(error["code"], code, "{error}");
        assert!(error["msg"].as_str().unwrap().contains(said), "{error}");
        let spoken = if input == GOOD || input == chained {
            "1.0.0"
        } else {
            "1.1.0"
        };
        assert_eq!(error["cniVersion"], spoken, "{error}");
    }
}

/// Whose other end breaks.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the pipe broke"))
    }
}

#[test]
fn an_input_that_cannot_be_read_is_code_5_with_its_cause() {
    let error = refused("ADD", HERE, Broken);
    assert_eq!(error["code"], 5);
    assert_eq!(error["details"], "the pipe broke");
    assert!(
        error["msg"].as_str().unwrap().contains("call again"),
        "{error}"
    );
}

#[test]
fn without_an_agent_check_is_code_11_and_status_code_50_and_both_say_where_to_look() {
    let result = GOOD.replace("\"name\"", "\"prevResult\":{},\"name\"");
    let newest = GOOD.replace("1.0.0", "1.1.0");
    for (verb, input, code) in [("CHECK", result, 11), ("STATUS", newest, 50)] {
        let error = refused(verb, HERE, input.as_bytes());
        assert_eq!(error["code"], code, "{error}");
        let whole = error.to_string();
        assert!(whole.contains("see pod cilium in kube-system"), "{whole}");
        assert!(whole.contains("/nonexistent/cilium.sock"), "{whole}");
    }
}
