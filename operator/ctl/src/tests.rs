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
