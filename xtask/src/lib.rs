//! Project tasks: one file per task, started through `./dev`.

pub mod arch;
pub mod cli;
pub mod home;
pub mod image;
pub mod lock;
pub mod nix;
pub mod process;
pub mod programs;
pub mod progress;
