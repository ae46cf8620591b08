//! Loads, pins and attaches the kernel programs, and speaks netlink.
