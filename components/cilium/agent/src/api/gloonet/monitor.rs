//! `/v1/gloonet/monitor`: events as they come. A reader that is too slow loses events and is told how many; nobody waits
//! for it.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use cilium_cni::model::event::{Event, Kind, Line, Way};
use datapath::{Direction, EventKind};
use futures::Stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::{lines, push_line};
use crate::agent::Agent;

/// Events that go out together when many wait.
const AT_A_TIME: usize = 256;

/// Names for what an event holds as numbers.
trait Naming: Send + 'static {
    fn policies(&self, cookie: u32) -> Vec<String>;
    fn interface(&self, ifindex: u32) -> String;
}
