//! Custom resource definitions of cilium.io and of Gloo, and the platform's namespace.
//!
//! Owns the definitions, never an object of theirs. They stay when the platform is removed: user data hangs on them.

mod health;
pub(crate) mod objects;

use kube_core::DynamicObject;

use crate::{Component, ComponentId, Health, Input, Observed, Probe, RenderError};

#[derive(Debug)]
pub(crate) struct Crds;

impl Component for Crds {
    fn id(&self) -> ComponentId {
        ComponentId::Crds
    }

    fn needs(&self) -> &'static [ComponentId] {
        &[]
    }

    /// Always: a definition that vanishes from what is rendered would look like one to remove.
    fn enabled(&self, _input: &Input) -> bool {
        true
    }

    fn objects(&self, input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        objects::all(input)
    }

    fn probes(&self, _input: &Input) -> Vec<Probe> {
        Vec::new()
    }

    fn health(&self, _input: &Input, observed: &Observed) -> Health {
        health::judge(observed)
    }
}

#[cfg(test)]
mod tests;
