//! Desired and observed state to a plan of typed steps with reasons. Pure.
