//! Rules about what people read in a catalogue.

use serde_json::Value;

use super::{Bundle, items};

const CAPABILITIES: [&str; 5] = [
    "Basic Install",
    "Seamless Upgrades",
    "Full Lifecycle",
    "Deep Insights",
    "Auto Pilot",
];
/// The part of OperatorHub's category list that an operator of this kind may choose from.
const CATEGORIES: [&str; 6] = [
    "Cloud Provider",
    "Developer Tools",
    "Logging & Tracing",
    "Monitoring",
    "Networking",
    "Security",
];
const ICON_TYPES: [&str; 4] = ["image/gif", "image/jpeg", "image/png", "image/svg+xml"];
/// What OperatorHub shows of the `description` annotation.
const SUMMARY_LENGTH: usize = 135;

/// Fields that OperatorHub requires for its page.
pub(super) fn what_people_read(bundle: &Bundle) -> Vec<String> {
    [texts(bundle.csv()), choices(bundle.csv())].concat()
}

fn texts(csv: &Value) -> Vec<String> {
    let spec = &csv["spec"];
    let annotations = &csv["metadata"]["annotations"];
    let person = |maintainer: &Value| {
        length(&maintainer["name"]) > 0
            && maintainer["email"]
                .as_str()
                .is_some_and(|email| email.contains('@'))
    };
    let https = |link: &Value| {
        link["url"]
            .as_str()
            .is_some_and(|url| url.starts_with("https://"))
    };
    let mut broken = unmet(&[
        (
            (3..=50).contains(&length(&spec["displayName"])),
            "spec.displayName must have 3 to 50 characters",
        ),
        (
            length(&spec["description"]) >= 20,
            "spec.description must have 20 characters or more",
        ),
        (
            length(&spec["provider"]["name"]) >= 3,
            "spec.provider.name must have 3 characters or more",
        ),
        (
            (1..=SUMMARY_LENGTH).contains(&length(&annotations["description"])),
            "the annotation description must be there and have at most 135 characters",
        ),
        (
            items(&spec["maintainers"]).iter().any(person),
            "spec.maintainers must name someone with an e-mail address",
        ),
        (
            items(&spec["links"]).iter().any(https),
            "spec.links must have an https link",
        ),
        (
            !items(&spec["keywords"]).is_empty(),
            "spec.keywords must not be empty",
        ),
    ]);
    for annotation in ["containerImage", "createdAt", "repository", "support"] {
        if length(&annotations[annotation]) == 0 {
            broken.push(format!("the annotation {annotation} is missing"));
        }
    }
    broken
}

fn choices(csv: &Value) -> Vec<String> {
    let spec = &csv["spec"];
    let annotations = &csv["metadata"]["annotations"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let picture = |icon: &Value| {
        length(&icon["base64data"]) > 0 && ICON_TYPES.contains(&text(&icon["mediatype"]).as_str())
    };
    unmet(&[
        (
            CAPABILITIES.contains(&text(&annotations["capabilities"]).as_str()),
            "the annotation capabilities must be one of the five levels",
        ),
        (
            text(&annotations["categories"])
                .split(", ")
                .all(|category| CATEGORIES.contains(&category)),
            "the annotation categories must name categories of OperatorHub",
        ),
        (
            matches!(items(&spec["icon"]), [icon] if picture(icon)),
            "spec.icon must be one picture of a known media type",
        ),
        (
            semver::Version::parse(&text(&spec["minKubeVersion"])).is_ok(),
            "spec.minKubeVersion must be a semantic version",
        ),
    ])
}

fn unmet(rules: &[(bool, &str)]) -> Vec<String> {
    rules
        .iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, sentence)| (*sentence).to_owned())
        .collect()
}

/// Characters of a string, 0 for anything else.
fn length(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.chars().count())
}
