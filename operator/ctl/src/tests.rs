use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent_and_every_subcommand_has_help() {
    let command = Arguments::command();
    command.clone().debug_assert();
    for sub in command.get_subcommands() {
        assert!(
            sub.get_about().is_some(),
            "{} says nothing about itself",
            sub.get_name()
        );
    }
}

#[derive(Debug, thiserror::Error)]
#[error("outer")]
struct Outer(#[source] Inner);

#[derive(Debug, thiserror::Error)]
#[error("inner {0}")]
struct Inner(&'static str);

#[test]
fn an_error_is_printed_with_its_causes_and_none_twice() {
    assert_eq!(sentence(&Outer(Inner("x"))), "outer: inner x");
    assert_eq!(sentence(&Outer(Inner("x")).0), "inner x");
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    assert!(say(&mut Closed, "a long page").is_ok());
}

#[tokio::test]
async fn a_comparison_ends_as_diff_does() {
    use clap::Parser;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let old = file("old", "{\"west\": {}}");
    let new = file(
        "new",
        "{\"west\": {\"v1,kind=Pod\": [{\"metadata\": {\"name\": \"a\"}}]}}",
    );
    let compared = async |one: &str, other: &str| {
        let words = ["gloonet", "snapshot", "diff", one, other];
        match run(Arguments::try_parse_from(words).unwrap()).await {
            Ok(code) => code,
            Err(failure) => failure.code(),
        }
    };
    assert_eq!(compared(&old, &old).await, ExitCode::SUCCESS);
    assert_eq!(compared(&old, &new).await, ExitCode::from(1));
    assert_eq!(compared(&old, "/nowhere").await, ExitCode::from(2));
}
