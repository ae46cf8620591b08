//! The requests the plugin makes, by name. Every one has a limit in time.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::Instant;

use crate::client::{Answer, Client, ClientError};
use crate::environment::Pod;
use crate::error::Failure;
use crate::model::{
    DaemonConfiguration, Endpoint, EndpointChangeRequest, EndpointHealth, IpamResponse,
    StatusResponse, attachment_id,
};

/// Reading and small changes.
const QUICK: Duration = Duration::from_secs(10);
/// An endpoint's datapath. Far above what it takes, far below the kubelet's own limit of minutes.
const PROGRAMMING: Duration = Duration::from_mins(1);
/// STATUS is polled every few seconds and must not pile up.
const STATUS: Duration = Duration::from_secs(3);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Agent {
    client: Client,
}

impl Agent {
    /// Tries until `patience` is over: an agent that restarts is back within seconds.
    ///
    /// # Errors
    /// Code 11.
    pub async fn connect(socket: &Path, patience: Duration) -> Result<Self, Failure> {
        let end = Instant::now() + patience;
        loop {
            match Client::connect(socket, STATUS).await {
                Ok(client) => return Ok(Self { client }),
                Err(error) if Instant::now() >= end => return Err(Failure::AgentAway(error)),
                Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
            }
        }
    }

    pub async fn configuration(&mut self) -> Result<DaemonConfiguration, Failure> {
        let answer = self.get::<Option<_>>("/config", QUICK).await?;
        required(answer, "GET /config")
    }

    /// An address that goes back by itself unless an endpoint confirms it.
    pub async fn lease_address(&mut self, pod: Option<&Pod>) -> Result<IpamResponse, Failure> {
        let owner = pod.map_or_else(String::new, |pod| format!("{}/{}", pod.namespace, pod.name));
        let path = format!("/ipam?family=ipv4&expiration=true&owner={owner}");
        let answer = self
            .client
            .call::<Option<_>>(Method::POST, &path, None::<&()>, QUICK)
            .await
            .map_err(Failure::AgentAway)?;
        required(answer, "POST /ipam")
    }

    pub async fn release_address(&mut self, address: Ipv4Addr) -> Result<(), Failure> {
        self.delete(&format!("/ipam/{address}"), "DELETE /ipam")
            .await
    }

    /// Returns when the datapath carries the endpoint's traffic.
    pub async fn put_endpoint(&mut self, request: &EndpointChangeRequest) -> Result<(), Failure> {
        let id = attachment_id(&request.container_id, &request.container_interface_name);
        let answer = self
            .client
            .call::<Option<serde_json::Value>>(
                Method::PUT,
                &format!("/endpoint/{id}"),
                Some(request),
                PROGRAMMING,
            )
            .await
            .map_err(Failure::AgentAway)?;
        done(answer, "PUT /endpoint").map(drop)
    }

    /// An endpoint that is not there is deleted.
    pub async fn delete_endpoint(
        &mut self,
        container_id: &str,
        ifname: &str,
    ) -> Result<(), Failure> {
        let id = attachment_id(container_id, ifname);
        self.delete(&format!("/endpoint/{id}"), "DELETE /endpoint")
            .await
    }

    pub async fn endpoints(&mut self) -> Result<Vec<Endpoint>, Failure> {
        done(self.get("/endpoint", QUICK).await?, "GET /endpoint")
    }

    /// `None`: the agent does not know the endpoint.
    pub async fn endpoint_health(
        &mut self,
        container_id: &str,
        ifname: &str,
    ) -> Result<Option<EndpointHealth>, Failure> {
        let id = attachment_id(container_id, ifname);
        match self
            .get::<Option<_>>(&format!("/endpoint/{id}/healthz"), QUICK)
            .await?
        {
            Answer::Refused { status, .. } if status == StatusCode::NOT_FOUND => Ok(None),
            answer => done(answer, "GET /endpoint/healthz"),
        }
    }

    pub async fn status(&mut self) -> Result<StatusResponse, Failure> {
        let answer = self.get::<Option<_>>("/healthz", STATUS).await?;
        required(answer, "GET /healthz")
    }

    async fn get<T: serde::de::DeserializeOwned + Default>(
        &mut self,
        path: &str,
        timeout: Duration,
    ) -> Result<Answer<T>, Failure> {
        self.client
            .call(Method::GET, path, None::<&()>, timeout)
            .await
            .map_err(Failure::AgentAway)
    }

    async fn delete(&mut self, path: &str, request: &'static str) -> Result<(), Failure> {
        let answer = self
            .client
            .call::<Option<serde_json::Value>>(Method::DELETE, path, None::<&()>, QUICK)
            .await
            .map_err(Failure::AgentAway)?;
        match answer {
            Answer::Refused { status, .. } if status == StatusCode::NOT_FOUND => Ok(()),
            answer => done(answer, request).map(drop),
        }
    }
}

fn done<T>(answer: Answer<T>, request: &'static str) -> Result<T, Failure> {
    match answer {
        Answer::Done(value) => Ok(value),
        // The agent is there but not yet able: the runtime should call again.
        Answer::Refused { status, message } if status == StatusCode::SERVICE_UNAVAILABLE => {
            Err(Failure::AgentAway(ClientError::Body(message)))
        }
        Answer::Refused { message, .. } => Err(Failure::Refused { request, message }),
    }
}

fn required<T>(answer: Answer<Option<T>>, request: &'static str) -> Result<T, Failure> {
    done(answer, request)?.ok_or_else(|| Failure::Refused {
        request,
        message: "the answer was empty".to_owned(),
    })
}
