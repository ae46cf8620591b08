//! Telling user space of packets.

use aya_ebpf::bindings::{__sk_buff, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::{
    bpf_ktime_get_ns, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit,
    bpf_skb_load_bytes,
};
use aya_ebpf::programs::TcContext;
use datapath_abi::event::{CAPTURE, Event, WAKE};

use crate::maps::{cilium_events, cilium_events_lost, cilium_runtime_config};

/// What an event says beside the packet itself.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Report {
    pub(crate) source: u32,
    pub(crate) destination: u32,
    pub(crate) cookie: u32,
    pub(crate) endpoint: u16,
    pub(crate) kind: u8,
    pub(crate) code: u8,
    pub(crate) direction: u8,
    pub(crate) match_type: u8,
    pub(crate) bits: u8,
}

/// Whether anybody reads.
#[inline(always)]
pub(crate) fn wanted() -> bool {
    // SAFETY: a map value of plain numbers.
    cilium_runtime_config
        .get_ptr(0)
        .is_some_and(|runtime| unsafe { (*runtime).events } != 0)
}

/// Puts one event into the ring.
#[inline(always)]
pub(crate) fn tell(ctx: &TcContext, report: &Report) {
    tell_event(ctx.skb.skb, report);
}

/// Global like `judge_packet`: rare, and long.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn tell_event(skb: *mut __sk_buff, report: *const Report) -> u32 {
    // SAFETY: the caller's memory.
    let Some(report) = (unsafe { report.as_ref() }) else {
        return 0;
    };
    const WAKE_NEVER: u64 = BPF_RB_NO_WAKEUP as u64;
    let ring = (&raw const cilium_events).cast_mut().cast();
    // SAFETY: the record is ours until it is submitted, and every byte of it is written: the ring holds what was there before.
    unsafe {
        let event = bpf_ringbuf_reserve(ring, size_of::<Event>() as u64, 0).cast::<Event>();
        if event.is_null() {
            if let Some(lost) = cilium_events_lost.get_ptr_mut(0) {
                *lost += 1;
            }
            return 0;
        }
        let length = (*skb).len;
        (*event).time = bpf_ktime_get_ns();
        (*event).source = report.source;
        (*event).destination = report.destination;
        (*event).cookie = report.cookie;
        (*event).ifindex = (*skb).ifindex;
        (*event).length = length;
        (*event).endpoint = report.endpoint;
        (*event).kind = report.kind;
        (*event).code = report.code;
        (*event).direction = report.direction;
        (*event).match_type = report.match_type;
        (*event).bits = report.bits;
        (*event).pad = [0; 3];
        (*event).captured = capture(skb, &raw mut (*event).packet, length) as u16;
        let waiting = bpf_ringbuf_query(ring, u64::from(BPF_RB_AVAIL_DATA));
        let wake = if waiting >= WAKE {
            u64::from(BPF_RB_FORCE_WAKEUP)
        } else {
            WAKE_NEVER
        };
        bpf_ringbuf_submit(event.cast(), wake);
    }
    0
}

/// Copies the packet's first bytes. The verifier wants to see that a length is neither 0 nor above the room.
#[inline(always)]
unsafe fn capture(skb: *mut __sk_buff, to: *mut [u8; CAPTURE], length: u32) -> u32 {
    // SAFETY: the caller's record has that many bytes.
    unsafe {
        *to = [0; CAPTURE];
        let bytes = if length < CAPTURE as u32 {
            length
        } else {
            CAPTURE as u32
        };
        let bytes = core::hint::black_box(bytes);
        if bytes == 0 || bytes > CAPTURE as u32 {
            return 0;
        }
        if bpf_skb_load_bytes(skb.cast(), 0, to.cast(), bytes) != 0 {
            return 0;
        }
        bytes
    }
}
