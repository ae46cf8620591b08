//! Who may do what in the managed Redis: a user for each part that keeps or reads something there, with its keys (docs/redis-keys.md)
//! and the commands it gives. A part that is taken over reads and writes nothing of the others.

use gloonet_api::MESH_NAMESPACE;

use super::secrets::PASSWORD_LENGTH;
use crate::{SecretKind, SecretSpec, acl_key};

/// What a connection itself needs, and nothing that shows or ends others'.
const CONNECTION: &str = "resetchannels +@connection -@admin -@dangerous";

/// A part that has something in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedisUser {
    Operator,
    ManagementServer,
    Sink,
    Insights,
}

impl RedisUser {
    pub(crate) const ALL: [Self; 4] = [
        Self::Operator,
        Self::ManagementServer,
        Self::Sink,
        Self::Insights,
    ];

    /// The name it logs in by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::ManagementServer => "management-server",
            Self::Sink => "redis-sink",
            Self::Insights => "insights",
        }
    }

    /// The Secret with its name, password and ACL.
    pub(crate) fn secret(self) -> &'static str {
        match self {
            Self::Operator => "gloo-mesh-redis-operator-auth",
            Self::ManagementServer => "gloo-mesh-redis-mgmt-server-auth",
            Self::Sink => "gloo-mesh-redis-sink-auth",
            Self::Insights => "gloo-mesh-redis-insights-auth",
        }
    }

    /// Keys and commands, in the words of a Redis ACL (Redis 7).
    fn rights(self) -> &'static str {
        match self {
            Self::Operator => {
                "~gloonet:probe:* %R~gloonet:v1:logs:*:probe:* +set +get +del +xrevrange +info"
            }
            Self::ManagementServer => {
                "~gloonet:v1:snapshot:* ~gloonet:v1:fence:* +@hash +get +set +del +watch +unwatch +multi +exec"
            }
            Self::Sink => {
                "~gloonet:v1:logs:* ~gloonet:v1:seen:* +mget +xadd +set +expire +multi +exec"
            }
            Self::Insights => {
                "%R~gloonet:v1:logs:* %R~gloonet:v1:snapshot:* ~gloonet:v1:insights:* +xrevrange +@hash +expire +multi +exec"
            }
        }
    }

    fn rules(self) -> String {
        format!("{CONNECTION} {}", self.rights())
    }

    /// The key of its Secret with its line of Redis' configuration.
    pub(crate) fn acl_key(self) -> String {
        acl_key(&self.rules())
    }

    pub(super) fn spec(self) -> SecretSpec {
        SecretSpec {
            namespace: MESH_NAMESPACE.to_owned(),
            name: self.secret().to_owned(),
            kind: SecretKind::RedisUser {
                username: self.name().to_owned(),
                rules: self.rules(),
                length: PASSWORD_LENGTH,
            },
        }
    }
}
