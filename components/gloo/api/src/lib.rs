//! The Gloo resources of the management plane (`admin.gloo.solo.io`, `security.policy.gloo.solo.io`), and the names, ports and
//! labels that Gloo users and their tools rely on.
//!
//! Pure: types, constants and functions of their arguments. Agent, management server, catalog and command line meet here and
//! on the wire. Shapes are those of Gloo Mesh 2.6's public protos for the fields we follow; a field of Gloo's that we do not
//! follow is in the schema, so that resources written for Gloo are taken, and [`unsupported::Unsupported`] names it.
#![forbid(unsafe_code)]
#![expect(
    clippy::duplicated_attributes,
    reason = "printer columns are one attribute each, and their types repeat"
)]
#![expect(
    unreachable_pub,
    reason = "KubeSchema repeats each struct inside a function, public as written"
)]

pub mod access_policy;
pub mod cluster_name;
pub mod crd;
pub mod dashboard;
pub mod enrolment;
pub mod insights_config;
pub mod kubernetes_cluster;
pub mod labels;
pub mod names;
pub mod pattern;
pub mod state;
pub mod unsupported;
pub mod workspace;
pub mod workspace_settings;

pub use access_policy::{AccessPolicy, AccessPolicySpec};
pub use cluster_name::{ClusterName, ClusterNameError};
pub use crd::crds;
pub use dashboard::{Dashboard, DashboardSpec};
pub use insights_config::{InsightsConfig, InsightsConfigSpec};
pub use kubernetes_cluster::{KubernetesCluster, KubernetesClusterSpec};
pub use state::{Approval, State};
pub use workspace::{Workspace, WorkspaceSpec};
pub use workspace_settings::{WorkspaceSettings, WorkspaceSettingsSpec};
