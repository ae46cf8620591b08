//! Project tasks: one file per task, started through `./dev`.

pub mod arch;
pub mod bench;
pub mod bundle;
pub mod cilium;
pub mod cli;
pub mod conformance;
pub mod deny;
pub mod digest;
pub mod down;
pub mod ebpf;
pub mod gate;
pub mod generate;
pub mod generated;
pub mod home;
pub mod hubble;
pub mod image;
pub mod lab;
pub mod lock;
pub mod logs;
pub mod nix;
pub mod process;
pub mod programs;
pub mod progress;
pub mod up;
