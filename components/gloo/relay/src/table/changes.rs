//! Changes, and their form on the wire.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use prost::Message;

use crate::{
    key::{KeyError, ObjectKey},
    proto,
};

/// Uncompressed bytes a part aims at.
pub const PART_BYTES: usize = 1 << 20;
/// Uncompressed bytes no part may have.
pub const HARD_BYTES: usize = 4 << 20;

/// What changes together. A key is in one of the two, once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub upserts: Vec<(ObjectKey, Bytes)>,
    pub deletes: Vec<ObjectKey>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.deletes.is_empty()
    }

    pub fn len(&self) -> usize {
        self.upserts.len() + self.deletes.len()
    }
}

/// Why the bytes of a frame are no changes.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame says it has {size} bytes; {HARD_BYTES} are allowed")]
    Large { size: u64 },
    #[error("a frame cannot be decompressed")]
    Compression { source: std::io::Error },
    #[error("a frame says it has {said} bytes and has {found} or more")]
    Size { said: usize, found: usize },
    #[error("a frame cannot be decoded")]
    Decode { source: prost::DecodeError },
    #[error("a frame has a key that is none")]
    Key { source: KeyError },
}

/// Changes as a frame carries them: compressed, and their size before.
///
/// Fast compression: the JSON of Kubernetes shrinks to a tenth at any level, and a server of a hundred clusters pays for it.
pub fn pack(changes: &Changes) -> Result<(Vec<u8>, u32), FrameError> {
    let message = proto::Changes {
        upserts: changes
            .upserts
            .iter()
            .map(|(key, json)| proto::Object {
                key: Some(key.into()),
                json: json.to_vec(),
            })
            .collect(),
        deletes: changes.deletes.iter().map(Into::into).collect(),
    }
    .encode_to_vec();
    let size = u32::try_from(message.len())
        .ok()
        .filter(|size| *size as usize <= HARD_BYTES)
        .ok_or(FrameError::Large {
            size: message.len() as u64,
        })?;
    let packed = |source| FrameError::Compression { source };
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&message).map_err(packed)?;
    Ok((encoder.finish().map_err(packed)?, size))
}

/// The reverse of [`pack`], for bytes from anybody. Never makes more of them than they say, nor more than [`HARD_BYTES`].
pub fn unpack(compressed: &[u8], size: u32) -> Result<Changes, FrameError> {
    let said = size as usize;
    if said > HARD_BYTES {
        return Err(FrameError::Large { size: size.into() });
    }
    let mut message = Vec::new();
    ZlibDecoder::new(compressed)
        .take(u64::from(size) + 1)
        .read_to_end(&mut message)
        .map_err(|source| FrameError::Compression { source })?;
    if message.len() != said {
        let found = message.len();
        return Err(FrameError::Size { said, found });
    }
    let message = proto::Changes::decode(message.as_slice())
        .map_err(|source| FrameError::Decode { source })?;
    changes(message).map_err(|source| FrameError::Key { source })
}

fn changes(message: proto::Changes) -> Result<Changes, KeyError> {
    let upserts = message.upserts.into_iter().map(|object| {
        let key = object.key.ok_or(KeyError::Missing)?.try_into()?;
        // Boxed: a buffer with room to spare would keep that room as long as the object lives.
        Ok((key, Bytes::from(object.json.into_boxed_slice())))
    });
    Ok(Changes {
        upserts: upserts.collect::<Result<_, _>>()?,
        deletes: message
            .deletes
            .into_iter()
            .map(TryInto::try_into)
            .collect::<Result<_, _>>()?,
    })
}
