//! What a hook does to a packet or a socket, step by step.

pub(crate) mod admit;
pub(crate) mod arp;
pub(crate) mod arrival;
pub(crate) mod deliver;
pub(crate) mod direct;
pub(crate) mod encapsulate;
pub(crate) mod event;
pub(crate) mod flow;
pub(crate) mod fragment;
pub(crate) mod icmp_error;
pub(crate) mod listener;
pub(crate) mod masquerade;
pub(crate) mod outside;
pub(crate) mod packet;
pub(crate) mod party;
pub(crate) mod policy;
pub(crate) mod refuse;
pub(crate) mod related;
pub(crate) mod remote;
pub(crate) mod rewrite;
pub(crate) mod scratch;
pub(crate) mod select;
pub(crate) mod service;
pub(crate) mod socket;
pub(crate) mod verdict;
