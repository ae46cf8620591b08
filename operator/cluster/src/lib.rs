//! The only crate that reads and writes Kubernetes for the operator: observe, apply, prune, probe, status.
