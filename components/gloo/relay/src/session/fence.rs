//! Which of two agents of one cluster is served.

/// What an agent says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub instance: String,
    /// Milliseconds since 1970, by the clock of the agent's own cluster.
    pub started_ms: i64,
}

/// Whether `new` takes over from `live`. The later started wins, so that one that comes back from a partition fences nobody;
/// a second stream of the same agent is its newer one.
pub fn outranks(new: &Claim, live: &Claim) -> bool {
    new.instance == live.instance || new.started_ms >= live.started_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(instance: &str, started_ms: i64) -> Claim {
        Claim {
            instance: instance.to_owned(),
            started_ms,
        }
    }

    #[test]
    fn the_later_started_agent_is_served() {
        assert!(outranks(&claim("new", 2), &claim("old", 1)));
        assert!(!outranks(&claim("old", 1), &claim("new", 2)));
    }

    #[test]
    fn the_same_agent_takes_its_own_stream_over() {
        assert!(outranks(&claim("one", 1), &claim("one", 1)));
    }
}
