//! Two isolated workspaces that mean to share some of their services.

use gloo_api::{WorkspaceSettingsSpec, workspace_settings::Share};
use proptest::{collection::vec, prelude::*};

use super::changes::{Change, isolated, labels, name, policy, put, service, shares, written_as};
use crate::world::{Labels, Object};

/// Random changes seldom lead to two sides that agree. Here each has its namespace, its accounts and its isolation, and only what
/// they say of each other is left to chance; so are the services there are, and policies for some of them.
pub fn partners() -> impl Strategy<Value = Vec<Change>> {
    let namespace = || name(&["shop", "bank"]);
    let side = || (labels("team"), shares(), shares());
    let named = (namespace(), name(&["web", "db"]), labels("app"));
    let closing = (namespace(), policy());
    (side(), side(), vec(named, 1..5), vec(closing, 0..2)).prop_map(
        |(shop, bank, services, policies)| {
            let mut all = workspace("shop", "w1", shop);
            all.extend(workspace("bank", "w2", bank));
            all.extend(services.into_iter().map(|(namespace, name, labels)| {
                let service = service(&name, labels, 80);
                put(&namespace, &name, Object::Service(service))
            }));
            all.extend(policies.into_iter().map(|(namespace, spec)| {
                let policy = Object::Policy(written_as(spec));
                put(&namespace, "p1", policy)
            }));
            all
        },
    )
}

type Side = (Labels, Vec<Share>, Vec<Share>);

fn workspace(namespace: &str, name: &str, (labels, imports, exports): Side) -> Vec<Change> {
    let settings = WorkspaceSettingsSpec {
        import_from: imports,
        export_to: exports,
        ..WorkspaceSettingsSpec::default()
    };
    isolated(namespace, name, labels, settings)
}
