//! Rules about `metadata/annotations.yaml`.

use super::Bundle;

const PREFIX: &str = "operators.operatorframework.io";
/// Words that tell a user how settled a channel is.
const CHANNELS: [&str; 3] = ["candidate", "fast", "stable"];

/// The annotations OLM reads, with the values it knows.
pub(super) fn annotations(bundle: &Bundle) -> Vec<String> {
    let value = |key: &str| {
        bundle.annotations["annotations"][format!("{PREFIX}.{key}")]
            .as_str()
            .unwrap_or_default()
    };
    let mut broken = Vec::new();
    for (key, wanted) in [
        ("bundle.mediatype.v1", "registry+v1"),
        ("bundle.manifests.v1", "manifests/"),
        ("bundle.metadata.v1", "metadata/"),
        ("test.mediatype.v1", "scorecard+v1"),
        ("test.config.v1", "tests/scorecard/"),
    ] {
        if value(key) != wanted {
            broken.push(format!(
                "annotation {PREFIX}.{key} is {:?}, not {wanted:?}",
                value(key)
            ));
        }
    }
    let channels: Vec<&str> = value("bundle.channels.v1").split(',').collect();
    for channel in &channels {
        if !CHANNELS
            .iter()
            .any(|known| channel == known || channel.starts_with(&format!("{known}-")))
        {
            broken.push(format!(
                "channel {channel:?} does not begin with candidate, fast or stable"
            ));
        }
    }
    if !channels.contains(&value("bundle.channel.default.v1")) {
        broken.push("the default channel is not among the channels".to_owned());
    }
    broken
}
