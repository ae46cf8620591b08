//! What a suite is: which of upstream's specs, and which of those not, with the reason.

use super::{certified, netpol, services};

/// One suite. Each is one file beside this one, and one variant of [`Name`].
#[derive(Debug)]
pub struct Suite {
    /// As on the command line.
    pub name: &'static str,
    /// Regular expression over full names, in Go's syntax.
    pub focus: &'static str,
    /// Workers the cluster has; some specs skip themselves with fewer.
    pub workers: u32,
    /// What the focus finds and this platform or machine cannot run.
    pub left_out: &'static [LeftOut],
}

/// Specs that are not run.
#[derive(Debug)]
pub struct LeftOut {
    /// Text in the full name.
    pub text: &'static str,
    /// Why not; printed with the result.
    pub reason: &'static str,
}

/// The suites there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    /// NetworkPolicy, as sig-network tests it.
    Netpol,
    /// Everything else of sig-network that this machine can run.
    Services,
    /// What is marked `[Conformance]` in all other groups.
    Certified,
    /// Not Kubernetes' specs: cilium-cli's connectivity test.
    Cilium,
}

impl Name {
    /// The suite of that name, if it is one of Kubernetes' specs.
    pub fn suite(self) -> Option<&'static Suite> {
        match self {
            Self::Netpol => Some(&netpol::SUITE),
            Self::Services => Some(&services::SUITE),
            Self::Certified => Some(&certified::SUITE),
            Self::Cilium => None,
        }
    }
}

impl LeftOut {
    pub(super) const fn of(text: &'static str, reason: &'static str) -> Self {
        Self { text, reason }
    }
}

impl Suite {
    /// Why a spec is left out, if it is.
    pub fn reason_against(&self, spec: &str) -> Option<&'static str> {
        self.left_out
            .iter()
            .find(|rule| spec.contains(rule.text))
            .map(|rule| rule.reason)
    }
}
