//! The endpoints of the node: table, addresses, datapath and state on disk, changed together.
//!
//! Order matters and is the same everywhere: the datapath knows a pod before ADD returns, and has forgotten it before its
//! address can be given again.

mod error;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use cilium_api::{EndpointState, NumericIdentity};
use datapath::Datapath;

pub use self::error::EndpointError;
use self::writer::Writer;
use crate::bell::Bells;
use crate::endpoint::{AttachmentKey, Endpoint, PodRef, may_follow, settled};
use crate::identity::Resolved;
use crate::ipam::{Pool, PoolError};
use crate::store::Store;

/// An endpoint as the CNI plugin made it.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    pub attachment: AttachmentKey,
    pub pod: Option<PodRef>,
    pub ip: Ipv4Addr,
    pub lease: String,
    pub mac: datapath::Mac,
    pub host_mac: datapath::Mac,
    pub ifindex: u32,
    pub interface: String,
}

/// What judges a pod: the datapath has the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub identity: Resolved,
    /// Number of the policy.
    pub policy: u32,
}

#[derive(Debug)]
struct Table {
    pool: Pool,
    endpoints: BTreeMap<u16, Endpoint>,
    /// Those whose identity here is not known to be everywhere: writing it has failed.
    unwritten: BTreeSet<u16>,
    last_id: u16,
    leases: u64,
}

pub struct Endpoints {
    table: Mutex<Table>,
    /// Shared by deletions. Who writes an endpoint again takes it alone: it would undo one that comes in between, and the address
    /// may be another pod's by then.
    deleting: RwLock<()>,
    writer: Writer,
    changed: Bells,
    /// Makes lease tokens of this process differ from an earlier one's.
    nonce: u64,
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoints")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl Endpoints {
    /// `changed` rings after every change; `nonce` differs between processes.
    pub fn new(
        pool: Pool,
        datapath: Arc<dyn Datapath>,
        store: Store,
        changed: Bells,
        nonce: u64,
    ) -> Self {
        let table = Table {
            pool,
            endpoints: BTreeMap::new(),
            unwritten: BTreeSet::new(),
            last_id: 0,
            leases: 0,
        };
        Self {
            table: Mutex::new(table),
            deleting: RwLock::default(),
            writer: Writer { datapath, store },
            changed,
            nonce,
        }
    }

    /// An address with the token that confirms it.
    pub fn lease(&self, owner: &str, now: Instant) -> Result<(Ipv4Addr, String), PoolError> {
        let mut table = self.lock();
        table.leases += 1;
        let token = format!("{:016x}-{:08x}", self.nonce, table.leases);
        let address = table.pool.lease(owner, &token, now)?;
        Ok((address, token))
    }

    pub fn release_lease(&self, address: Ipv4Addr) -> Result<(), PoolError> {
        self.lock().pool.release_lease(address)
    }

    /// Blocks until the datapath carries the endpoint. After an error nothing of it is left but the caller's lease.
    pub fn put(
        &self,
        new: NewEndpoint,
        admitted: Admitted,
        now: Instant,
    ) -> Result<Endpoint, EndpointError> {
        let endpoint = self.begin(new, admitted, now)?;
        let programmed = self
            .writer
            .program(&endpoint)
            .and_then(|()| self.settle(&endpoint));
        if programmed.is_err() {
            let _ = self.writer.unprogram(&endpoint);
            self.forget(&endpoint);
        }
        self.changed.ring();
        programmed
    }

    /// `false`: there is no such endpoint. After an error it is still there, for another try.
    pub fn delete(&self, key: &AttachmentKey) -> Result<bool, EndpointError> {
        let _shared = (self.deleting.read()).unwrap_or_else(PoisonError::into_inner);
        let Some(endpoint) = self.disconnect(key) else {
            return Ok(false);
        };
        self.writer.unprogram(&endpoint)?;
        self.forget(&endpoint);
        self.changed.ring();
        Ok(true)
    }

    /// Gives an endpoint the identity and the policy its pod has now; whether anything changed. After an error it is not known
    /// to be written, and the next call writes it, too.
    pub fn set_identity(&self, id: u16, admitted: &Admitted) -> Result<bool, EndpointError> {
        let _alone = (self.deleting.write()).unwrap_or_else(PoisonError::into_inner);
        let Some(changed) = self.change_identity(id, admitted) else {
            return Ok(false);
        };
        self.writer.program(&changed)?;
        self.writer.keep(&changed)?;
        self.lock().unwritten.remove(&id);
        self.changed.ring();
        Ok(true)
    }

    /// Gives an endpoint the name of its pod again, which its state has lost.
    pub fn name(&self, id: u16, pod: PodRef) -> Result<(), EndpointError> {
        let _alone = (self.deleting.write()).unwrap_or_else(PoisonError::into_inner);
        let named = {
            let mut table = self.lock();
            let Table {
                endpoints, pool, ..
            } = &mut *table;
            let Some(endpoint) = endpoints.get_mut(&id).filter(|known| known.pod.is_none()) else {
                return Ok(());
            };
            let before = endpoint.owner();
            endpoint.pod = Some(pod);
            // The address is the pod's from here on; nobody is given it in between.
            if pool.release(endpoint.ip, &before) {
                pool.restore(endpoint.ip, &endpoint.owner())?;
            }
            endpoint.clone()
        };
        self.writer.keep(&named)?;
        self.changed.ring();
        Ok(())
    }

    pub fn list(&self) -> Vec<Endpoint> {
        self.lock().endpoints.values().cloned().collect()
    }

    pub fn find(&self, key: &AttachmentKey) -> Option<Endpoint> {
        self.lock()
            .endpoints
            .values()
            .find(|e| &e.attachment == key)
            .cloned()
    }

