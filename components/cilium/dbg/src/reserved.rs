//! Names of numbers that mean the same in every cluster.

/// Identities nobody allocates, as Cilium prints them.
pub fn identity(number: u32) -> Option<&'static str> {
    Some(match number {
        0 => "unknown",
        1 => "host",
        2 => "world",
        3 => "unmanaged",
        4 => "health",
        5 => "init",
        6 => "remote-node",
        7 => "kube-apiserver",
        8 => "ingress",
        _ => return None,
    })
}

/// An identity by its name, else by its number.
pub fn identity_or_number(number: u32, numeric: bool) -> String {
    match identity(number) {
        Some(name) if !numeric => name.to_owned(),
        _ => number.to_string(),
    }
}

/// An IP protocol.
pub fn protocol(number: u8) -> String {
    match number {
        0 => "ANY".to_owned(),
        1 => "ICMP".to_owned(),
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        132 => "SCTP".to_owned(),
        other => other.to_string(),
    }
}

/// What part of a policy's key matched.
pub fn match_type(number: u8) -> &'static str {
    match number {
        0 => "none",
        1 => "L3-Only",
        2 => "L3-L4",
        3 => "L4-Only",
        4 => "all",
        5 => "L3-Proto",
        6 => "Proto-Only",
        _ => "unknown",
    }
}
