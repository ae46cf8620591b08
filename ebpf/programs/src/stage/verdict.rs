//! How a packet ends, and counting it.

use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC};
use aya_ebpf::programs::TcContext;
use datapath_abi::{metric, reason};

use crate::maps::cilium_metrics;

/// What the kernel shall do with the packet, or why it is dropped.
pub(crate) type Verdict = Result<i32, u8>;

/// To the next program of the hook if there is one, else on into the stack.
pub(crate) const PASS: i32 = TC_ACT_UNSPEC;

/// Counts the packet and turns the verdict into the kernel's number.
#[inline(always)]
pub(crate) fn conclude(ctx: &TcContext, direction: u8, verdict: Verdict) -> i32 {
    match verdict {
        Ok(action) => {
            count(ctx, reason::FORWARDED, direction);
            action
        }
        Err(reason) => {
            count(ctx, reason, direction);
            TC_ACT_SHOT as i32
        }
    }
}

#[inline(always)]
fn count(ctx: &TcContext, reason: u8, direction: u8) {
    if let Some(counter) = cilium_metrics.get_ptr_mut(metric::slot(reason, direction)) {
        // SAFETY: the slot belongs to this processor, and the program is not interrupted by itself.
        unsafe {
            (*counter).packets += 1;
            (*counter).bytes += u64::from(ctx.len());
        }
    }
}
