//! Services and what pods need of a network besides policy: every spec of sig-network that this machine can run.

use super::suite::{LeftOut, Suite};

/// NetworkPolicy is a suite of its own.
pub const SUITE: Suite = Suite {
    name: "services",
    focus: r"\[sig-network\]",
    workers: 6,
    left_out: &[
        LeftOut::of("Netpol", "run by the suite netpol"),
        LeftOut::of("NetworkPolicy", "run by the suite netpol"),
        LeftOut::of("NetworkPolicies", "run by the suite netpol"),
        LeftOut::of(
            "[Feature:SCTPConnectivity]",
            "this kernel has no SCTP sockets, so neither side of a connection can be made",
        ),
        LeftOut::of(
            "SCTP HostPort",
            "the spec reads iptables rules of kube-proxy",
        ),
        LeftOut::of("[Feature:IPv6DualStack]", "the network is IPv4 only"),
        LeftOut::of("[Feature:Networking-IPv6]", "the network is IPv4 only"),
        LeftOut::of(
            "[Feature:LoadBalancer]",
            "needs a cloud that gives out and announces load balancers' addresses",
        ),
        LeftOut::of("[Provider:GCE]", "needs Google's cloud"),
        LeftOut::of(
            "[Feature:Networking-DNS]",
            "reaches a host on the Internet, which the lab has no way to",
        ),
        LeftOut::of(
            "[Feature:Networking-IPv4]",
            "reaches a host on the Internet, which the lab has no way to",
        ),
        LeftOut::of("kube-proxy", "is about kube-proxy itself"),
        LeftOut::of("KubeProxy", "is about kube-proxy itself"),
        LeftOut::of("iptables rules", "is about kube-proxy's iptables rules"),
        LeftOut::of(
            "restarting apiserver",
            "restarts the API server by SSH, which the lab's nodes do not have",
        ),
        LeftOut::of(
            "DNS configMap",
            "changes the cluster's CoreDNS, whose image is not upstream's",
        ),
        LeftOut::of(
            "[Feature:PerformanceDNS]",
            "fills the cluster with ten thousand Services, which takes longer than everything else",
        ),
        LeftOut::of(
            "IPerf2",
            "measures speed and fails on none; `./dev bench path` does it beside a baseline",
        ),
        LeftOut::of(
            "[Feature:Ingress]",
            "is about the API server's admission of IngressClasses",
        ),
    ],
};
