//! What came of running steps.

use std::collections::BTreeMap;

use gloonet_catalog::ComponentId;
use gloonet_plan::{
    Failure, ObjectKey, Step,
    progress::{Outcome, Trouble},
};

use crate::fault::Fault;

/// What came of running steps.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Per component.
    pub outcomes: BTreeMap<ComponentId, Outcome>,
    /// A sentence for each object that was put right again.
    pub corrections: Vec<String>,
    /// Objects that were deleted because nobody wants them.
    pub pruned: Vec<ObjectKey>,
    /// Component and result (`created`, `changed`, `unchanged`, `failed`, `deleted`) of every write.
    pub results: Vec<(String, &'static str)>,
    /// Something failed that may work later.
    pub retry: bool,
    /// The plan asked to let the `GlooNetwork` go.
    pub release: bool,
}

impl Done {
    /// This step is still to be done, and why.
    pub(super) fn lacks(&mut self, step: &Step, trouble: Trouble) {
        self.retry = true;
        let id = step.component().and_then(|name| name.parse().ok());
        if let Some(id) = id {
            let outcome: &mut Outcome = self.outcomes.entry(id).or_default();
            outcome.trouble.get_or_insert(trouble);
        }
    }
}

/// Says in the log and in the counts that a step failed.
pub(super) fn failed(fault: &Fault, step: &Step, done: &mut Done) -> Failure {
    let trouble = fault.to_trouble();
    let (Trouble::Passing(why) | Trouble::Lasting(why)) = &trouble;
    tracing::warn!(%step, why, "step failed");
    if let Some(name) = step.component() {
        done.results.push((name.to_owned(), "failed"));
    }
    Failure {
        trouble,
        ends_plan: fault.is_silence() || fault.is_overload(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_server_that_has_no_time_ends_the_plan_and_one_that_refuses_a_step_does_not() {
        for (code, ends) in [(429, true), (503, true), (504, true), (500, false)] {
            let status = Status::failure("no", "Reason").with_code(code);
            let fault = Fault::Platform(kube::Error::Api(status.boxed()));
            let mut done = Done::default();
            let failure = failed(&fault, &Step::Release, &mut done);
            assert_eq!(failure.ends_plan, ends, "{code}");
        }
    }
}
