//! What a stream says of its nodes: many at once are one event, so that a rollout does not flood it. Pure.

use std::time::{Duration, Instant};

use cilium_hubble::proto::relay::{NodeState, NodeStatusEvent};

/// Changes of nodes that were not said yet.
#[derive(Debug)]
pub struct Statuses {
    window: Duration,
    since: Option<Instant>,
    groups: Vec<NodeStatusEvent>,
}

impl Statuses {
    /// Changes within `window` of the first one are said together.
    pub fn new(window: Duration) -> Self {
        Self {
            window,
            since: None,
            groups: Vec::new(),
        }
    }

    /// Notes a change. It joins others like it, but not before what was noted of the same node.
    pub fn note(&mut self, node: &str, state: NodeState, message: &str, now: Instant) {
        self.since.get_or_insert(now);
        let names = |group: &NodeStatusEvent| group.node_names.iter().any(|name| name == node);
        let from = self.groups.iter().rposition(names).unwrap_or_default();
        let like = self.groups[from..]
            .iter_mut()
            .find(|group| group.state_change() == state && group.message == message);
        match like {
            Some(group) if names(group) => {}
            Some(group) => group.node_names.push(node.to_owned()),
            None => self.groups.push(NodeStatusEvent {
                state_change: state.into(),
                node_names: vec![node.to_owned()],
                message: message.to_owned(),
            }),
        }
    }

    /// When the changes are to be said.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + self.window)
    }

    /// The changes, once they are due.
    pub fn take(&mut self, now: Instant) -> Vec<NodeStatusEvent> {
        if self.due().is_some_and(|due| due <= now) {
            self.take_all()
        } else {
            Vec::new()
        }
    }

    /// The changes, due or not.
    pub fn take_all(&mut self) -> Vec<NodeStatusEvent> {
        self.since = None;
        let mut groups = std::mem::take(&mut self.groups);
        for group in &mut groups {
            group.node_names.sort_unstable();
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    #[test]
    fn nodes_that_fail_alike_are_one_event_at_the_end_of_the_window() {
        let now = Instant::now();
        let mut statuses = Statuses::new(WINDOW);
        statuses.note("b", NodeState::NodeError, "refused", now);
        statuses.note("a", NodeState::NodeError, "refused", now + WINDOW / 2);
        statuses.note("c", NodeState::NodeError, "timed out", now + WINDOW / 2);
        assert_eq!(statuses.take(now + WINDOW / 2), []);
        let said = statuses.take(now + WINDOW);
        let said: Vec<_> = said
            .iter()
            .map(|event| (event.message.as_str(), event.node_names.join(" ")))
            .collect();
        assert_eq!(
            said,
            [("refused", "a b".to_owned()), ("timed out", "c".to_owned())]
        );
        assert_eq!((statuses.due(), statuses.take_all()), (None, vec![]));
    }

    #[test]
    fn what_a_node_came_to_last_is_said_last() {
        let now = Instant::now();
        let mut statuses = Statuses::new(WINDOW);
        for state in [
            NodeState::NodeError,
            NodeState::NodeConnected,
            NodeState::NodeError,
        ] {
            statuses.note("a", state, "", now);
        }
        let said: Vec<_> = statuses
            .take_all()
            .iter()
            .map(NodeStatusEvent::state_change)
            .collect();
        assert_eq!(
            said,
            [
                NodeState::NodeError,
                NodeState::NodeConnected,
                NodeState::NodeError
            ]
        );
    }

    proptest! {
        #[test]
        fn each_nodes_changes_are_all_said_in_their_order(
            changes in proptest::collection::vec((0u8..4, 1i32..5, 0u8..2), 0..40),
        ) {
            let mut statuses = Statuses::new(WINDOW);
            let now = Instant::now();
            for (node, state, message) in &changes {
                let state = NodeState::try_from(*state).unwrap();
                statuses.note(&node.to_string(), state, &message.to_string(), now);
            }
            let said = statuses.take_all();
            for node in 0u8..4 {
                let mut expected: Vec<(i32, String)> = changes.iter()
                    .filter(|change| change.0 == node)
                    .map(|(_, state, message)| (*state, message.to_string()))
                    .collect();
                expected.dedup();
                let of_node: Vec<(i32, String)> = said.iter()
                    .filter(|event| event.node_names.contains(&node.to_string()))
                    .map(|event| (event.state_change, event.message.clone()))
                    .collect();
                prop_assert_eq!(of_node, expected);
            }
        }
    }
}
