//! What the platform tells of itself and of its clusters, and whom: one test after the other, in the order of their names.
//! See the crate's documentation for how to run them.

#[path = "reports/insights.rs"]
mod insights;
#[path = "reports/listeners.rs"]
mod listeners;
#[path = "reports/secrets.rs"]
mod secrets;
#[path = "reports/telemetry.rs"]
mod telemetry;
#[path = "reports/unrefused.rs"]
mod unrefused;
