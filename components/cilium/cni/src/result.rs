//! The result of ADD in the shape of the conflist's own version: CNI specification 1.1, section 5.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::version::Version;

/// What ADD made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub host: Side,
    pub container: Side,
    pub sandbox: String,
    pub address: Ipv4Addr,
    pub gateway: Ipv4Addr,
    pub route_mtu: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    pub name: String,
    pub mac: String,
    pub mtu: u32,
}

impl Made {
    pub fn to_json(&self, version: Version) -> Value {
        let with_mtu = version >= Version::V1_1_0;
        let mut ip = json!({
            "address": format!("{}/32", self.address),
            "gateway": self.gateway,
            "interface": 1,
        });
        if version < Version::V1_0_0 {
            ip["version"] = json!("4");
        }
        let mut default_route = json!({"dst": "0.0.0.0/0", "gw": self.gateway});
        let mut host = json!({"name": self.host.name, "mac": self.host.mac});
        let mut container = json!({
            "name": self.container.name, "mac": self.container.mac, "sandbox": self.sandbox,
        });
        if with_mtu {
            default_route["mtu"] = json!(self.route_mtu);
            host["mtu"] = json!(self.host.mtu);
            container["mtu"] = json!(self.container.mtu);
        }
        json!({
            "cniVersion": version.as_str(),
            "interfaces": [host, container],
            "ips": [ip],
            "routes": [{"dst": format!("{}/32", self.gateway)}, default_route],
            "dns": {},
        })
    }
}

/// What CHECK compares, read out of a `prevResult` of any supported version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub host_interface: Option<String>,
    pub container_mac: Option<String>,
    pub addresses: Vec<Ipv4Addr>,
}

impl Expected {
    /// Interfaces are matched by name and sandbox, since another plugin may have appended its own.
    pub fn from_prev_result(result: &Value, ifname: &str) -> Self {
        let interfaces = result["interfaces"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let has_sandbox = |i: &&Value| i["sandbox"].as_str().is_some_and(|s| !s.is_empty());
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let container = interfaces
            .iter()
            .filter(has_sandbox)
            .find(|i| i["name"].as_str() == Some(ifname));
        let addresses = result["ips"].as_array().map_or(&[][..], Vec::as_slice);
        Self {
            host_interface: interfaces
                .iter()
                .find(|i| !has_sandbox(i))
                .and_then(|i| text(&i["name"])),
            container_mac: container.and_then(|i| text(&i["mac"])),
            addresses: addresses
                .iter()
                .filter_map(|ip| ip["address"].as_str()?.split('/').next()?.parse().ok())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Made {
        let side = |name: &str| Side {
            name: name.to_owned(),
            mac: "02:00:00:00:00:01".to_owned(),
            mtu: 1500,
        };
        Made {
            host: side("lxc1"),
            container: side("eth0"),
            sandbox: "/run/netns/x".to_owned(),
            address: Ipv4Addr::new(10, 244, 1, 9),
            gateway: Ipv4Addr::new(10, 244, 1, 1),
            route_mtu: 1450,
        }
    }

    #[test]
    fn fields_that_came_with_1_1_are_absent_before_it() {
        assert_eq!(
            made().to_json(Version::V1_1_0)["interfaces"][1]["mtu"],
            1500
        );
        assert_eq!(made().to_json(Version::V1_1_0)["routes"][1]["mtu"], 1450);
        let old = made().to_json(Version::V1_0_0);
        assert!(old["interfaces"][1].get("mtu").is_none());
        assert!(old["routes"][1].get("mtu").is_none());
    }

    #[test]
    fn the_family_of_an_address_is_named_only_before_1_0() {
        assert_eq!(made().to_json(Version::V0_4_0)["ips"][0]["version"], "4");
        assert!(
            made().to_json(Version::V1_0_0)["ips"][0]
                .get("version")
                .is_none()
        );
    }

    #[test]
    fn check_expects_what_add_said_in_every_version() {
        for version in Version::ALL {
            let expected = Expected::from_prev_result(&made().to_json(version), "eth0");
            assert_eq!(expected.host_interface.as_deref(), Some("lxc1"));
            assert_eq!(expected.container_mac.as_deref(), Some("02:00:00:00:00:01"));
            assert_eq!(expected.addresses, [Ipv4Addr::new(10, 244, 1, 9)]);
        }
    }

    #[test]
    fn a_prev_result_of_nonsense_expects_nothing() {
        for nonsense in [
            json!(null),
            json!({"ips": 3}),
            json!({"interfaces": [1, null]}),
        ] {
            let expected = Expected::from_prev_result(&nonsense, "eth0");
            assert_eq!(expected, Expected::default());
        }
    }
}
