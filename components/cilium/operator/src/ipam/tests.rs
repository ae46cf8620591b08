use proptest::prelude::*;

use super::*;
use crate::pool::overlap;

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn pool() -> Pool {
    Pool::new(&[net("10.244.0.0/16")], 24).unwrap()
}

fn claim(node: &str, cidrs: &[&str]) -> Claim {
    Claim {
        node: node.into(),
        cidrs: cidrs.iter().map(ToString::to_string).collect(),
        ours: true,
        wish: None,
        created: None,
    }
}

fn foreign(node: &str, cidrs: &[&str]) -> Claim {
    Claim {
        ours: false,
        ..claim(node, cidrs)
    }
}

fn assigned(text: &str) -> Verdict {
    Verdict::Assign {
        cidrs: vec![net(text)],
        refused: None,
    }
}

fn owners(of: &[(&str, &str)]) -> Owners {
    of.iter()
        .map(|&(node, cidr)| (node.to_owned(), vec![net(cidr)]))
        .collect()
}

fn refusal(verdict: &Verdict) -> (&[Ipv4Net], &str) {
    match verdict {
        Verdict::Assign {
            cidrs,
            refused: Some(refused),
        } => (cidrs, refused),
        other => panic!("nothing was refused: {other:?}"),
    }
}

#[test]
fn new_nodes_get_the_first_free_blocks_and_old_ones_keep_theirs() {
    let plan = plan(
        &[
            claim("b", &[]),
            claim("a", &[]),
            claim("c", &["10.244.0.0/24"]),
        ],
        &pool(),
        &Owners::new(),
        &[],
    );
    assert_eq!(plan["c"], Verdict::Keep(vec![net("10.244.0.0/24")]));
    assert_eq!(plan["a"], assigned("10.244.1.0/24"));
    assert_eq!(plan["b"], assigned("10.244.2.0/24"));
}

#[test]
fn after_a_change_of_the_pool_nodes_keep_what_they_have_and_new_ones_get_the_new() {
    let pool = Pool::new(&[net("10.50.0.0/16")], 25).unwrap();
    let plan = plan(
        &[claim("old", &["10.244.0.0/24"]), claim("new", &[])],
        &pool,
        &Owners::new(),
        &[],
    );
    assert_eq!(plan["old"], Verdict::Keep(vec![net("10.244.0.0/24")]));
    assert_eq!(plan["new"], assigned("10.50.0.0/25"));
}

#[test]
fn a_full_pool_is_said_and_harms_nobody() {
    let pool = Pool::new(&[net("10.244.0.0/24")], 24).unwrap();
    let plan = plan(
        &[claim("a", &["10.244.0.0/24"]), claim("b", &[])],
        &pool,
        &Owners::new(),
        &[],
    );
    assert_eq!(plan["a"], Verdict::Keep(vec![net("10.244.0.0/24")]));
    let Verdict::Exhausted(sentence) = &plan["b"] else {
        panic!("{:?}", plan["b"])
    };
    assert_eq!(
        sentence,
        "no podCIDR left in the cluster pool for node b; add a network to clusterPoolIPv4CIDRs"
    );
}

#[test]
fn a_node_that_changes_its_podcidr_gets_the_right_one_back() {
    let given = owners(&[("a", "10.244.0.0/24"), ("b", "10.244.1.0/24")]);
    let plan = plan(
        &[
            claim("a", &["10.244.0.0/24"]),
            foreign("b", &["10.244.0.0/24"]),
        ],
        &pool(),
        &given,
        &[],
    );
    assert_eq!(plan["a"], Verdict::Keep(vec![net("10.244.0.0/24")]));
    let (cidrs, sentence) = refusal(&plan["b"]);
    assert_eq!(cidrs, [net("10.244.1.0/24")]);
    assert_eq!(
        sentence,
        "podCIDRs 10.244.0.0/24 of CiliumNode b were not given by cilium-operator; 10.244.1.0/24 is restored"
    );
}

#[test]
fn after_a_restart_a_foreign_claim_loses_against_one_the_operator_gave() {
    let older = Claim {
        created: Some(Timestamp::UNIX_EPOCH),
        ..foreign("a", &["10.244.1.0/24"])
    };
    let newer = Claim {
        created: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        ..claim("b", &["10.244.1.0/24"])
    };
    let plan = plan(&[older, newer], &pool(), &Owners::new(), &[]);
    assert_eq!(plan["b"], Verdict::Keep(vec![net("10.244.1.0/24")]));
    let (cidrs, sentence) = refusal(&plan["a"]);
    assert_eq!(cidrs, [net("10.244.0.0/24")]);
    assert_eq!(
        sentence,
        "podCIDR 10.244.1.0/24 of CiliumNode a overlaps 10.244.1.0/24, which has an owner; another is given"
    );
}

#[test]
fn a_foreign_claim_inside_the_pool_is_taken_over_and_one_outside_is_replaced() {
    let plan = plan(
        &[
            foreign("in", &["10.244.9.0/24"]),
            foreign("out", &["10.96.0.0/16"]),
            foreign("all", &["0.0.0.0/0"]),
        ],
        &pool(),
        &Owners::new(),
        &[],
    );
    assert_eq!(plan["in"], Verdict::Keep(vec![net("10.244.9.0/24")]));
    for node in ["out", "all"] {
        let (cidrs, sentence) = refusal(&plan[node]);
        assert!(pool().contains(cidrs[0]), "{cidrs:?}");
        assert!(sentence.contains("outside the cluster pool"), "{sentence}");
    }
}

