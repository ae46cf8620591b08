//! One client connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsAcceptor;

use super::identity::{Credentials, Subject, claimed};
use super::upstream::Upstream;
use super::{Desk, answer};
use crate::faults::{self, Effect};

pub(super) type Body = BoxBody<Bytes, hyper::Error>;

/// Ends a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("hung up by a fault")]
pub(super) struct HungUp;

/// Serves a connection until either side closes it. Errors end it, which is all a client would see of them anyway.
pub(super) async fn connection(client: TcpStream, desk: Arc<Desk>, credentials: Arc<Credentials>) {
    let _ = client.set_nodelay(true);
    let Ok(tls) = TlsAcceptor::from(Arc::clone(&credentials.server))
        .accept(client)
        .await
    else {
        return;
    };
    let certificates = tls.get_ref().1.peer_certificates();
    let subject = certificates
        .and_then(|chain| chain.first())
        .and_then(Subject::of);
    let towards = if subject.is_some() {
        &credentials.front_proxy
    } else {
        &credentials.anonymous
    };
    let upstream = Mutex::new(Upstream::new(desk.spec.clone(), Arc::clone(towards)));
    let (upstream, subject) = (Arc::new(upstream), Arc::new(subject));
    let service = service_fn(|request| {
        let (desk, upstream, subject) = (
            Arc::clone(&desk),
            Arc::clone(&upstream),
            Arc::clone(&subject),
        );
        async move { handle(request, &desk, &upstream, subject.as_ref().as_ref()).await }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(tls), service)
        .with_upgrades()
        .await;
}

async fn handle(
    mut request: Request<Incoming>,
    desk: &Arc<Desk>,
    upstream: &Mutex<Upstream>,
    subject: Option<&Subject>,
) -> Result<Response<Body>, HungUp> {
    let user = subject
        .map(|s| s.user.clone())
        .or_else(|| claimed_by(&request))
        .unwrap_or_default();
    let seen = faults::Request {
        method: request.method().as_str(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        user: &user,
    };
    let watch = seen.is_watch();
    match desk.decide(&seen) {
        Some(Effect::TooManyRequests { retry_after }) => {
            return Ok(answer::too_many_requests(retry_after));
        }
        Some(Effect::InternalError) => return Ok(answer::internal_error()),
        Some(Effect::Gone) => return Ok(answer::gone(watch)),
        Some(Effect::Hangup) => return Err(HungUp),
        Some(Effect::Delay { milliseconds }) => {
            tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
        }
        None => {}
    }
    speak_for(subject, &mut request);
    let upgrade = hyper::upgrade::on(&mut request);
    let answered = upstream.lock().await.send(request).await;
    let mut response = match answered {
        Ok(response) => response,
        Err(message) => return Ok(answer::unreachable(&message)),
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        tokio::spawn(tunnel(upgrade, hyper::upgrade::on(&mut response)));
    }
    Ok(response.map(|body| {
        if watch {
            Cuttable::new(body, desk).boxed()
        } else {
            body.boxed()
        }
    }))
}

fn claimed_by(request: &Request<Incoming>) -> Option<String> {
    claimed(
        request
            .headers()
            .get(header::AUTHORIZATION)?
            .to_str()
            .ok()?,
    )
}

/// Says who the client is. Whatever it says of itself in these headers is taken out: only this proxy may use them.
fn speak_for(subject: Option<&Subject>, request: &mut Request<Incoming>) {
    let headers = request.headers_mut();
    let claimed: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-remote-"))
        .cloned()
        .collect();
    for name in claimed {
        headers.remove(name);
    }
    let Some(subject) = subject else { return };
    if let Ok(user) = HeaderValue::from_str(&subject.user) {
        headers.insert("x-remote-user", user);
    }
    for group in &subject.groups {
        if let Ok(group) = HeaderValue::from_str(group) {
            headers.append("x-remote-group", group);
        }
    }
}

/// exec, attach and port-forward: after both sides have switched protocols only bytes are left.
async fn tunnel(client: hyper::upgrade::OnUpgrade, server: hyper::upgrade::OnUpgrade) {
    if let (Ok(client), Ok(server)) = tokio::join!(client, server) {
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(server))
            .await;
    }
}

/// The stream of a watch, which ends at once when watches are cut.
struct Cuttable {
    body: Incoming,
    cut: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl Cuttable {
    fn new(body: Incoming, desk: &Arc<Desk>) -> Self {
        let mut orders = desk.orders.clone();
        let before = orders.borrow().watches_cut;
        let cut = Box::pin(async move {
            // The sender lives as long as the process: an error cannot come, and would mean no cut either.
            if orders
                .wait_for(|orders| orders.watches_cut != before)
                .await
                .is_err()
            {
                std::future::pending::<()>().await;
            }
        });
        Self { body, cut }
    }
}

impl HttpBody for Cuttable {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
