//! The commands against a server in the agent's place, which says what each test gives it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cleanup;
mod failures;
mod health;
mod monitor;
mod recipe;
mod server;
mod services;
mod tables;
