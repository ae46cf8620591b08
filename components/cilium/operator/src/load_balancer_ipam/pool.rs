//! What a pool says: which addresses it has, whom it selects, and why it gives nothing new.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use cilium_api::{
    CiliumLoadBalancerIPPool,
    load_balancer_pool::{AllowFirstLastIps, IpBlock},
};
use ipnet::IpNet;
use kube::{ResourceExt, core::Selector, core::SelectorExt};

use super::{
    said::first_of,
    span::{Cursor, Owned, Span, Spans},
};

/// Whose a range of the cluster's own is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own<'a> {
    /// An address of this node.
    Node(&'a str),
    /// A podCIDR of this node.
    Pods(&'a str),
}

impl fmt::Display for Own<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "an address of Node {node}"),
            Self::Pods(node) => write!(f, "the podCIDR of CiliumNode {node}"),
        }
    }
}

/// Why a pool gives nothing new.
pub(super) struct Conflict {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// One pool, read.
pub(super) struct Pool<'a> {
    pub(super) name: &'a str,
    pub(super) spans: Spans,
    pub(super) cursor: Cursor,
    pub(super) conflict: Option<Conflict>,
    /// Blocks of IPv6 as written.
    pub(super) not_served: Vec<String>,
    blocks: Vec<(String, Span)>,
    /// `None` when it cannot be read: then it selects nobody anew and lets everybody keep.
    selector: Option<Selector>,
    /// Whether there is a block that cannot be read: any address may have come from it.
    unclear: bool,
    disabled: bool,
}

/// The pools, oldest first: of two that overlap the older gives.
pub(super) fn read<'a>(
    pools: &[&'a CiliumLoadBalancerIPPool],
    cluster: &Owned<Own<'_>>,
) -> Vec<Pool<'a>> {
    let mut pools = pools.to_vec();
    pools.sort_by_cached_key(|pool| (pool.creation_timestamp().map(|t| t.0), pool.name_any()));
    let mut older: Owned<&str> = Owned::default();
    pools
        .into_iter()
        .map(|object| {
            let mut pool = Pool::of(object);
            if pool.conflict.is_none() {
                pool.conflict = pool
                    .overlap_with_cluster(cluster)
                    .or_else(|| pool.overlap_with_older(&older));
            }
            if pool.conflict.is_none() {
                for span in pool.spans.iter() {
                    older.insert(span, pool.name);
                }
            }
            pool
        })
        .collect()
}

impl<'a> Pool<'a> {
    fn of(object: &'a CiliumLoadBalancerIPPool) -> Self {
        let spec = &object.spec;
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let mut pool = Self {
            name,
            spans: Spans::default(),
            cursor: Cursor::default(),
            conflict: None,
            not_served: Vec::new(),
            blocks: Vec::new(),
            selector: None,
            unclear: false,
            disabled: spec.disabled,
        };
        match Selector::try_from(spec.service_selector.clone().unwrap_or_default()) {
            Ok(selector) => pool.selector = Some(selector),
            Err(error) => {
                let message = format!(
                    "serviceSelector of CiliumLoadBalancerIPPool {name} cannot be read ({error}) and selects nobody; write In, NotIn, Exists or DoesNotExist, the first two with values"
                );
                pool.conflict = Some(Conflict {
                    reason: "invalid_selector",
                    message,
                });
            }
        }
        pool.read_blocks(&spec.blocks, spec.allow_first_last_ips.unwrap_or_default());
        pool.spans = pool.blocks.iter().map(|(_, span)| *span).collect();
        pool
    }

    fn read_blocks(&mut self, blocks: &[IpBlock], ends: AllowFirstLastIps) {
        let mut nonsense = Vec::new();
        for block in blocks {
            let text = as_written(block);
            match read_block(block, ends) {
                Ok(Block::V4(span)) => self.blocks.push((text, span)),
                Ok(Block::V6) => self.not_served.push(text),
                Err(why) => {
                    self.unclear = true;
                    nonsense.push(format!("{} {why}", self.block(&text)));
                }
            }
        }
        if !nonsense.is_empty() {
            self.conflict = Some(Conflict {
                reason: "invalid_block",
                message: first_of(&nonsense, "; "),
            });
        }
    }

    fn block(&self, text: &str) -> String {
        format!("block {text} of CiliumLoadBalancerIPPool {}", self.name)
    }

