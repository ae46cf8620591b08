//! `/v1/debuginfo`: of Cilium's answer the version.

use axum::Json;
use cilium_cni::model::DebugInfo;

pub async fn get() -> Json<DebugInfo> {
    Json(DebugInfo::own(env!("CARGO_PKG_VERSION")))
}
