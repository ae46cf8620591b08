//! A workspace over a namespace of every cluster, with pods that talk in the workload clusters.

use anyhow::Result;
use gloonet_e2e::{
    Scene,
    fleet::{Fleet, OBEYED, WORKLOADS},
    pods::{Playground, Talker},
    policy::Cell,
};

/// Namespace of the workspace, in every cluster.
pub(crate) const SHOP: &str = "e2e-fleet-shop";
/// Policies that isolation makes of the Service `web`.
pub(crate) const ISOLATED: [&str; 2] = ["settings-web-80-e2e-fleet", "settings-web-81-e2e-fleet"];

/// One workload cluster's part of the shop.
pub(crate) struct Branch<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) shop: Playground<'a>,
    pub(crate) street: Playground<'a>,
    pub(crate) web: Talker,
    pub(crate) clerk: Talker,
    pub(crate) thief: Talker,
    pub(crate) passerby: Talker,
}

impl Branch<'_> {
    /// Waits until the table holds: `inside` is about pods of the shop, `outside` about those of the street.
    pub(crate) async fn holds(&self, what: &str, inside: &[Cell], outside: &[Cell]) -> Result<()> {
        self.shop.holds_within(OBEYED, what, inside).await?;
        self.street.holds(what, outside).await
    }
}

/// Everything of a test.
pub(crate) struct Shop<'a> {
    fleet: &'a Fleet,
    home: Playground<'a>,
    pub(crate) branches: Vec<Branch<'a>>,
}

impl<'a> Shop<'a> {
    /// In each workload cluster `web`, a Service of it, and `clerk` and `thief` beside it; `passerby` is of no workspace.
    pub(crate) async fn open(fleet: &'a Fleet) -> Result<Self> {
        remove(fleet)?;
        let home = Playground::start(&fleet.management, "fleet-shop").await?;
        let mut branches = Vec::new();
        for name in WORKLOADS {
            let scene = &fleet.workloads[name];
            let node = &scene.workers().await?[0];
            let shop = Playground::start(scene, "fleet-shop").await?;
            let street = Playground::start(scene, "fleet-street").await?;
            let web = shop.talker_as_itself("web", node).await?;
            shop.service("web").await?;
            branches.push(Branch {
                scene,
                web,
                clerk: shop.talker_as_itself("clerk", node).await?,
                thief: shop.talker_as_itself("thief", node).await?,
                passerby: street.talker_as_itself("passerby", node).await?,
                shop,
                street,
            });
        }
        let workspace = "{workloadClusters: [{name: '*', namespaces: [{name: e2e-fleet-shop}]}]}";
        let text = resource(
            "admin.gloo.solo.io/v2",
            "Workspace",
            "gloo-mesh",
            "e2e-fleet",
            workspace,
        );
        fleet.management.apply(&text)?;
        Ok(Self {
            fleet,
            home,
            branches,
        })
    }

    /// Turns service isolation on for the workspace.
    pub(crate) fn isolate(&self) -> Result<()> {
        let spec = "{options: {serviceIsolation: {enabled: true}}}";
        let text = resource(
            "admin.gloo.solo.io/v2",
            "WorkspaceSettings",
            SHOP,
            "shop",
            spec,
        );
        self.fleet.management.apply(&text).map(drop)
    }

    /// Lets only this account of the workspace in to `web`, on its HTTP port.
    pub(crate) fn admit(&self, account: &str) -> Result<()> {
        let spec = format!(
            "{{applyToDestinations: [{{selector: {{name: web}}, port: {{number: 80}}}}], config: {{authzList: [{{allowedClients: [{{serviceAccountSelector: {{name: {account}}}}}]}}]}}}}"
        );
        let text = resource(
            "security.policy.gloo.solo.io/v2",
            "AccessPolicy",
            SHOP,
            "web",
            &spec,
        );
        self.fleet.management.apply(&text).map(drop)
    }

    /// Takes a resource of the shop away, as `KIND/NAME`.
    pub(crate) fn delete(&self, object: &str) -> Result<()> {
        let arguments = ["delete", object, "--namespace", SHOP];
        self.fleet.management.kubectl(&arguments).map(drop)
    }

    pub(crate) async fn close(self) -> Result<()> {
        remove(self.fleet)?;
        self.home.end().await?;
        for branch in self.branches {
            branch.shop.end().await?;
            branch.street.end().await?;
        }
        Ok(())
    }
}

fn resource(api: &str, kind: &str, namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

fn remove(fleet: &Fleet) -> Result<()> {
    let workspace = [
        "delete",
        "workspace",
        "e2e-fleet",
        "--namespace",
        "gloo-mesh",
        "--ignore-not-found",
    ];
    fleet.management.kubectl(&workspace).map(drop)
}
