use super::*;

#[test]
fn data_that_does_not_fit_the_memory_limit_is_refused() {
    let refusals = refused(|spec| spec.redis.managed.max_memory = Quantity("1Gi".to_owned()));
    names(&refusals, &["redis.managed.maxMemory", "limits.memory"]);
}

#[test]
fn a_request_above_its_limit_and_what_is_no_quantity_are_refused() {
    let refusals = refused(|spec| {
        spec.cilium
            .resources
            .requests
            .insert("memory".to_owned(), Quantity("2Gi".to_owned()));
    });
    names(
        &refusals,
        &["cilium.resources.requests.memory", "2Gi", "512Mi"],
    );
    let refusals = refused(|spec| {
        spec.cilium
            .resources
            .requests
            .insert("cpu".to_owned(), Quantity("lots".to_owned()));
    });
    names(&refusals, &["cilium.resources.requests.cpu", "lots"]);
}

/// Paths of all blocks named `resources` below a value.
fn blocks(at: &str, value: &serde_json::Value) -> Vec<String> {
    let fields = value.as_object().into_iter().flatten();
    fields
        .flat_map(|(name, child)| {
            let path = format!("{at}/{name}");
            if name == "resources" {
                vec![path]
            } else {
                blocks(&path, child)
            }
        })
        .collect()
}

#[test]
fn what_every_component_asks_for_is_judged() {
    let defaults = serde_json::to_value(GlooNetworkSpec::named("west")).unwrap();
    let blocks = blocks("", &defaults);
    assert!(blocks.len() >= 12, "{blocks:?}");
    for block in blocks {
        let mut spec = defaults.clone();
        *spec.pointer_mut(&block).unwrap() = serde_json::json!({"requests": {"cpu": "lots"}});
        let refusals = refused(|given| *given = serde_json::from_value(spec).unwrap());
        let field = block[1..].replace('/', ".");
        names(&refusals, &[&format!("spec.{field}.requests.cpu"), "lots"]);
    }
}
