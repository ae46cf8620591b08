//! A real multi-node, multi-cluster Kubernetes on one machine.