#[test]
fn text_that_is_no_network_is_refused_and_named() {
    let plan = plan(
        &[
            claim("a", &["10.244.0.0/24", "house"]),
            claim("b", &["10.244.3.1/24"]),
        ],
        &pool(),
        &Owners::new(),
        &[],
    );
    assert!(
        refusal(&plan["a"])
            .1
            .contains("podCIDR house of CiliumNode a is no IPv4 network")
    );
    assert!(
        refusal(&plan["b"])
            .1
            .contains("has bits set behind its prefix")
    );
}

#[test]
fn what_an_unreadable_object_claims_is_not_given_away() {
    let plan = plan(
        &[claim("a", &[])],
        &pool(),
        &Owners::new(),
        &[net("10.244.0.0/24")],
    );
    assert_eq!(plan["a"], assigned("10.244.1.0/24"));
}

#[test]
fn a_node_keeps_its_block_while_its_cilium_node_is_away_and_loses_it_with_the_node() {
    let mut owners = owners(&[("a", "10.244.0.0/24")]);
    remember(
        &mut owners,
        &BTreeMap::new(),
        &BTreeSet::from(["a".to_owned()]),
    );
    assert_eq!(
        plan(&[claim("a", &[]), claim("b", &[])], &pool(), &owners, &[])["a"],
        assigned("10.244.0.0/24")
    );
    remember(&mut owners, &BTreeMap::new(), &BTreeSet::new());
    assert!(owners.is_empty());
}

#[test]
fn a_wish_is_granted_when_it_is_free_in_the_pool_and_no_larger_than_a_share() {
    let wishing = |node, cidr: &str| Claim {
        wish: Some(net(cidr)),
        ..claim(node, &[])
    };
    let claims = [
        claim("holder", &["10.244.3.0/24"]),
        wishing("granted", "10.244.7.0/24"),
        wishing("taken", "10.244.3.0/24"),
        wishing("greedy", "10.244.0.0/16"),
        wishing("outside", "10.96.0.0/24"),
        wishing("same", "10.244.7.0/24"),
    ];
    let plan = plan(&claims, &pool(), &Owners::new(), &[]);
    assert_eq!(plan["granted"], assigned("10.244.7.0/24"));
    for node in ["taken", "greedy", "outside", "same"] {
        let Verdict::Assign { cidrs, .. } = &plan[node] else {
            panic!("{:?}", plan[node])
        };
        assert!(
            pool().is_share(cidrs[0])
                && cidrs[0] != net("10.244.7.0/24")
                && cidrs[0] != net("10.244.3.0/24")
        );
    }
}

fn any_claim() -> impl Strategy<Value = Claim> {
    let cidr = (0u8..6, 22u8..=26).prop_map(|(third, prefix)| format!("10.244.{third}.0/{prefix}"));
    let text =
        prop_oneof![8 => cidr, 1 => Just("house".to_owned()), 1 => Just("10.96.0.0/16".to_owned())];
    (0u8..8, prop::collection::vec(text, 0..3), any::<bool>()).prop_map(|(n, cidrs, ours)| Claim {
        node: format!("n{n}"),
        cidrs,
        ours,
        wish: None,
        created: None,
    })
}

proptest! {
    /// The invariant of the whole module, over any mixture of claims, memory and pool size.
    #[test]
    fn no_two_nodes_ever_share_an_address_and_owners_keep_theirs(
        claims in prop::collection::vec(any_claim(), 0..8), prefix in 20u8..=24, owned in prop::collection::btree_map(0u8..8, 0u8..6, 0..4),
    ) {
        let claims: Vec<Claim> = claims.into_iter().map(|c| (c.node.clone(), c)).collect::<BTreeMap<_, _>>().into_values().collect();
        let mut given = Owners::new();
        for (n, third) in owned {
            let block = net(&format!("10.244.{third}.0/24"));
            if !given.values().flatten().any(|&other| other == block) {
                given.insert(format!("n{n}"), vec![block]);
            }
        }
        let pool = Pool::new(&[Ipv4Net::new([10, 244, 0, 0].into(), prefix).unwrap()], 24).unwrap();
        let plan = plan(&claims, &pool, &given, &[]);
        prop_assert_eq!(plan.len(), claims.len());

        let mut held: Vec<(String, Ipv4Net)> = Vec::new();
        for (node, cidrs) in &given {
            held.extend(cidrs.iter().map(|&c| (node.clone(), c)));
        }
        for (node, verdict) in &plan {
            if let Verdict::Keep(cidrs) | Verdict::Assign { cidrs, .. } = verdict {
                prop_assert!(!cidrs.is_empty());
                if let Some(right) = given.get(node) { prop_assert_eq!(cidrs, right); }
                held.extend(cidrs.iter().map(|&c| (node.clone(), c)));
            }
        }
        for (i, (a, x)) in held.iter().enumerate() {
            for (b, y) in &held[i + 1..] {
                prop_assert!(a == b || !overlap(*x, *y), "{a} {x} and {b} {y}");
            }
        }
    }

    /// Carried out and looked at again, a plan changes nothing more.
    #[test]
    fn a_plan_carried_out_is_stable(claims in prop::collection::vec(any_claim(), 0..8)) {
        let claims: Vec<Claim> = claims.into_iter().map(|c| (c.node.clone(), c)).collect::<BTreeMap<_, _>>().into_values().collect();
        let first = plan(&claims, &pool(), &Owners::new(), &[]);
        let carried_out: Vec<Claim> = claims.iter().map(|c| match &first[&c.node] {
            Verdict::Keep(cidrs) | Verdict::Assign { cidrs, .. } =>
                Claim { cidrs: cidrs.iter().map(ToString::to_string).collect(), ours: true, ..c.clone() },
            Verdict::Exhausted(_) => c.clone(),
        }).collect();
        for verdict in plan(&carried_out, &pool(), &Owners::new(), &[]).values() {
            prop_assert!(matches!(verdict, Verdict::Keep(_)), "{verdict:?}");
        }
    }
}
