//! Turns a reader into the stream of one request.

use std::{panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use futures::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::now;
use crate::observer::request::{Item, Reader};

/// What a streaming call answers with.
pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A place among the streams, given back when the stream ends.
pub(super) fn place(streams: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Status> {
    Arc::clone(streams).try_acquire_owned().map_err(|_| {
        Status::resource_exhausted(
            "too many streams are open on this node; close one, or try again later",
        )
    })
}

/// Reads until the range ends, the client goes or the server closes. `answer` passes over items by returning `None`.
pub(super) fn answers<T: Send + 'static>(
    reader: Reader,
    place: OwnedSemaphorePermit,
    closing: CancellationToken,
    answer: impl Fn(Item) -> Option<T> + Send + 'static,
) -> Answers<T> {
    let items = stream::unfold(Some((reader, place)), move |state| {
        let closing = closing.clone();
        async move {
            let (mut reader, place) = state?;
            // A panic is this request's affair, not its connection's.
            let next = AssertUnwindSafe(reader.next(now)).catch_unwind();
            tokio::select! {
                () = closing.cancelled() => Some((Err(Status::unavailable("the server closes; ask again")), None)),
                item = next => match item {
                    Ok(item) => Some((Ok(item?), Some((reader, place)))),
                    Err(_) => Some((Err(Status::internal("reading failed on the node; its log says more")), None)),
                },
            }
        }
    });
    let answered = items.filter_map(move |item| std::future::ready(item.map(&answer).transpose()));
    Box::pin(answered)
}
