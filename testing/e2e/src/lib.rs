//! Tests against the lab.