    pub fn get(&self, id: u16) -> Option<Endpoint> {
        self.lock().endpoints.get(&id).cloned()
    }

    pub fn allocations(&self) -> BTreeMap<Ipv4Addr, String> {
        self.lock().pool.allocations()
    }

    pub fn capacity(&self) -> usize {
        self.lock().pool.capacity()
    }

    /// Takes in an endpoint of an earlier process and writes its datapath anew, which changes nothing that is right.
    pub(crate) fn adopt(&self, mut endpoint: Endpoint) -> Result<(), EndpointError> {
        {
            let mut table = self.lock();
            table.pool.restore(endpoint.ip, &endpoint.owner())?;
            endpoint.state = EndpointState::Restoring;
            table.last_id = table.last_id.max(endpoint.id);
            table.endpoints.insert(endpoint.id, endpoint.clone());
        }
        let adopted = self
            .writer
            .program(&endpoint)
            .and_then(|()| self.settle(&endpoint));
        if adopted.is_err() {
            // What is written of it stays, for the next start; number and address stay its pod's, or both would claim them then.
            let _ = self.writer.take_back(&endpoint);
            if let Some(known) = self.lock().endpoints.get_mut(&endpoint.id) {
                known.state = EndpointState::Invalid;
            }
        }
        adopted.map(drop)
    }

    /// Removes the state of an endpoint that was never taken in. A file that stays is found dead again at the next start.
    pub(crate) fn discard_state(&self, id: u16) {
        let _ = self.writer.store.remove_endpoint(id);
    }

    fn begin(
        &self,
        new: NewEndpoint,
        admitted: Admitted,
        now: Instant,
    ) -> Result<Endpoint, EndpointError> {
        let mut table = self.lock();
        if table
            .endpoints
            .values()
            .any(|e| e.attachment == new.attachment)
        {
            return Err(EndpointError::Exists(new.attachment));
        }
        let id = free_id(&table, &self.writer.store).ok_or(EndpointError::NoNumber)?;
        let endpoint = Endpoint {
            id,
            attachment: new.attachment,
            pod: new.pod,
            ip: new.ip,
            mac: new.mac,
            host_mac: new.host_mac,
            ifindex: new.ifindex,
            interface: new.interface,
            identity: admitted.identity.number,
            labels: admitted.identity.labels,
            policy: admitted.policy,
            state: EndpointState::Regenerating,
        };
        table
            .pool
            .confirm(new.ip, &new.lease, &endpoint.owner(), now)?;
        table.last_id = id;
        table.endpoints.insert(id, endpoint.clone());
        Ok(endpoint)
    }

    /// `None`: there is nothing to write.
    fn change_identity(&self, id: u16, admitted: &Admitted) -> Option<Endpoint> {
        let mut table = self.lock();
        let unwritten = table.unwritten.contains(&id);
        let endpoint = table.endpoints.get_mut(&id)?;
        let identity = &admitted.identity;
        let settled_now = matches!(
            endpoint.state,
            EndpointState::Ready | EndpointState::WaitingForIdentity
        );
        let same = !unwritten
            && endpoint.identity == identity.number
            && endpoint.labels == identity.labels
            && endpoint.policy == admitted.policy;
        if !settled_now || same {
            return None;
        }
        endpoint.identity = identity.number;
        endpoint.labels.clone_from(&identity.labels);
        endpoint.policy = admitted.policy;
        endpoint.state = settled(identity.number);
        let changed = endpoint.clone();
        table.unwritten.insert(id);
        Some(changed)
    }

    fn settle(&self, endpoint: &Endpoint) -> Result<Endpoint, EndpointError> {
        let settled = {
            let mut table = self.lock();
            let Some(known) = table.endpoints.get_mut(&endpoint.id) else {
                return Err(EndpointError::Deleted(endpoint.attachment.clone()));
            };
            if !may_follow(known.state, EndpointState::Ready) {
                return Err(EndpointError::Deleted(endpoint.attachment.clone()));
            }
            known.state = settled(known.identity);
            known.clone()
        };
        self.writer.keep(&settled)?;
        Ok(settled)
    }

    fn disconnect(&self, key: &AttachmentKey) -> Option<Endpoint> {
        let mut table = self.lock();
        let endpoint = table
            .endpoints
            .values_mut()
            .find(|e| &e.attachment == key)?;
        endpoint.state = EndpointState::Disconnecting;
        Some(endpoint.clone())
    }

    fn forget(&self, endpoint: &Endpoint) {
        let mut table = self.lock();
        table.endpoints.remove(&endpoint.id);
        table.unwritten.remove(&endpoint.id);
        table.pool.release(endpoint.ip, &endpoint.owner());
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Numbers go round like addresses do; 0 means "no endpoint" to the datapath. One that a later release gave is not free: nobody here
/// knows whether its pod still runs.
fn free_id(table: &Table, store: &Store) -> Option<u16> {
    let after = table.last_id.checked_add(1).unwrap_or(1);
    (after..=u16::MAX)
        .chain(1..after)
        .find(|id| !table.endpoints.contains_key(id) && !store.is_of_later_release(*id))
}

/// The identities of the node's pods, for the table of addresses. One that could not be taken in is in no datapath.
pub fn local_identities(endpoints: &[Endpoint]) -> Vec<(Ipv4Addr, NumericIdentity)> {
    endpoints
        .iter()
        .filter(|endpoint| {
            !matches!(
                endpoint.state,
                EndpointState::Disconnecting | EndpointState::Invalid
            )
        })
        .map(|endpoint| (endpoint.ip, endpoint.identity))
        .collect()
}

#[cfg(test)]
mod tests;
