use super::*;

fn pause() -> Program {
    let binaries = BTreeMap::from([("pause".to_owned(), "pause.c".to_owned())]);
    Program {
        name: "pause".into(),
        usual_seconds: 1,
        on_demand: false,
        compiler: Compiler::C,
        tags: vec![],
        ldflags: vec![],
        binaries,
        tests: BTreeMap::new(),
        data: BTreeMap::new(),
    }
}

#[test]
fn the_key_changes_with_sources_flags_and_compiler_and_with_nothing_else() {
    let source = tempfile::tempdir().unwrap();
    fs::write(
        source.path().join("pause.c"),
        "int main(void) { return 0; }",
    )
    .unwrap();
    let first = key(&pause(), source.path(), "12").unwrap();
    fs::write(source.path().join("README"), "not a source").unwrap();
    assert_eq!(key(&pause(), source.path(), "12").unwrap(), first);
    assert_ne!(key(&pause(), source.path(), "13").unwrap(), first);
    assert_ne!(
        key(
            &Program {
                tags: vec!["x".into()],
                ..pause()
            },
            source.path(),
            "12"
        )
        .unwrap(),
        first
    );
    fs::write(
        source.path().join("pause.c"),
        "int main(void) { return 1; }",
    )
    .unwrap();
    assert_ne!(key(&pause(), source.path(), "12").unwrap(), first);
}

#[test]
fn what_no_cluster_needs_is_built_only_when_it_is_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let table = read_table(&root.join("lab/programs")).unwrap();
    let wanted = |names: &[String]| -> Vec<String> {
        let programs = table.program.iter();
        programs
            .filter(|program| program.is_wanted(names))
            .map(|program| program.name.clone())
            .collect()
    };
    let without_a_name = wanted(&[]);
    assert!(without_a_name.contains(&"kubernetes".to_owned()));
    for name in ["cilium", "conformance", "hubble"] {
        assert!(!without_a_name.contains(&name.to_owned()), "{name}");
        assert_eq!(wanted(&[name.to_owned()]), [name]);
    }
}

#[test]
fn a_second_build_of_the_same_sources_is_the_first_one() {
    let (source, built) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(
        source.path().join("pause.c"),
        "int main(void) { return 0; }",
    )
    .unwrap();
    let first = ensure(&pause(), source.path(), built.path()).unwrap();
    let made = fs::metadata(first.join("pause"))
        .unwrap()
        .modified()
        .unwrap();
    let second = ensure(&pause(), source.path(), built.path()).unwrap();
    assert_eq!(first, second);
    assert_eq!(
        fs::metadata(second.join("pause"))
            .unwrap()
            .modified()
            .unwrap(),
        made
    );
}

#[test]
fn a_failed_build_leaves_no_folder_that_looks_built() {
    let (source, built) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(source.path().join("pause.c"), "this is not C").unwrap();
    let error = format!(
        "{:#}",
        ensure(&pause(), source.path(), built.path()).unwrap_err()
    );
    assert!(error.contains("build pause"), "{error}");
    assert_eq!(fs::read_dir(built.path()).unwrap().count(), 0);
}

#[test]
fn a_link_moves_to_the_newer_build() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("etcd");
    link(Path::new("/old/etcd"), &at).unwrap();
    link(Path::new("/new/etcd"), &at).unwrap();
    assert_eq!(fs::read_link(&at).unwrap(), Path::new("/new/etcd"));
}
