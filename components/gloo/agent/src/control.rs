//! The local administrator's word, from the ConfigMap `gloo-mesh-agent-control`.

use std::collections::BTreeMap;

/// What the cluster's own administrator says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Nothing is written or removed while it is on.
    pub kill_switch: bool,
    /// The digest of a held removal that may go on, in hexadecimal.
    pub confirm_removal: Option<String>,
}

impl Control {
    /// Anything but a clear `off` in the switch is on: who reached for it meant it.
    pub fn read(data: &BTreeMap<String, String>) -> Self {
        let switch = data
            .get("killSwitch")
            .map(|text| text.trim().to_lowercase());
        let off = ["", "off", "false", "no"];
        Self {
            kill_switch: switch.is_some_and(|text| !off.contains(&text.as_str())),
            confirm_removal: data
                .get("confirmRemoval")
                .map(|text| text.trim().to_lowercase())
                .filter(|text| !text.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, value: &str) -> Control {
        Control::read(&[(key.to_owned(), value.to_owned())].into())
    }

    #[test]
    fn the_switch_is_on_unless_it_is_clearly_off() {
        for on in ["on", "On", "true", "yes", "1", "stop!"] {
            assert!(read("killSwitch", on).kill_switch, "{on}");
        }
        for off in ["off", "", "false", " no "] {
            assert!(!read("killSwitch", off).kill_switch, "{off}");
        }
        assert_eq!(Control::read(&BTreeMap::new()), Control::default());
    }

    #[test]
    fn a_confirmation_is_read_without_its_spaces() {
        let control = read("confirmRemoval", " AB12\n");
        assert_eq!(control.confirm_removal.as_deref(), Some("ab12"));
    }
}
