use proptest::prelude::*;

use super::*;

const GOOD: &str =
    r#"{"cniVersion":"1.1.0","name":"cilium","type":"cilium-cni","enable-debug":false}"#;

fn code(input: &str, verb: Verb) -> u32 {
    parse(input.as_bytes(), verb).unwrap_err().code()
}

#[test]
fn the_conflist_we_install_is_accepted_and_unknown_keys_are_left_to_others() {
    let conf = parse(GOOD.as_bytes(), Verb::Add).unwrap();
    assert_eq!(conf.name, "cilium");
    assert_eq!(conf.agent_socket, PathBuf::from(DEFAULT_SOCKET));
}

#[test]
fn broken_json_is_code_6() {
    for input in [
        "",
        "{",
        "[]",
        "null",
        "{\"cniVersion\": 1}",
        "{\"cniVersion\":\"1.0.0\",\"name\":3}",
    ] {
        assert_eq!(code(input, Verb::Add), 6, "{input}");
    }
}

#[test]
fn a_version_we_do_not_speak_is_code_1_and_the_sentence_lists_ours() {
    for version in ["", "0.1.0", "0.2.0", "0.3.0", "2.0.0", "1.1", "v1.0.0"] {
        let input = format!(r#"{{"cniVersion":"{version}","name":"cilium","type":"cilium-cni"}}"#);
        let failure = parse(input.as_bytes(), Verb::Add).unwrap_err();
        assert_eq!(failure.code(), 1, "{version}");
        assert!(failure.to_string().contains("1.1.0"), "{failure}");
    }
}

#[test]
fn every_older_version_still_serves_add() {
    for version in Version::ALL {
        let input = GOOD.replace("1.1.0", version.as_str());
        assert_eq!(parse(input.as_bytes(), Verb::Add).unwrap().version, version);
    }
}

#[test]
fn status_and_gc_need_1_1_and_check_needs_0_4() {
    let old = GOOD.replace("1.1.0", "1.0.0");
    assert_eq!(code(&old, Verb::Status), 1);
    assert_eq!(code(&old, Verb::Gc), 1);
    assert_eq!(code(&GOOD.replace("1.1.0", "0.3.1"), Verb::Check), 1);
}

#[test]
fn features_we_do_not_have_are_code_2_and_say_what_to_do() {
    for field in [
        r#""chaining-mode":"aws-cni""#,
        r#""ipam":{"type":"host-local"}"#,
        r#""prevResult":{}"#,
    ] {
        let input = GOOD.replace(r#""enable-debug":false"#, field);
        let failure = parse(input.as_bytes(), Verb::Add).unwrap_err();
        assert_eq!(failure.code(), 2, "{field}");
        assert!(
            failure.to_string().contains("remove it")
                || failure.to_string().contains("put cilium-cni first")
        );
    }
}

#[test]
fn values_that_make_no_sense_are_code_7() {
    assert_eq!(code(&GOOD.replace("\"cilium\"", "\"../x\""), Verb::Add), 7);
    assert_eq!(code(&GOOD.replace("\"cilium-cni\"", "\"\""), Verb::Add), 7);
    assert_eq!(
        code(
            &GOOD.replace("\"enable-debug\":false", "\"agent-socket\":\"x\""),
            Verb::Add
        ),
        7
    );
    assert_eq!(code(GOOD, Verb::Check), 7);
}

#[test]
fn a_gc_that_lists_nothing_frees_all_but_a_gc_without_the_list_frees_nothing() {
    assert_eq!(code(GOOD, Verb::Gc), 7);
    let input = GOOD.replace("\"enable-debug\":false", "\"cni.dev/valid-attachments\":[]");
    let conf = parse(input.as_bytes(), Verb::Gc).unwrap();
    assert_eq!(conf.valid_attachments, Some(Vec::new()));
}

proptest! {
    #[test]
    fn no_bytes_panic_the_parser(input in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&input, Verb::Add);
        let _ = version_of(&input);
    }

    #[test]
    fn a_good_configuration_with_one_byte_changed_is_accepted_or_refused_by_a_known_code(
        at in 0..GOOD.len(), byte in any::<u8>(),
    ) {
        let mut input = GOOD.as_bytes().to_vec();
        input[at] = byte;
        if let Err(failure) = parse(&input, Verb::Add) {
            prop_assert!([1, 2, 6, 7].contains(&failure.code()), "{}", failure);
        }
    }
}
