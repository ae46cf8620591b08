//! Behaviour of several clusters under one management server: `./dev up --clusters 3`, then
//! `cargo test -p gloonet-e2e --test fleet -- --test-threads=1`.

#[path = "fleet/faults.rs"]
mod faults;
#[path = "fleet/insights.rs"]
mod insights;
#[path = "fleet/main_job.rs"]
mod main_job;
#[path = "fleet/policy.rs"]
mod policy;
#[path = "fleet/shop.rs"]
mod shop;
