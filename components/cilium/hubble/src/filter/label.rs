//! Filters on labels, in the selector language of Kubernetes with Cilium's sources: `k8s:app=web,env in (a, b),!reserved:world`.

mod parse;

use super::{Condition, End, FilterError};
use crate::proto::flow::FlowFilter;

pub(super) fn add(filter: &FlowFilter, conditions: &mut Vec<Condition>) -> Result<(), FilterError> {
    for (end, field, values) in [
        (End::Source, "source_label", &filter.source_label),
        (
            End::Destination,
            "destination_label",
            &filter.destination_label,
        ),
    ] {
        if !values.is_empty() {
            let selectors = selectors(field, values)?;
            conditions.push(Box::new(move |flow| {
                let labels = end
                    .endpoint(flow)
                    .map_or(&[][..], |endpoint| &endpoint.labels);
                selectors.iter().any(|selector| selector.matches(labels))
            }));
        }
    }
    if !filter.node_labels.is_empty() {
        let selectors = selectors("node_labels", &filter.node_labels)?;
        conditions.push(Box::new(move |flow| {
            selectors
                .iter()
                .any(|selector| selector.matches(&flow.node_labels))
        }));
    }
    Ok(())
}

fn selectors(field: &'static str, values: &[String]) -> Result<Vec<Selector>, FilterError> {
    let selector = |value: &String| {
        parse::selector(value).map_err(|expected| FilterError::Value {
            field,
            value: value.clone(),
            expected,
        })
    };
    values.iter().map(selector).collect()
}

/// All requirements hold. None is asked of nothing: an empty selector matches everything, as in Kubernetes.
#[derive(Debug, PartialEq, Eq)]
struct Selector(Vec<Requirement>);

/// What is asked of one key.
#[derive(Debug, PartialEq, Eq)]
struct Requirement {
    key: Key,
    asked: Asked,
}

/// `source:name`. Without a source, or with `any`, the label may come from anywhere.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    source: Option<String>,
    name: String,
}

/// The operators of Kubernetes. What is negative holds also when the key is missing.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
    GreaterThan(i64),
    LessThan(i64),
}

impl Selector {
    fn matches(&self, labels: &[String]) -> bool {
        self.0.iter().all(|requirement| requirement.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: &[String]) -> bool {
        let value = labels.iter().find_map(|label| self.key.value_in(label));
        match (&self.asked, value) {
            (Asked::Exists, value) => value.is_some(),
            (Asked::Missing, value) => value.is_none(),
            (Asked::In(values), Some(value)) => values.iter().any(|wanted| wanted == value),
            (Asked::NotIn(values), Some(value)) => values.iter().all(|refused| refused != value),
            (Asked::NotIn(_), None) => true,
            (Asked::GreaterThan(than), Some(value)) => {
                value.parse::<i64>().is_ok_and(|value| value > *than)
            }
            (Asked::LessThan(than), Some(value)) => {
                value.parse::<i64>().is_ok_and(|value| value < *than)
            }
            (Asked::In(_) | Asked::GreaterThan(_) | Asked::LessThan(_), None) => false,
        }
    }
}

impl Key {
    /// The value of `label`, if it has this key. A label without `=` has an empty value.
    fn value_in<'a>(&self, label: &'a str) -> Option<&'a str> {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        let (source, name) = key.split_once(':').unwrap_or(("unspec", key));
        let source_fits = self.source.as_deref().is_none_or(|wanted| wanted == source);
        (source_fits && name == self.name).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: &[&str] = &[
        "k8s:app=web",
        "k8s:weight=7",
        "reserved:world",
        "cidr:10.0.0.0/8",
    ];

    fn matches(selector: &str) -> bool {
        let labels: Vec<String> = LABELS.iter().map(|&label| label.to_owned()).collect();
        parse::selector(selector).unwrap().matches(&labels)
    }

    #[test]
    fn the_operators_of_kubernetes_mean_what_they_mean_there() {
        for selector in [
            "app",
            "app=web",
            "app==web",
            "app!=db",
            "!missing",
            "missing!=x",
            "app in (db, web)",
            "app notin (db)",
            "missing notin (a)",
            "weight>6",
            "weight < 8",
            "app=web,weight=7",
            "reserved:world",
            "",
            "app in (web),!db",
        ] {
            assert!(matches(selector), "{selector:?} should match");
        }
        for selector in [
            "missing",
            "app=db",
            "app!=web",
            "!app",
            "app in (db)",
            "app notin (web)",
            "weight>7",
            "weight<7",
            "app>1",
            "app=web,weight=8",
            "reserved:host",
            "app=",
            "missing=",
        ] {
            assert!(!matches(selector), "{selector:?} should not match");
        }
    }

    #[test]
    fn a_source_is_compared_and_any_stands_for_all() {
        assert!(matches("k8s:app=web"));
        assert!(matches("any:app=web"));
        assert!(!matches("container:app=web"));
        assert!(matches("cidr:10.0.0.0/8"));
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for selector in [
            "=x",
            "app in web",
            "app in (web",
            "app=a=b",
            "app web",
            "app,,x",
            "weight>x",
            "a in ()b",
            "!",
            "x:",
        ] {
            assert!(
                parse::selector(selector).is_err(),
                "{selector:?} should be refused"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,60}") {
            let _ = parse::selector(&text);
        }

        #[test]
        fn text_of_the_languages_own_signs_makes_no_panic(text in "[a-c:=!,()<> in]{0,30}") {
            let _ = parse::selector(&text);
        }
    }
}
