//! An API server that takes every request and answers none, as one whose machine has lost its power.

use std::{
    convert::Infallible,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response};
use kube::{Client, client::Body};

/// A client of it, and how often it was asked.
pub(crate) fn client() -> (Client, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let service = tower::service_fn(move |_: Request<Body>| {
        count.fetch_add(1, Ordering::Relaxed);
        pending::<Result<Response<Body>, Infallible>>()
    });
    (Client::new(service, "default"), asked)
}
