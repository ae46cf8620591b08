//! Faults before the API server, as data: which requests, and what happens to them. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a fault does to a request it meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Answers 429 with `Retry-After`, as an API server does that sheds load.
    TooManyRequests {
        /// Value of `Retry-After` in seconds.
        retry_after: u32,
    },
    /// Answers 500.
    InternalError,
    /// Answers 410 Expired; a watch is accepted and gets the ERROR event that says so.
    Gone,
    /// Lets the request through after a while.
    Delay {
        /// How long, in milliseconds.
        milliseconds: u32,
    },
    /// Closes the connection without an answer.
    Hangup,
}

/// Which requests a fault is for. Every condition given must hold; none at all means every request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Match {
    /// The HTTP method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Beginning of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
    /// Part of the user's name, by certificate or token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether the request is a watch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<bool>,
}

/// A fault: its effect on a share of the requests that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Which requests.
    #[serde(default)]
    pub when: Match,
    /// What happens to them.
    pub then: Effect,
    /// Of a hundred requests that match, how many are hit. They are spread evenly, not drawn.
    #[serde(default = "all")]
    pub percent: u8,
    /// Only so many hits; then the rule is spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

fn all() -> u8 {
    100
}

impl Rule {
    /// The effect on every request that matches.
    pub fn always(when: Match, then: Effect) -> Self {
        Self {
            when,
            then,
            percent: 100,
            times: None,
        }
    }
}

/// All that the proxy is told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Orders {
    /// Rules in their order; the first that hits decides.
    pub rules: Vec<Rule>,
    /// Every change cuts all watches that are open.
    pub watches_cut: u64,
    /// Changes with `rules`, so that counting starts anew.
    pub generation: u64,
}

/// A request as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Path without query.
    pub path: &'a str,
    /// Query.
    pub query: &'a str,
    /// Who asks, empty if unknown.
    pub user: &'a str,
}

impl Request<'_> {
    /// Whether it asks for a stream of events.
    pub fn is_watch(&self) -> bool {
        self.query
            .split('&')
            .any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch"))
    }

    /// Health questions pass always: the lab itself waits by them.
    fn is_health(&self) -> bool {
        ["/readyz", "/livez", "/healthz"]
            .iter()
            .any(|path| self.path.starts_with(path))
    }
}

impl Match {
    fn holds(&self, request: &Request<'_>) -> bool {
        self.method
            .as_deref()
            .is_none_or(|m| m.eq_ignore_ascii_case(request.method))
            && self
                .path_prefix
                .as_deref()
                .is_none_or(|p| request.path.starts_with(p))
            && self
                .user
                .as_deref()
                .is_none_or(|u| request.user.contains(u))
            && self.watch.is_none_or(|w| w == request.is_watch())
    }
}

/// How often each rule matched and hit since its orders were given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The orders counted.
    pub generation: u64,
    /// Requests seen at all, without health questions.
    pub requests: u64,
    /// By the rule's place: matched, hit.
    pub rules: BTreeMap<usize, (u64, u64)>,
}

impl Tally {
    /// The effect on a request, if any, and the count of it.
    pub fn decide(&mut self, orders: &Orders, request: &Request<'_>) -> Option<Effect> {
        if self.generation != orders.generation {
            *self = std::mem::take(self).of(orders);
        }
        if request.is_health() {
            return None;
        }
        self.requests += 1;
        for (place, rule) in orders
            .rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.when.holds(request))
        {
            let (matched, hit) = self.rules.entry(place).or_default();
            let spent = rule.times.is_some_and(|times| *hit >= times);
            let percent = u64::from(rule.percent);
            let due = (*matched + 1) * percent / 100 > *matched * percent / 100;
            *matched += 1;
            if due && !spent {
                *hit += 1;
                return Some(rule.then.clone());
            }
        }
        None
    }

    /// What it counts of these orders: nothing when it is of others.
    #[must_use]
    pub fn of(self, orders: &Orders) -> Self {
        if self.generation == orders.generation {
            return self;
        }
        Self {
            generation: orders.generation,
            ..Self::default()
        }
    }

    /// Requests that met a fault.
    pub fn hits(&self) -> u64 {
        self.rules.values().map(|(_, hit)| hit).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Request<'_> = Request {
        method: "GET",
        path: "/apis/apps/v1/deployments",
        query: "limit=500",
        user: "system:serviceaccount:a:b",
    };

    fn orders(rules: Vec<Rule>) -> Orders {
        Orders {
            rules,
            watches_cut: 0,
            generation: 1,
        }
    }

    #[test]
    fn a_quarter_of_the_requests_is_hit_evenly() {
        let orders = orders(vec![Rule {
            percent: 25,
            ..Rule::always(Match::default(), Effect::InternalError)
        }]);
        let mut tally = Tally::default();
        let hits: Vec<bool> = (0..8)
            .map(|_| tally.decide(&orders, &LIST).is_some())
            .collect();
        assert_eq!(hits, [false, false, false, true, false, false, false, true]);
        assert_eq!((tally.requests, tally.hits()), (8, 2));
    }

    #[test]
    fn a_rule_for_one_user_leaves_others_alone() {
        let when = Match {
            user: Some("gloonet-system".into()),
            ..Match::default()
        };
        let orders = orders(vec![Rule::always(when, Effect::Hangup)]);
        let ours = Request {
            user: "system:serviceaccount:gloonet-system:gloonet-operator",
            ..LIST
        };
        let mut tally = Tally::default();
        assert_eq!(tally.decide(&orders, &LIST), None);
        assert_eq!(tally.decide(&orders, &ours), Some(Effect::Hangup));
    }

    #[test]
    fn a_spent_rule_hits_no_more_and_lets_the_next_one_have_its_turn() {
        let once = Rule {
            times: Some(1),
            ..Rule::always(Match::default(), Effect::Gone)
        };
        let orders = orders(vec![
            once,
            Rule::always(Match::default(), Effect::InternalError),
        ]);
        let mut tally = Tally::default();
        assert_eq!(tally.decide(&orders, &LIST), Some(Effect::Gone));
        assert_eq!(tally.decide(&orders, &LIST), Some(Effect::InternalError));
    }

    #[test]
    fn watches_are_told_from_lists_and_health_questions_always_pass() {
        let when = Match {
            watch: Some(true),
            ..Match::default()
        };
        let orders = orders(vec![Rule::always(when, Effect::Gone)]);
        let watch = Request {
            query: "resourceVersion=7&watch=true",
            ..LIST
        };
        let health = Request {
            path: "/readyz",
            query: "watch=true",
            ..LIST
        };
        let mut tally = Tally::default();
        assert_eq!(tally.decide(&orders, &watch), Some(Effect::Gone));
        assert_eq!(tally.decide(&orders, &LIST), None);
        assert_eq!(tally.decide(&orders, &health), None);
    }

    #[test]
    fn new_orders_are_counted_from_zero() {
        let mut orders = orders(vec![Rule::always(Match::default(), Effect::InternalError)]);
        let mut tally = Tally::default();
        tally.decide(&orders, &LIST);
        orders.generation = 2;
        tally.decide(&orders, &LIST);
        assert_eq!((tally.requests, tally.hits()), (1, 1));
        assert_eq!(tally.clone().of(&orders), tally);
        orders.generation = 3;
        assert_eq!(tally.of(&orders).hits(), 0, "of the orders before");
    }
}
