//! Writing, comparing and noticing what should not be there.

use std::fs;

use super::*;

fn files() -> Files {
    Files::from([
        (PathBuf::from("install.yaml"), "a: 1\n".to_owned()),
        (PathBuf::from("manifests/crd.yaml"), "b: 2\n".to_owned()),
    ])
}

#[test]
fn what_was_written_compares_equal() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &files()).unwrap();
    compare(folder.path(), &files()).unwrap();
}

#[test]
fn an_edited_a_missing_and_a_left_over_file_are_each_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &files()).unwrap();
    fs::write(folder.path().join("install.yaml"), "a: 2\n").unwrap();
    fs::rename(folder.path().join("manifests/crd.yaml"), folder.path().join("manifests/old.yaml")).unwrap();
    let told = compare(folder.path(), &files()).unwrap_err().to_string();
    for part in ["install.yaml differs", "crd.yaml cannot be read", "old.yaml is not generated any more"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn writing_takes_away_what_is_not_generated_any_more() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &files()).unwrap();
    fs::write(folder.path().join("manifests/old.yaml"), "").unwrap();
    write(folder.path(), &files()).unwrap();
    assert!(!folder.path().join("manifests/old.yaml").exists());
}

#[test]
fn two_generations_of_the_same_tree_are_the_same_bytes() {
    let source = Source::of_this_tree().unwrap();
    assert_eq!(generate(&source).unwrap(), generate(&source).unwrap());
}
