//! What goes on while parts of the platform, nodes or the API server are away: one test after the other, in the order of their names.
//! See the crate's documentation for how to run them.

#[path = "outages/agent_restart.rs"]
mod agent_restart;
#[path = "outages/all_at_zero.rs"]
mod all_at_zero;
#[path = "outages/api_server_away.rs"]
mod api_server_away;
#[path = "outages/components_killed.rs"]
mod components_killed;
#[path = "outages/node_restarts.rs"]
mod node_restarts;
#[path = "outages/operators_away.rs"]
mod operators_away;
#[path = "outages/relist.rs"]
mod relist;
