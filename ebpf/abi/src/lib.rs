//! Map keys, values and constants shared by the kernel programs and user space.
//!
//! Everything is `repr(C)` without implicit padding, so that a key made on one side is byte for byte the key made on the other.
//! Addresses have 16 bytes (IPv4 mapped, RFC 4291 2.5.5.2), so that IPv6 will not change a layout.
//! Addresses and ports are in network byte order unless a field says otherwise.
#![no_std]
#![expect(
    clippy::inline_always,
    reason = "the kernel programs call these, and BPF functions must not become calls"
)]

pub mod address;
pub mod endpoint;
pub mod event;
pub mod flow;
pub mod ip;
pub mod maglev;
pub mod metric;
pub mod nat;
pub mod policy;
pub mod reason;
pub mod sctp;
pub mod service;

/// Version of the maps that user space fills: endpoints, addresses, nodes, services, policies, and what the programs tell. It is
/// part of the pin path, so maps of another version are never taken for ours. Raise it with any change of a key, a value or a
/// map's kind: the new maps are filled beside the old ones before programs that read them replace the running ones.
pub const FORMAT: u32 = 6;

/// Version of the maps that only traffic fills: connections, translations, affinity. Nobody can fill those anew, so a change of a
/// layout loses what runs unless it brings the entries along.
pub const FLOWS: u32 = 1;

/// Flag of a hash map that takes memory only for what is in it (`BPF_F_NO_PREALLOC`).
pub const NO_PREALLOC: usize = 1;

/// Asserts a type's size, and tells user space that the type is plain bytes.
macro_rules! plain {
    ($($type:ty = $size:literal),* $(,)?) => {
        $(
            const _: () = assert!(size_of::<$type>() == $size);
            // SAFETY: repr(C), every bit pattern is valid, and the size above is the sum of the fields: no padding.
            #[cfg(feature = "user")]
            #[expect(unsafe_code, reason = "aya copies the type to and from the kernel byte by byte")]
            unsafe impl aya::Pod for $type {}
        )*
    };
}
pub(crate) use plain;
