//! Behaviour of the whole platform on a real cluster. See the crate's documentation for how to run it.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

#[path = "live/admission.rs"]
mod admission;
