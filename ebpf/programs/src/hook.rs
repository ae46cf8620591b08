//! Entry points: one file per hook.

mod connect4;
mod connect6;
mod from_container;
mod from_host;
mod from_netdev;
mod from_overlay;
mod getpeername4;
mod getpeername6;
mod recvmsg4;
mod recvmsg6;
mod sendmsg4;
mod to_netdev;
