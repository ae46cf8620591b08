//! From one run to the next: what is new, still so, no longer so, no longer known.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    Change, Code, Evaluation, Finding, Insight, Rule, Scope, Settings, State, Suppressed, Target,
    Verdict, find,
};

/// How long a cleared or expired insight is still shown as such.
pub const KEEP_CLEARED: SignedDuration = SignedDuration::from_hours(24);
/// How long one stands of which nobody can say whether it is still so.
pub const KEEP_UNKNOWN: SignedDuration = SignedDuration::from_hours(24);
/// Changes that are remembered of one insight.
pub const HISTORY: usize = 20;

/// All insights, by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    pub insights: BTreeMap<String, Insight>,
}

/// The run that judges.
#[derive(Clone, Copy, Debug)]
struct Run<'a> {
    id: &'a str,
    now: Timestamp,
    settings: &'a Settings,
}

impl Book {
    /// Takes in what the rules said about one cluster. `home`: it is the one that manages.
    pub fn advance(
        &mut self,
        (cluster, home): (&str, bool),
        evaluations: &[Evaluation],
        settings: &Settings,
        id: &str,
        now: Timestamp,
    ) {
        let run = Run { id, now, settings };
        let mut asked = BTreeSet::new();
        for one in evaluations {
            asked.insert(one.rule.code);
            self.one(cluster, one, run);
        }
        for insight in self.insights.values_mut() {
            // What is found at home may be about any cluster.
            let of_home = find(insight.code).is_some_and(|rule| rule.scope == Scope::Home);
            let concerned = (of_home && home) || (!of_home && insight.cluster == cluster);
            // Not asked any more: switched off, or not in this release.
            if concerned && !asked.contains(&insight.code) && insight.state.stands() {
                enter(insight, State::Cleared { at: now }, run);
            }
        }
        self.age(run);
    }

    /// Clusters that are gone leave nothing standing.
    pub fn keep_clusters(&mut self, known: &BTreeSet<String>, id: &str, now: Timestamp) {
        let settings = Settings::default();
        let run = Run {
            id,
            now,
            settings: &settings,
        };
        for insight in self.insights.values_mut() {
            if !known.contains(&insight.cluster) && insight.state.stands() {
                enter(insight, State::Cleared { at: now }, run);
            }
        }
    }

    fn one(&mut self, cluster: &str, evaluation: &Evaluation, run: Run<'_>) {
        let code = evaluation.rule.code;
        let (why, blind) = match &evaluation.verdict {
            Verdict::Found(found) => {
                return self.found(cluster, evaluation.rule, found, run);
            }
            Verdict::Unknown(unknown) => (unknown.why.clone(), &unknown.nodes[..]),
            Verdict::Broken(words) => (format!("the rule broke: {words}"), &[][..]),
        };
        let is_seen = |target: &Target| {
            !blind.is_empty() && target.kind == "Node" && !blind.contains(&target.name)
        };
        // A finding of this code may be about another cluster; whoever found it is not known here, so the code decides.
        let home = evaluation.rule.scope == Scope::Home;
        for insight in self.insights.values_mut() {
            let concerned = insight.code == code && (home || insight.cluster == cluster);
            if concerned && insight.state.stands() && is_seen(&insight.target) {
                enter(insight, State::Cleared { at: run.now }, run);
            } else if concerned && insight.state.stands() {
                let since = match &insight.state {
                    State::Unknown { since, .. } => *since,
                    _ => run.now,
                };
                let why = why.clone();
                enter(insight, State::Unknown { since, why }, run);
            }
        }
    }

    fn found(&mut self, cluster: &str, rule: &Rule, found: &[Finding], run: Run<'_>) {
        let mut standing = BTreeSet::new();
        for finding in found {
            let place = finding.cluster.as_deref().unwrap_or(cluster);
            let id = format!("{}/{place}/{}", rule.code, finding.target);
            standing.insert(id.clone());
            let insight = self
                .insights
                .entry(id.clone())
                .or_insert_with(|| created(&id, rule, place, finding, run));
            observe(insight, rule, finding, run);
        }
        let home = rule.scope == Scope::Home;
        for (id, insight) in &mut self.insights {
            let concerned = insight.code == rule.code && (home || insight.cluster == cluster);
            if concerned && insight.state.stands() && !standing.contains(id) {
                enter(insight, State::Cleared { at: run.now }, run);
            }
        }
    }

    fn age(&mut self, run: Run<'_>) {
        for insight in self.insights.values_mut() {
            if let State::Unknown { since, .. } = insight.state
                && run.now.duration_since(since) > KEEP_UNKNOWN
            {
                enter(insight, State::Expired { at: run.now }, run);
            }
        }
        self.insights.retain(|_, insight| match insight.state {
            State::Cleared { at } | State::Expired { at } => {
                run.now.duration_since(at) <= KEEP_CLEARED
            }
            State::Active | State::Unknown { .. } => true,
        });
    }
}

