//! Which node has room for many more pods.

use serde_json::Value;

/// The node that takes the most further pods, and how many; of equal ones the first.
pub(super) fn roomiest(nodes: &Value, pods: &Value) -> Option<(String, usize)> {
    let nodes = nodes["items"].as_array().into_iter().flatten();
    let rooms = nodes.filter_map(|node| {
        let name = node["metadata"]["name"].as_str()?;
        let most: usize = node["status"]["allocatable"]["pods"]
            .as_str()?
            .parse()
            .ok()?;
        Some((name.to_owned(), most.saturating_sub(running(pods, name))))
    });
    // The last of equal ones is the greatest to `max_by_key`.
    rooms
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .max_by_key(|(_, room)| *room)
}

/// Those that count: one that has ended takes no place.
fn running(pods: &Value, node: &str) -> usize {
    let pods = pods["items"].as_array().into_iter().flatten();
    pods.filter(|pod| pod["spec"]["nodeName"] == node)
        .filter(|pod| {
            !["Succeeded", "Failed"]
                .map(Value::from)
                .contains(&pod["status"]["phase"])
        })
        .count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, most: &str) -> Value {
        json!({"metadata": {"name": name}, "status": {"allocatable": {"pods": most}}})
    }

    fn pod(node: &str, phase: &str) -> Value {
        json!({"spec": {"nodeName": node}, "status": {"phase": phase}})
    }

    #[test]
    fn the_node_with_the_fewest_pods_that_run_has_the_most_room() {
        let nodes = json!({"items": [node("a", "110"), node("b", "110"), node("c", "20")]});
        let pods = json!({"items": [
            pod("a", "Running"), pod("a", "Pending"), pod("b", "Running"), pod("b", "Failed"), pod("b", "Succeeded"),
        ]});
        assert_eq!(roomiest(&nodes, &pods), Some(("b".to_owned(), 109)));
    }

    #[test]
    fn of_equal_nodes_the_first_is_taken_and_a_full_one_has_no_room() {
        let nodes = json!({"items": [node("a", "1"), node("b", "1")]});
        let none = json!({"items": []});
        assert_eq!(roomiest(&nodes, &none), Some(("a".to_owned(), 1)));
        let full =
            json!({"items": [pod("a", "Running"), pod("a", "Running"), pod("b", "Running")]});
        assert_eq!(roomiest(&nodes, &full), Some(("a".to_owned(), 0)));
        assert_eq!(roomiest(&none, &none), None);
    }
}
