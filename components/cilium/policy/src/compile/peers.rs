//! Peers of a rule of a Cilium policy.

use std::collections::BTreeSet;

use cilium_api::{
    NumericIdentity,
    policy::{
        Refusal,
        read::read_cidr,
        rule::{
            CidrRule, EgressRule, Entity, IcmpRule, IngressRule, PortRule, Selector, ServiceRule,
        },
    },
};
use ipnet::Ipv4Net;

use super::{Context, selectors};
use crate::{
    fault::Fault,
    input::ServiceName,
    key::{ANYONE, CLUSTER, WORLD},
    rule::{Addresses, Peers, Reach},
    selector::{LabelSelector, Scope},
};

/// An element of a rule's list, whichever way its traffic goes.
pub(super) struct Element<'a> {
    /// `from` or `to`.
    pub(super) preposition: &'static str,
    endpoints: Option<&'a [Selector]>,
    cidr: Option<&'a [String]>,
    cidr_set: Option<&'a [CidrRule]>,
    entities: Option<&'a [Entity]>,
    nodes: Option<&'a [Selector]>,
    services: Option<&'a [ServiceRule]>,
    pub(super) ports: &'a [PortRule],
    pub(super) icmps: &'a [IcmpRule],
    /// Fields that are there and not supported.
    pub(super) unsupported: Vec<&'static str>,
}