fn created(id: &str, rule: &Rule, cluster: &str, finding: &Finding, run: Run<'_>) -> Insight {
    Insight {
        id: id.to_owned(),
        code: rule.code,
        severity: rule.severity,
        cluster: cluster.to_owned(),
        target: finding.target.clone(),
        title: rule.title.to_owned(),
        summary: String::new(),
        evidence: BTreeMap::new(),
        state: State::Active,
        created: run.now,
        observed: run.now,
        run: run.id.to_owned(),
        history: vec![Change {
            at: run.now,
            what: "created".to_owned(),
        }],
        suppressed: None,
    }
}

fn observe(insight: &mut Insight, rule: &Rule, finding: &Finding, run: Run<'_>) {
    enter(insight, State::Active, run);
    insight.observed = run.now;
    insight.summary.clone_from(&finding.summary);
    insight.evidence.clone_from(&finding.evidence);
    insight.severity = severity(rule, run.settings);
    rule.title.clone_into(&mut insight.title);
    let target = finding.target.to_string();
    let found = run
        .settings
        .suppression(rule.code, &insight.cluster, &target, run.now);
    insight.suppressed = found.map(|one| Suppressed {
        reason: one.reason.clone(),
        until: one.until,
    });
}

fn severity(rule: &Rule, settings: &Settings) -> crate::Severity {
    let code: Code = rule.code;
    settings
        .severities
        .get(&code)
        .copied()
        .unwrap_or(rule.severity)
}

