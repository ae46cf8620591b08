//! Behaviour of the whole platform on a real cluster. See the crate's documentation for how to run it.

#[path = "live/admission.rs"]
mod admission;
