//! Insights: what is known of a cluster, turned into what a person should do.
//!
//! A [`Rule`] looks at one [`View`] of one cluster and answers with findings, with none, or with [`Unknown`]: what it needs is
//! missing. Missing evidence is never "fine". [`evaluate`] asks every rule, [`Book`] follows the life of what they find.
//! Pure: records, samples, snapshots and the time come in as arguments.
#![forbid(unsafe_code)]

mod catalog;
mod code;
mod evaluate;
mod explain;
mod finding;
mod insight;
mod life;
mod overview;
mod query;
mod rule;
mod rules;
mod settings;
mod snapshot;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
mod view;

pub use catalog::{catalog, find};
pub use code::{Code, CodeError, Group, Severity};
pub use evaluate::{Evaluation, MOST_FINDINGS, Verdict, evaluate};
pub use explain::{Steps, page, steps};
pub use finding::{Finding, Target};
pub use insight::{Change, Insight, State, Suppressed};
pub use life::{Book, HISTORY, KEEP_CLEARED, KEEP_UNKNOWN};
pub use overview::{Overview, Unjudged};
pub use query::{Answers, Query, Sample, Scope, Source, queries};
pub use rule::{Answer, Evidence, Rule, Unknown};
pub use settings::{Settings, Suppression};
pub use snapshot::{Binding, Isolation, Snapshot, Subject};
pub use text::clean;
pub use view::{Cluster, View};