    fn overlap_with_cluster(&self, cluster: &Owned<Own<'_>>) -> Option<Conflict> {
        self.overlap("cluster_overlap", cluster, |range, own| {
            format!("overlaps {range}, which is {own}; leave it out of the block")
        })
    }

    fn overlap_with_older(&self, older: &Owned<&str>) -> Option<Conflict> {
        self.overlap("cidr_overlap", older, |range, name| {
            format!("overlaps {range} of CiliumLoadBalancerIPPool {name}, which is older; change or delete one of the two")
        })
    }

    fn overlap<T>(
        &self,
        reason: &'static str,
        others: &Owned<T>,
        say: impl Fn(Span, &T) -> String,
    ) -> Option<Conflict> {
        let overlapping = self.blocks.iter().filter_map(|(text, span)| {
            let (range, owner) = others.overlapping(*span)?;
            Some(format!("{} {}", self.block(text), say(range, owner)))
        });
        let sentences: Vec<String> = overlapping.collect();
        (!sentences.is_empty()).then(|| Conflict {
            reason,
            message: first_of(&sentences, "; "),
        })
    }

    /// Whether a Service with these labels may have an address of the pool.
    pub(super) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector
            .as_ref()
            .is_some_and(|selector| selector.matches(labels))
    }

    /// Whether new addresses are given.
    pub(super) fn gives(&self) -> bool {
        self.closed().is_none()
    }

    /// Why no new addresses are given.
    pub(super) fn closed(&self) -> Option<&'static str> {
        if self.conflict.is_some() {
            Some("is in conflict")
        } else {
            self.disabled.then_some("is disabled")
        }
    }

    /// Whether a Service that has the address may keep it. What cannot be read takes nothing away.
    pub(super) fn leaves(&self, labels: &BTreeMap<String, String>, address: Ipv4Addr) -> bool {
        let selects = self
            .selector
            .as_ref()
            .is_none_or(|selector| selector.matches(labels));
        selects && (self.unclear || self.spans.contains(address))
    }
}

enum Block {
    V4(Span),
    V6,
}

fn as_written(block: &IpBlock) -> String {
    let end = |text: &Option<String>| text.clone().unwrap_or_default();
    match &block.cidr {
        Some(cidr) => cidr.clone(),
        None => format!("{}-{}", end(&block.start), end(&block.stop)),
    }
}

fn read_block(block: &IpBlock, ends: AllowFirstLastIps) -> Result<Block, &'static str> {
    match (&block.cidr, &block.start, &block.stop) {
        (Some(cidr), None, None) => read_network(cidr, ends),
        (None, Some(start), Some(stop)) => read_range(start, stop),
        _ => Err("is neither a cidr alone nor a start with a stop; write one of the two"),
    }
}

fn read_network(text: &str, ends: AllowFirstLastIps) -> Result<Block, &'static str> {
    match text.parse() {
        Ok(IpNet::V4(net)) if net.prefix_len() == 0 => {
            Err("is every address there is; write the network that is routed to this cluster")
        }
        Ok(IpNet::V4(net)) => {
            let mut span = Span::from(net);
            // A /31 and a /32 have nothing but ends.
            if ends == AllowFirstLastIps::No && net.prefix_len() < 31 {
                span.first = Ipv4Addr::from_bits(span.first.to_bits() + 1);
                span.last = Ipv4Addr::from_bits(span.last.to_bits() - 1);
            }
            Ok(Block::V4(span))
        }
        Ok(IpNet::V6(_)) => Ok(Block::V6),
        Err(_) => Err("is no network; write an address and a prefix length, as in 192.0.2.0/24"),
    }
}

fn read_range(start: &str, stop: &str) -> Result<Block, &'static str> {
    match (start.parse(), stop.parse()) {
        (Ok(IpAddr::V4(first)), Ok(IpAddr::V4(last))) if first <= last => {
            Ok(Block::V4(Span { first, last }))
        }
        (Ok(IpAddr::V4(_)), Ok(IpAddr::V4(_))) => {
            Err("ends before it begins; write the lower address as start")
        }
        (Ok(IpAddr::V6(_)), Ok(IpAddr::V6(_))) => Ok(Block::V6),
        (Ok(_), Ok(_)) => {
            Err("begins with one IP version and ends with the other; write IPv4 only")
        }
        _ => Err("is no range of addresses; write start and stop as in 192.0.2.10"),
    }
}
