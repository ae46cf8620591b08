//! A cluster's objects in Redis: one hash, with a sealed head and sealed, compressed chunks (`docs/redis-keys.md`).
//!
//! Whoever writes to Redis is not trusted. A chunk opens only for its cluster, epoch, number and revision, and the head says
//! which revisions belong together; so entries can be lost or old as a whole, but not mixed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::BuildHasher,
};

use gloo_api::ClusterName;
use gloo_relay::{
    key::ObjectKey,
    table::{Changes, FrameError, Objects, pack, unpack},
};
use redis::RedisError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    connection::ConnectionError,
    seal::{Seal, SealError},
};

/// Bytes a chunk aims at.
const CHUNK_BYTES: usize = 256 << 10;
const LEAST_CHUNKS: usize = 16;
const MOST_CHUNKS: usize = 4096;
pub(crate) const HEAD: &str = "head";

/// Keys to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Unsaved {
    #[default]
    Nothing,
    Keys(BTreeSet<ObjectKey>),
    All,
}

/// Why the store did not serve.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("Redis is away")]
    Connection {
        #[from]
        source: ConnectionError,
    },
    #[error("Redis does not answer about cluster {cluster}")]
    Redis {
        cluster: ClusterName,
        source: RedisError,
    },
    #[error("who is served of cluster {cluster} is changed by others all the time")]
    Contended { cluster: ClusterName },
    #[error("the snapshot of cluster {cluster} cannot be packed")]
    Pack {
        cluster: ClusterName,
        source: FrameError,
    },
    #[error("what is kept of cluster {cluster} cannot be sealed")]
    Seal {
        cluster: ClusterName,
        source: SealError,
    },
}

impl StoreError {
    /// Redis has no part in it: this cluster's objects cannot be made entries.
    pub fn is_of_the_cluster(&self) -> bool {
        matches!(self, Self::Pack { .. } | Self::Seal { .. })
    }
}

/// Which chunks are a snapshot. `epoch` is random and new with each writer's first word on a cluster; `revision` rises with every
/// write, also from one epoch to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub epoch: u64,
    pub revision: u64,
    chunks: usize,
    /// Revision each chunk was last written in; empty chunks are not there.
    revisions: BTreeMap<usize, u64>,
}

/// A snapshot to be written: entries to set and to delete, and the head they lead to.
#[derive(Debug)]
pub struct Write {
    pub head: Head,
    /// The head that what is left alone belongs to; `None`: everything is written.
    pub(crate) base: Option<Head>,
    pub(crate) set: Vec<(String, Vec<u8>)>,
    pub(crate) delete: Vec<String>,
}

impl Write {
    /// Whether what it left alone is what it builds on. `before` is the entry of the head it found.
    pub(crate) fn is_whole(
        &self,
        seal: &Seal,
        cluster: &ClusterName,
        before: Option<&[u8]>,
    ) -> bool {
        let before = before.and_then(|entry| open_head(seal, cluster, entry));
        before == self.base
    }

    /// What it leaves of a hash.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn apply(&self, hash: &mut HashMap<String, Vec<u8>>) {
        if self.base.is_none() {
            hash.clear();
        }
        hash.retain(|field, _| !self.delete.contains(field));
        hash.extend(self.set.iter().cloned());
    }
}

pub fn redis_key(cluster: &ClusterName) -> String {
    format!("gloonet:v1:snapshot:{cluster}")
}

fn chunk_of(key: &ObjectKey, chunks: usize) -> usize {
    let hash = Sha256::digest(key.to_string().as_bytes());
    let number = hash
        .iter()
        .take(4)
        .fold(0, |n, byte| (n << 8) | usize::from(*byte));
    number % chunks
}

fn place(cluster: &ClusterName, head: &Head, chunk: usize, revision: u64) -> String {
    format!(
        "v1|{cluster}|{}|{}|{chunk}|{revision}",
        head.epoch, head.chunks
    )
}

fn head_place(cluster: &ClusterName) -> String {
    format!("v1|{cluster}|{HEAD}")
}

