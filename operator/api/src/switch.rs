//! The two-valued choices of the API. Enums and not booleans, so that a third value can come later.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether the operator installs a component or takes it away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ManagementState {
    /// Installed, upgraded and repaired by the operator.
    #[default]
    Managed,
    /// Not installed; removed if the operator had installed it.
    Removed,
}

/// A feature that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Switch {
    /// On.
    Enabled,
    /// Off.
    Disabled,
}

impl Switch {
    /// True for [`Switch::Enabled`].
    pub fn is_enabled(self) -> bool {
        self == Self::Enabled
    }

    pub(crate) fn enabled() -> Self {
        Self::Enabled
    }

    pub(crate) fn disabled() -> Self {
        Self::Disabled
    }
}