fn present(fields: &[(&'static str, bool)]) -> Vec<&'static str> {
    let there = fields.iter().filter(|(_, is)| *is);
    there.map(|(name, _)| *name).collect()
}

impl<'a> From<&'a IngressRule> for Element<'a> {
    fn from(rule: &'a IngressRule) -> Self {
        Self {
            preposition: "from",
            endpoints: rule.from_endpoints.as_deref(),
            cidr: rule.from_cidr.as_deref(),
            cidr_set: rule.from_cidr_set.as_deref(),
            entities: rule.from_entities.as_deref(),
            nodes: rule.from_nodes.as_deref(),
            services: None,
            ports: rule.to_ports.as_deref().unwrap_or_default(),
            icmps: rule.icmps.as_deref().unwrap_or_default(),
            unsupported: present(&[
                ("fromRequires", rule.from_requires.is_some()),
                ("fromGroups", rule.from_groups.is_some()),
                ("authentication", rule.authentication.is_some()),
            ]),
        }
    }
}

impl<'a> From<&'a EgressRule> for Element<'a> {
    fn from(rule: &'a EgressRule) -> Self {
        Self {
            preposition: "to",
            endpoints: rule.to_endpoints.as_deref(),
            cidr: rule.to_cidr.as_deref(),
            cidr_set: rule.to_cidr_set.as_deref(),
            entities: rule.to_entities.as_deref(),
            nodes: rule.to_nodes.as_deref(),
            services: rule.to_services.as_deref(),
            ports: rule.to_ports.as_deref().unwrap_or_default(),
            icmps: rule.icmps.as_deref().unwrap_or_default(),
            unsupported: present(&[
                ("toRequires", rule.to_requires.is_some()),
                ("toFQDNs", rule.to_fqdns.is_some()),
                ("toGroups", rule.to_groups.is_some()),
                ("authentication", rule.authentication.is_some()),
            ]),
        }
    }
}

impl Element<'_> {
    /// The peers; `None` when the element says nothing about them. An empty list says something: nobody.
    pub(super) fn peers(
        &self,
        path: &str,
        context: Context<'_>,
    ) -> Result<Option<Vec<Peers>>, Vec<Refusal>> {
        let kinds = self.kinds();
        let filled: Vec<&str> = kinds
            .iter()
            .filter(|(_, len)| *len > Some(0))
            .map(|(name, _)| *name)
            .collect();
        if let [first, second, ..] = filled[..] {
            let p = self.preposition;
            return Err(vec![Refusal::new(
                format!("{path}.{p}{second}"),
                format!("stands beside {p}{first}; two kinds of peers need two rules"),
            )]);
        }
        let empty_is_absent = context.faults.has(Fault::EmptyPeersAreEveryone) && filled.is_empty();
        if kinds.iter().all(|(_, len)| len.is_none()) || empty_is_absent {
            return Ok(None);
        }
        self.listed(path, context).map(Some).map_err(|r| vec![r])
    }

    fn kinds(&self) -> [(&'static str, Option<usize>); 6] {
        [
            ("Endpoints", self.endpoints.map(<[_]>::len)),
            ("CIDR", self.cidr.map(<[_]>::len)),
            ("CIDRSet", self.cidr_set.map(<[_]>::len)),
            ("Entities", self.entities.map(<[_]>::len)),
            ("Nodes", self.nodes.map(<[_]>::len)),
            ("Services", self.services.map(<[_]>::len)),
        ]
    }

    fn listed(&self, path: &str, context: Context<'_>) -> Result<Vec<Peers>, Refusal> {
        let at = |kind: &str, i: usize| format!("{path}.{}{kind}[{i}]", self.preposition);
        let mut peers = Vec::new();
        for (i, selector) in self.endpoints.into_iter().flatten().enumerate() {
            peers.push(Peers::Labels(selectors::peers(
                &at("Endpoints", i),
                selector,
                context,
            )?));
        }
        for (i, text) in self.cidr.into_iter().flatten().enumerate() {
            let network = read_cidr(&at("CIDR", i), text)?;
            peers.extend(network.map(|n| world(n, BTreeSet::new())));
        }
        for (i, rule) in self.cidr_set.into_iter().flatten().enumerate() {
            peers.extend(cidr_rule(&at("CIDRSet", i), rule, context)?);
        }
        for entity in self.entities.into_iter().flatten() {
            match (entity, forgotten(context)) {
                (Entity::Cluster | Entity::ClusterMesh, Some(forgotten)) => {
                    peers.extend(cluster_without(forgotten));
                }
                _ => peers.push(Peers::Fixed(self::entity(*entity, context))),
            }
        }
        for (i, selector) in self.nodes.into_iter().flatten().enumerate() {
            let nodes = selectors::objects(&at("Nodes", i), selector)?;
            if context.faults.has(Fault::NodesSelectPods) {
                let mut pods = selectors::objects(&at("Nodes", i), selector)?;
                pods.scope = Scope::Pods;
                peers.push(Peers::Labels(pods));
            }
            peers.push(Peers::Addresses(Addresses::Nodes(nodes)));
        }
        for (i, rule) in self.services.into_iter().flatten().enumerate() {
            peers.push(Peers::Addresses(service(
                &at("Services", i),
                rule,
                context,
            )?));
        }
        Ok(peers)
    }
}

fn world(network: Ipv4Net, except: BTreeSet<Ipv4Net>) -> Peers {
    Peers::Addresses(Addresses::Network {
        network,
        except,
        reach: Reach::World,
    })
}

fn cidr_rule(path: &str, rule: &CidrRule, context: Context<'_>) -> Result<Option<Peers>, Refusal> {
    let mut except = BTreeSet::new();
    for (i, text) in rule.except.iter().flatten().enumerate() {
        except.extend(read_cidr(&format!("{path}.except[{i}]"), text)?);
    }
    if context.faults.has(Fault::ExceptForgotten) {
        except.clear();
    }
    match (&rule.cidr, &rule.cidr_group_ref, &rule.cidr_group_selector) {
        (Some(text), None, None) => {
            let network = read_cidr(&format!("{path}.cidr"), text)?;
            Ok(network.map(|n| world(n, except)))
        }
        (None, Some(name), None) => Ok(Some(Peers::Addresses(Addresses::Group {
            name: name.clone(),
            except,
        }))),
        (None, None, Some(selector)) => Ok(Some(Peers::Addresses(Addresses::Groups {
            selector: selectors::objects(&format!("{path}.cidrGroupSelector"), selector)?,
            except,
        }))),
        _ => Err(Refusal::new(
            path,
            "needs exactly one of cidr, cidrGroupRef and cidrGroupSelector",
        )),
    }
}

fn entity(entity: Entity, context: Context<'_>) -> BTreeSet<u32> {
    let reserved = |identity: NumericIdentity| [identity.0].into();
    match entity {
        Entity::All => [ANYONE].into(),
        Entity::World | Entity::WorldIpv4 => [WORLD].into(),
        Entity::Cluster | Entity::ClusterMesh => [CLUSTER].into(),
        Entity::Host => reserved(NumericIdentity::HOST),
        Entity::Init => reserved(NumericIdentity::INIT),
        Entity::Ingress => reserved(NumericIdentity::INGRESS),
        Entity::Unmanaged => reserved(NumericIdentity::UNMANAGED),
        Entity::RemoteNode => [
            NumericIdentity::REMOTE_NODE.0,
            NumericIdentity::KUBE_APISERVER.0,
        ]
        .into(),
        Entity::Health => reserved(NumericIdentity::HEALTH),
        Entity::KubeApiserver if context.host_runs_apiserver => {
            [NumericIdentity::KUBE_APISERVER.0, NumericIdentity::HOST.0].into()
        }
        Entity::KubeApiserver => reserved(NumericIdentity::KUBE_APISERVER),
        Entity::None | Entity::WorldIpv6 => BTreeSet::new(),
    }
}

/// Whom the mistake that is made forgets, if it is one of these.
fn forgotten(context: Context<'_>) -> Option<NumericIdentity> {
    Fault::ALL.into_iter().find_map(|fault| match fault {
        Fault::ClusterForgets(identity) if context.faults.has(fault) => Some(identity),
        _ => None,
    })
}

fn cluster_without(forgotten: NumericIdentity) -> [Peers; 2] {
    let listed = NumericIdentity::HOST.0..=NumericIdentity::INGRESS.0;
    let listed = listed.filter(|n| ![WORLD, forgotten.0].contains(n));
    let pods = LabelSelector {
        scope: Scope::Pods,
        requirements: BTreeSet::new(),
    };
    [Peers::Fixed(listed.collect()), Peers::Labels(pods)]
}

fn service(path: &str, rule: &ServiceRule, context: Context<'_>) -> Result<Addresses, Refusal> {
    let namespace = |given: &Option<String>| {
        let given = given.as_deref().filter(|n| !n.is_empty());
        given.or(context.namespace).map(str::to_owned)
    };
    match (&rule.k8s_service, &rule.k8s_service_selector) {
        (Some(service), None) => {
            let (Some(namespace), Some(name)) =
                (namespace(&service.namespace), service.service_name.clone())
            else {
                return Err(Refusal::new(
                    format!("{path}.k8sService"),
                    "needs serviceName and, in a clusterwide policy, namespace",
                ));
            };
            Ok(Addresses::Service(ServiceName { namespace, name }))
        }
        (None, Some(services)) => Ok(Addresses::Services {
            selector: selectors::objects(
                &format!("{path}.k8sServiceSelector.selector"),
                &services.selector,
            )?,
            namespace: namespace(&services.namespace),
        }),
        _ => Err(Refusal::new(
            path,
            "needs exactly one of k8sService and k8sServiceSelector",
        )),
    }
}
