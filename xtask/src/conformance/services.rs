//! Services and what pods need of a network besides policy: every spec of sig-network that this machine can run.

use super::suite::{LeftOut, Suite};

/// NetworkPolicy is a suite of its own.
pub const SUITE: Suite = Suite {
    name: "services",
    focus: r"\[sig-network\]",
    workers: 6,
    left_out: &[
        without("Netpol", "run by the suite netpol"),
        without("NetworkPolicy", "run by the suite netpol"),
        without("NetworkPolicies", "run by the suite netpol"),
        without(
            "[Feature:SCTPConnectivity]",
            "this kernel has no SCTP sockets, so neither side of a connection can be made",
        ),
        without(
            "SCTP HostPort",
            "the spec reads iptables rules of kube-proxy",
        ),
        without("[Feature:IPv6DualStack]", "the network is IPv4 only"),
        without("[Feature:Networking-IPv6]", "the network is IPv4 only"),
        without(
            "[Feature:LoadBalancer]",
            "needs a cloud that gives out and announces load balancers' addresses",
        ),
        without("[Provider:GCE]", "needs Google's cloud"),
        without(
            "[Feature:Networking-DNS]",
            "reaches a host on the Internet, which the lab has no way to",
        ),
        without(
            "[Feature:Networking-IPv4]",
            "reaches a host on the Internet, which the lab has no way to",
        ),
        without("kube-proxy", "is about kube-proxy itself"),
        without("KubeProxy", "is about kube-proxy itself"),
        without("iptables rules", "is about kube-proxy's iptables rules"),
        without(
            "restarting apiserver",
            "restarts the API server by SSH, which the lab's nodes do not have",
        ),
        without(
            "DNS configMap",
            "changes the cluster's CoreDNS, whose image is not upstream's",
        ),
        without(
            "[Feature:PerformanceDNS]",
            "fills the cluster with ten thousand Services, which takes longer than everything else",
        ),
        without(
            "IPerf2",
            "measures speed and fails on none; `./dev bench path` does it beside a baseline",
        ),
        without(
            "[Feature:Ingress]",
            "is about the API server's admission of IngressClasses",
        ),
    ],
};

const fn without(text: &'static str, reason: &'static str) -> LeftOut {
    LeftOut { text, reason }
}