/// Makes the entries of what is unsaved. Without a head that fits, of everything.
pub fn prepare(
    seal: &Seal,
    cluster: &ClusterName,
    objects: &Objects,
    unsaved: &Unsaved,
    last: Option<&Head>,
    mut random: impl FnMut() -> [u8; 12],
) -> Result<Write, StoreError> {
    let (base, mut head, dirty) = begin(objects, unsaved, last, &mut random);
    head.revision += 1;
    let mut write = Write {
        base,
        head: Head::default(),
        set: Vec::new(),
        delete: Vec::new(),
    };
    let sealing = |source| StoreError::Seal {
        cluster: cluster.clone(),
        source,
    };
    for (chunk, changes) in grouped(objects, &dirty, head.chunks) {
        if changes.is_empty() {
            head.revisions.remove(&chunk);
            write.delete.push(chunk.to_string());
            continue;
        }
        head.revisions.insert(chunk, head.revision);
        let (packed, size) = pack(&changes).map_err(|source| StoreError::Pack {
            cluster: cluster.clone(),
            source,
        })?;
        let mut text = size.to_be_bytes().to_vec();
        text.extend(packed);
        let place = place(cluster, &head, chunk, head.revision);
        let entry = seal.close(&place, text, random()).map_err(sealing)?;
        write.set.push((chunk.to_string(), entry));
    }
    // A map of numbers is always JSON.
    let text = serde_json::to_vec(&head).unwrap_or_default();
    let entry = seal
        .close(&head_place(cluster), text, random())
        .map_err(sealing)?;
    write.set.push((HEAD.to_owned(), entry));
    write.head = head;
    Ok(write)
}

/// What is written to, unless everything is written; under which head, and the chunks.
fn begin(
    objects: &Objects,
    unsaved: &Unsaved,
    last: Option<&Head>,
    mut random: impl FnMut() -> [u8; 12],
) -> (Option<Head>, Head, BTreeSet<usize>) {
    let bytes: usize = objects.values().map(bytes::Bytes::len).sum();
    let wanted = (bytes / CHUNK_BYTES)
        .next_power_of_two()
        .clamp(LEAST_CHUNKS, MOST_CHUNKS);
    if let (Unsaved::Keys(keys), Some(head)) = (unsaved, last)
        // Up to four times too few or many is no reason to write everything.
        && head.chunks * 4 >= wanted
        && wanted * 4 >= head.chunks
    {
        let dirty = keys.iter().map(|key| chunk_of(key, head.chunks)).collect();
        return (Some(head.clone()), head.clone(), dirty);
    }
    let seed = random();
    let epoch = seed
        .iter()
        .take(8)
        .fold(0, |n, byte| (n << 8) | u64::from(*byte));
    let head = Head {
        epoch,
        // It counts on, so that of two epochs it can be said which is the later.
        revision: last.map_or(0, |last| last.revision),
        chunks: wanted,
        ..Head::default()
    };
    (None, head, (0..wanted).collect())
}

fn grouped(objects: &Objects, dirty: &BTreeSet<usize>, chunks: usize) -> BTreeMap<usize, Changes> {
    let mut grouped: BTreeMap<_, _> = dirty.iter().map(|at| (*at, Changes::default())).collect();
    for (key, bytes) in objects {
        if let Some(changes) = grouped.get_mut(&chunk_of(key, chunks)) {
            changes.upserts.push((key.clone(), bytes.clone()));
        }
    }
    grouped
}

/// Reads what a hash holds. `None`: something in it is not ours, or not whole.
pub fn open<S: BuildHasher>(
    seal: &Seal,
    cluster: &ClusterName,
    entries: &HashMap<String, Vec<u8>, S>,
) -> Option<(Head, Objects)> {
    let head = open_head(seal, cluster, entries.get(HEAD)?)?;
    let mut objects = Objects::new();
    for (chunk, revision) in &head.revisions {
        let entry = entries.get(&chunk.to_string())?;
        let text = seal.open(&place(cluster, &head, *chunk, *revision), entry)?;
        let (size, packed) = text.split_first_chunk::<4>()?;
        let changes = unpack(packed, u32::from_be_bytes(*size)).ok()?;
        objects.extend(changes.upserts);
    }
    Some((head, objects))
}

