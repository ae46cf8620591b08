//! The cluster-wide half of the CNI: podCIDRs, identities, garbage collection, node readiness.
