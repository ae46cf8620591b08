//! The last of its suite, for it judges what the tests before it made the parts ask for.

use anyhow::Result;
use gloonet_e2e::{Scene, ledger::refused};

/// Test 13 of the security reference, while things are broken.
#[tokio::test]
async fn no_request_of_ours_was_refused_for_want_of_rights() -> Result<()> {
    let scene = Scene::open().await?;
    let refused = refused(&scene).await?;
    assert!(refused.is_empty(), "{refused:#?}");
    Ok(())
}
