use gloonet_api::MESH_NAMESPACE;
use gloonet_api::redis::{ExternalRedis, RedisMode};

use super::{PORT, WORKLOAD};
use crate::Input;
use crate::trust::RedisUser;

/// Where Redis is and what one needs to log in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    Ours,
    Theirs(&'a ExternalRedis),
}

impl<'a> Place<'a> {
    /// `None` where there is none.
    pub(crate) fn of(input: &'a Input) -> Option<Self> {
        match (input.spec.redis.mode, &input.spec.redis.external) {
            (RedisMode::Managed, _) => Some(Self::Ours),
            (RedisMode::External, Some(external)) => Some(Self::Theirs(external)),
            (RedisMode::External | RedisMode::Disabled, _) => None,
        }
    }

    /// `host:port` as pods reach it.
    pub(crate) fn address(self) -> String {
        match self {
            Self::Ours => format!("{}.{MESH_NAMESPACE}.svc:{PORT}", WORKLOAD.name),
            Self::Theirs(external) => external.address.clone(),
        }
    }

    /// Secret with the keys `username` (of theirs: perhaps) and `password` of a part. Theirs has one for all.
    pub(crate) fn credentials(self, user: RedisUser) -> Option<&'a str> {
        match self {
            Self::Ours => Some(user.secret()),
            Self::Theirs(external) => external.credentials_secret.as_deref(),
        }
    }

    /// Whether to speak TLS.
    pub(crate) fn tls(self) -> bool {
        match self {
            Self::Ours => false,
            Self::Theirs(external) => external.tls.state.is_enabled(),
        }
    }

    /// Secret with the authority of its certificate, key `ca.crt`.
    pub(crate) fn authority(self) -> Option<&'a str> {
        match self {
            Self::Theirs(external) if self.tls() => external.tls.ca_secret.as_deref(),
            Self::Ours | Self::Theirs(_) => None,
        }
    }
}
