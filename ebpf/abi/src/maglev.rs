//! Consistent choice of a backend: tables of slots, and which slot a connection has (Maglev, NSDI 2016, section 3.4).
//!
//! Every node must come to the same result by itself: whoever changes a hash or what goes into it raises [`crate::FORMAT`], and
//! nodes of both releases choose differently until the last one is rolled.

use crate::plain;

/// A secret of the cluster. Without it nobody foresees which backend a connection meets, or which backends collide.
pub type Key = [u64; 2];

/// Slots in one entry of `cilium_lb4_maglev`. With key and header the entry is 1024 bytes in the kernel's allocator, to the byte.
pub const SLOTS_PER_CHUNK: usize = 480;

/// Entries of `cilium_lb4_maglev`: 64 MiB, charged to the agent, when all are taken.
pub const MAX_CHUNKS: usize = 64 * 1024;

/// Value of `cilium_lb4_maglev`, by generation and number of the chunk.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// For each slot the index of a backend in `cilium_lb4_backends`.
    pub backends: [u16; SLOTS_PER_CHUNK],
}

plain!(Chunk = 960);

/// Hash of a backend. Address and port in network byte order.
#[inline(always)]
pub const fn of_backend(key: Key, address: u32, port: u16) -> u64 {
    let block = u32::from_be(address) as u64 | (u16::from_be(port) as u64) << 32;
    hash(key, [block, 8 << LENGTH])
}

/// Hash of a connection. Addresses and ports in network byte order. The address it was sent to is not in it: that is the node's own
/// at a node port, and a client shall meet the same backend whichever node it asks.
#[inline(always)]
pub const fn of_connection(key: Key, source: u32, ports: [u16; 2], protocol: u8) -> u64 {
    let [from, to] = ports;
    let block = u32::from_be(source) as u64
        | (u16::from_be(from) as u64) << 32
        | (u16::from_be(to) as u64) << 48;
    hash(key, [block, protocol as u64 | 9 << LENGTH])
}

/// Where the last block has the number of bytes hashed.
const LENGTH: u32 = 56;

/// SipHash-2-4 (Aumasson and Bernstein, 2012) of 8 to 15 bytes. A hash without a key,
/// or one that is only mixed with a key, would let clients find by computation what collides. No crate: hashers that take bytes
/// piece by piece are more than the kernel's verifier follows.
#[inline(always)]
const fn hash(key: Key, blocks: [u64; 2]) -> u64 {
    let mut v = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    v[3] ^= blocks[0];
    v = round(round(v));
    v[0] ^= blocks[0];
    v[3] ^= blocks[1];
    v = round(round(v));
    v[0] ^= blocks[1];
    v[2] ^= 0xff;
    v = round(round(round(round(v))));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

#[inline(always)]
const fn round(mut v: [u64; 4]) -> [u64; 4] {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_siphash_as_its_authors_print_it() {
        let bytes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let word = |from: usize| u64::from_le_bytes(core::array::from_fn(|n| bytes[from + n]));
        let last = word(8) & ((1 << LENGTH) - 1) | 15 << LENGTH;
        let key = [word(0), word(8)];
        assert_eq!(hash(key, [word(0), last]), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn everything_that_is_hashed_counts_but_on_which_side_bytes_are_kept_does_not() {
        let key = [1, 2];
        let address = u32::from_ne_bytes([192, 0, 2, 7]);
        let port = |number: u16| number.to_be();
        let of = |source, from, to, protocol| {
            of_connection(key, source, [port(from), port(to)], protocol)
        };
        let all = [
            of(address, 1, 2, 6),
            of(!address, 1, 2, 6),
            of(address, 3, 2, 6),
            of(address, 1, 3, 6),
            of(address, 1, 2, 17),
            of_connection([1, 3], address, [port(1), port(2)], 6),
            of_backend(key, address, port(1)),
            of_backend(key, address, port(2)),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(!all[..n].contains(one), "{n}: {all:x?}");
        }
        let block = 0xc000_0207 | 1 << 32 | 2 << 48;
        assert_eq!(all[0], hash(key, [block, 6 | 9 << LENGTH]));
    }
}