fn enter(insight: &mut Insight, state: State, run: Run<'_>) {
    let what = match (&insight.state, &state) {
        (before, after) if before.as_str() == after.as_str() => None,
        (State::Unknown { .. }, State::Active) => Some("known"),
        // What comes back is a new fault at an old place.
        (_, State::Active) => {
            insight.created = run.now;
            Some("created")
        }
        (_, after) => Some(after.as_str()),
    };
    insight.state = state;
    run.id.clone_into(&mut insight.run);
    if let Some(what) = what {
        insight.history.push(Change {
            at: run.now,
            what: what.to_owned(),
        });
        let surplus = insight.history.len().saturating_sub(HISTORY);
        insight.history.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Unknown, catalog};

    fn rule() -> &'static Rule {
        catalog()
            .iter()
            .copied()
            .find(|rule| rule.code.to_string() == "HLT0101")
            .unwrap()
    }

    fn verdict(verdict: Verdict) -> Vec<Evaluation> {
        vec![Evaluation {
            rule: rule(),
            verdict,
            omitted: 0,
        }]
    }

    fn found(nodes: &[&str]) -> Vec<Evaluation> {
        let all = nodes
            .iter()
            .map(|node| Finding::new(Target::node(node), format!("{node} is silent")));
        verdict(Verdict::Found(all.collect()))
    }

    fn at(hours: i64) -> Timestamp {
        let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        begin + SignedDuration::from_hours(hours)
    }

    fn step(book: &mut Book, evaluations: &[Evaluation], hours: i64) {
        let settings = Settings::default();
        book.advance(
            ("west", true),
            evaluations,
            &settings,
            &format!("r{hours}"),
            at(hours),
        );
    }

    fn words(insight: &Insight) -> Vec<&str> {
        insight
            .history
            .iter()
            .map(|change| change.what.as_str())
            .collect()
    }

    const ID: &str = "HLT0101/west/Node/a";

    #[test]
    fn an_insight_is_created_seen_again_cleared_and_after_a_day_gone() {
        let mut book = Book::default();
        step(&mut book, &found(&["a"]), 0);
        step(&mut book, &found(&["a"]), 1);
        let insight = &book.insights[ID];
        assert_eq!((insight.created, insight.observed), (at(0), at(1)));
        assert_eq!((insight.run.as_str(), insight.history.len()), ("r1", 1));
        step(&mut book, &found(&[]), 2);
        assert_eq!(book.insights[ID].state, State::Cleared { at: at(2) });
        step(&mut book, &found(&[]), 26);
        assert!(book.insights.contains_key(ID));
        step(&mut book, &found(&[]), 27);
        assert!(book.insights.is_empty());
    }

    #[test]
    fn what_comes_back_is_new_and_its_history_says_that_it_was_there_before() {
        let mut book = Book::default();
        for (nodes, hour) in [(&["a"][..], 0), (&[], 1), (&["a"], 2)] {
            step(&mut book, &found(nodes), hour);
        }
        let insight = &book.insights[ID];
        assert_eq!(insight.created, at(2));
        assert_eq!(words(insight), ["created", "cleared", "created"]);
    }

    #[test]
    fn what_is_mended_on_one_node_clears_while_another_one_cannot_be_asked() {
        let mut book = Book::default();
        step(&mut book, &found(&["a", "b"]), 0);
        let blind = Unknown {
            nodes: vec!["b".to_owned()],
            ..Unknown::new("b could not be read")
        };
        step(&mut book, &verdict(Verdict::Unknown(blind)), 1);
        let state = |id: &str| book.insights[id].state.as_str();
        assert_eq!(
            (state(ID), state("HLT0101/west/Node/b")),
            ("cleared", "unknown")
        );
    }

    #[test]
    fn while_nobody_knows_it_stands_and_says_so_and_in_the_end_it_expires() {
        let mut book = Book::default();
        let blind = || verdict(Verdict::Unknown(Unknown::new("no record")));
        step(&mut book, &found(&["a"]), 0);
        step(&mut book, &blind(), 1);
        step(&mut book, &blind(), 20);
        let State::Unknown { since, why } = &book.insights[ID].state else {
            panic!("{:?}", book.insights[ID].state);
        };
        assert_eq!((*since, why.as_str()), (at(1), "no record"));
        assert_eq!(book.insights[ID].observed, at(0));
        step(&mut book, &found(&["a"]), 21);
        assert_eq!(words(&book.insights[ID]), ["created", "unknown", "known"]);
        assert_eq!(book.insights[ID].created, at(0));
        step(&mut book, &blind(), 22);
        step(&mut book, &blind(), 47);
        assert_eq!(book.insights[ID].state, State::Expired { at: at(47) });
    }

    #[test]
    fn a_rule_that_breaks_clears_nothing() {
        let mut book = Book::default();
        step(&mut book, &found(&["a"]), 0);
        step(&mut book, &verdict(Verdict::Broken("index".to_owned())), 1);
        assert!(book.insights[ID].state.stands());
    }

    #[test]
    fn another_clusters_run_changes_nothing_here_and_a_cluster_that_is_gone_leaves_nothing() {
        let mut book = Book::default();
        step(&mut book, &found(&["a"]), 0);
        let settings = Settings::default();
        book.advance(("east", false), &found(&[]), &settings, "e", at(1));
        assert_eq!(book.insights[ID].state, State::Active);
        book.keep_clusters(&BTreeSet::from(["east".to_owned()]), "k", at(2));
        assert_eq!(book.insights[ID].state, State::Cleared { at: at(2) });
    }

    #[test]
    fn what_is_found_at_home_about_another_cluster_is_not_cleared_by_that_clusters_run() {
        let rule = find("HLT0303".parse().unwrap()).unwrap();
        let finding = Finding::new(Target::cluster(), "away").in_cluster("east");
        let away = [Evaluation {
            rule,
            verdict: Verdict::Found(vec![finding]),
            omitted: 0,
        }];
        let (mut book, settings) = (Book::default(), Settings::default());
        book.advance(("west", true), &away, &settings, "r", at(0));
        book.advance(("east", false), &found(&[]), &settings, "r", at(0));
        let insight = |book: &Book| book.insights["HLT0303/east/Cluster"].state.clone();
        assert_eq!(insight(&book), State::Active);
        book.advance(("west", true), &[], &settings, "r", at(1));
        assert_eq!(insight(&book), State::Cleared { at: at(1) });
    }

    #[test]
    fn a_code_that_is_switched_off_stands_no_longer() {
        let mut book = Book::default();
        step(&mut book, &found(&["a"]), 0);
        step(&mut book, &[], 1);
        assert_eq!(book.insights[ID].state, State::Cleared { at: at(1) });
    }

    #[test]
    fn severity_and_suppression_are_the_administrators() {
        let mut book = Book::default();
        let mut settings = Settings::default();
        settings
            .severities
            .insert(rule().code, crate::Severity::Info);
        settings.suppressions.push(crate::Suppression {
            code: rule().code,
            cluster: None,
            target: Some("Node/a".to_owned()),
            reason: "known".to_owned(),
            until: at(10),
        });
        book.advance(("west", true), &found(&["a", "b"]), &settings, "r", at(0));
        let insight = &book.insights[ID];
        assert_eq!(insight.severity, crate::Severity::Info);
        assert_eq!(insight.suppressed.as_ref().unwrap().reason, "known");
        assert_eq!(book.insights["HLT0101/west/Node/b"].suppressed, None);
        book.advance(("west", true), &found(&["a"]), &settings, "r", at(11));
        assert_eq!(book.insights[ID].suppressed, None);
    }

    #[test]
    fn history_has_an_end() {
        let mut book = Book::default();
        for hour in 0..60 {
            let nodes: &[&str] = if hour % 2 == 0 { &["a"] } else { &[] };
            step(&mut book, &found(nodes), hour);
        }
        assert_eq!(book.insights[ID].history.len(), HISTORY);
    }
}
