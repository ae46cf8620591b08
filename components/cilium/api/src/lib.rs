//! The cilium.io custom resources and the names other Cilium programs rely on.
