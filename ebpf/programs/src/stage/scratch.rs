//! Where a judgement is worked out: memory of the processor, not of the stack.
//!
//! The verifier follows every value on the stack through every branch, and gives up on a judgement kept there; of this memory it
//! only knows that it holds numbers. Where the compiler would carry a value from its write to its read all the same, both are
//! volatile.

use datapath_abi::flow::{Key, State};
use datapath_abi::reason;

use super::packet::{Packet, Part};
use super::party::{Party, Sender};
use crate::maps::cilium_scratch;

/// A packet, its connection, and what was decided.
#[repr(C)]
pub(crate) struct Scratch {
    pub(crate) now: u64,
    pub(crate) key: Key,
    /// What a new connection begins with.
    pub(crate) state: State,
    pub(crate) source: u32,
    pub(crate) destination: u32,
    pub(crate) length: u32,
    pub(crate) l4: u32,
    pub(crate) epoch: u32,
    pub(crate) told: u32,
    /// Who sends, as the hook knows it.
    pub(crate) sender: Sender,
    /// Originator and responder.
    pub(crate) party: [Party; 2],
    /// Of the responder, or the type of the ICMP message that began it; network byte order.
    pub(crate) port: u16,
    pub(crate) protocol: u8,
    pub(crate) icmp_type: u8,
    pub(crate) flags: u8,
    /// 1: the packet opens a connection.
    pub(crate) opens: u8,
    /// Which end of the key is the source.
    pub(crate) place: u8,
    /// Where the packet goes.
    pub(crate) point: u8,
    /// 1: a later fragment.
    pub(crate) later: u8,
    /// 1: nobody has judged the connection yet.
    pub(crate) new: u8,
    /// 1: the packet comes from the responder.
    pub(crate) reply: u8,
    /// 0: allowed.
    pub(crate) reason: u8,
    pub(crate) match_type: u8,
    pub(crate) direction: u8,
    /// One more than the verdict of the strongest entry found; 0: none.
    pub(crate) rank: u8,
    pub(crate) endpoint: u16,
    pub(crate) cookie: u32,
}

impl Scratch {
    /// This processor's; the programs are not interrupted by each other.
    #[inline(always)]
    pub(crate) fn get() -> Result<&'static mut Self, u8> {
        // SAFETY: as the comment says; plain numbers of any value.
        cilium_scratch
            .get_ptr_mut(0)
            .map(|scratch| unsafe { &mut *scratch })
            .ok_or(reason::NO_POLICY)
    }

    #[inline(always)]
    pub(crate) fn take(&mut self, packet: &Packet) {
        self.source = packet.source;
        self.destination = packet.destination;
        self.l4 = packet.l4 as u32;
        self.protocol = packet.protocol;
        self.icmp_type = packet.icmp_type;
        self.flags = packet.flags;
        self.opens = u8::from(packet.opens());
        self.later = u8::from(packet.part == Part::Later);
    }
}

/// Writes what the verifier shall forget.
#[inline(always)]
pub(crate) fn put<T>(place: &mut T, value: T) {
    // SAFETY: a reference.
    unsafe { core::ptr::write_volatile(place, value) }
}

/// Reads it as if somebody else had written it.
#[inline(always)]
pub(crate) fn look<T: Copy>(place: &T) -> T {
    // SAFETY: a reference.
    unsafe { core::ptr::read_volatile(place) }
}