pub(crate) fn open_head(seal: &Seal, cluster: &ClusterName, entry: &[u8]) -> Option<Head> {
    let text = seal.open(&head_place(cluster), entry)?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn west() -> ClusterName {
        "west".parse().unwrap()
    }

    fn key(number: usize) -> ObjectKey {
        ObjectKey::new("v1", "Service", "shop", &format!("s{number}")).unwrap()
    }

    fn objects(count: usize) -> Objects {
        (0..count)
            .map(|n| (key(n), Bytes::from(format!("{{\"n\":{n}}}"))))
            .collect()
    }

    fn nonces() -> impl FnMut() -> [u8; 12] {
        let mut last = 0u8;
        move || {
            last = last.wrapping_add(1);
            [last; 12]
        }
    }

    #[test]
    fn what_was_written_in_parts_is_read_as_a_whole() {
        let (seal, mut random) = (Seal::new(&[3; 32]).unwrap(), nonces());
        let mut hash = HashMap::new();
        let mut all = objects(100);
        let first = prepare(&seal, &west(), &all, &Unsaved::All, None, &mut random).unwrap();
        first.apply(&mut hash);
        assert_eq!(open(&seal, &west(), &hash).unwrap().1, all);
        all.remove(&key(7));
        all.insert(key(8), Bytes::from_static(b"{}"));
        let unsaved = Unsaved::Keys([key(7), key(8)].into());
        let head = Some(&first.head);
        let second = prepare(&seal, &west(), &all, &unsaved, head, &mut random).unwrap();
        assert!(
            second.set.len() <= 3,
            "a change writes its chunks and the head"
        );
        second.apply(&mut hash);
        assert_eq!(open(&seal, &west(), &hash).unwrap().1, all);
    }

    #[test]
    fn a_new_epoch_counts_on_from_the_one_before() {
        let (seal, mut random) = (Seal::new(&[3; 32]).unwrap(), nonces());
        let before = Head {
            epoch: 1,
            revision: 5,
            ..Head::default()
        };
        let (all, last) = (objects(3), Some(&before));
        let write = prepare(&seal, &west(), &all, &Unsaved::All, last, &mut random).unwrap();
        assert_ne!(write.head.epoch, before.epoch);
        assert_eq!(write.head.revision, 6);
    }

    #[test]
    fn nothing_forged_moved_mixed_or_of_another_product_is_read() {
        let (seal, mut random) = (Seal::new(&[3; 32]).unwrap(), nonces());
        let mut hash = HashMap::new();
        let write = prepare(
            &seal,
            &west(),
            &objects(50),
            &Unsaved::All,
            None,
            &mut random,
        )
        .unwrap();
        write.apply(&mut hash);
        assert!(open(&seal, &"east".parse().unwrap(), &hash).is_none());
        assert!(open(&Seal::new(&[4; 32]).unwrap(), &west(), &hash).is_none());
        for field in hash.keys() {
            let mut forged = hash.clone();
            forged.insert(field.clone(), b"{\"version\": 1}".to_vec());
            assert!(open(&seal, &west(), &forged).is_none(), "{field}");
            forged.remove(field);
            assert!(open(&seal, &west(), &forged).is_none(), "{field}");
        }
        let mut changed = objects(50);
        changed.insert(key(1), Bytes::from_static(b"{}"));
        let unsaved = Unsaved::Keys([key(1)].into());
        let later = prepare(
            &seal,
            &west(),
            &changed,
            &unsaved,
            Some(&write.head),
            &mut random,
        );
        let mut mixed = hash.clone();
        let head = later.unwrap().set.pop().unwrap();
        mixed.insert(head.0, head.1);
        assert!(open(&seal, &west(), &mixed).is_none());
    }
}
