//! Map keys, values and constants shared by the kernel programs and user space.
//!
//! Everything is `repr(C)` without implicit padding, so that a key made on one side is byte for byte the key made on the other.
//! Addresses have 16 bytes (IPv4 mapped, RFC 4291 2.5.5.2); addresses and ports are in network byte order.
#![no_std]

pub mod reason;
