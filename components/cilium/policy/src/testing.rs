//! Small clusters with policies and packets, and two judges of a packet that share no code with the resolver: the meaning of
//! the policies, and the kernel's lookup over the maps.

pub mod choose;
pub mod crowd;
pub mod generate;
pub mod kernel;
pub mod many;
pub mod policies;
pub mod reference;
pub mod scene;

pub use choose::Choose;
pub use scene::{Packet, Pod, Scene};
