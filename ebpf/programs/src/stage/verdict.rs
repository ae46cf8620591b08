//! How a packet ends, and counting it.

use aya_ebpf::bindings::{__sk_buff, TC_ACT_SHOT, TC_ACT_UNSPEC};
use aya_ebpf::programs::TcContext;
use datapath_abi::event::DROP;
use datapath_abi::{metric, reason};

use super::event::{self, Report};
use crate::maps::{cilium_lxc_source, cilium_metrics};

/// What the kernel shall do with the packet, or why it is dropped. Both of one size: the compiler reads the one that is not there
/// as well, and the verifier allows that only where it lies in the other.
pub(crate) type Verdict = Result<i8, u8>;

/// To the next program of the hook if there is one, else on into the stack.
pub(crate) const PASS: i8 = TC_ACT_UNSPEC as i8;

/// Counts the packet and turns the verdict into the kernel's number.
#[inline(always)]
pub(crate) fn conclude(ctx: &TcContext, direction: u8, verdict: Verdict) -> i32 {
    match verdict {
        Ok(action) => {
            count(ctx, reason::FORWARDED, direction);
            i32::from(action)
        }
        Err(reason) => {
            count(ctx, reason, direction);
            if !by_policy(reason) && event::wanted() {
                tell_drop(ctx.skb.skb, u32::from(reason), u32::from(direction));
            }
            if reason == reason::FRAGMENTATION_NEEDED {
                // The stack comes to the same end, and tells the sender what fits.
                return i32::from(PASS);
            }
            TC_ACT_SHOT as i32
        }
    }
}

/// Policies tell of their drops themselves: they know who was judged, and by what.
#[inline(always)]
fn by_policy(reason: u8) -> bool {
    matches!(
        reason,
        reason::POLICY_DENIED | reason::POLICY_DENY | reason::NO_POLICY
    )
}

/// Global like `judge_packet`.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn tell_drop(skb: *mut __sk_buff, reason: u32, direction: u32) -> u32 {
    // SAFETY: a field of the context, and a map value of plain numbers.
    let (source, endpoint) = unsafe {
        let ifindex = (*skb).ifindex;
        cilium_lxc_source
            .get_ptr(&ifindex)
            .map_or((0, 0), |source| ((*source).identity, (*source).id))
    };
    let report = Report {
        source,
        destination: 0,
        cookie: 0,
        endpoint,
        kind: DROP,
        code: reason as u8,
        direction: direction as u8,
        match_type: 0,
        bits: 0,
    };
    event::tell(&TcContext::new(skb), &report);
    0
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
