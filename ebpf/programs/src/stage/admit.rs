//! May a packet pass? A connection that the node's policies allow passes with one lookup; everything else is judged.

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::programs::TcContext;
use datapath_abi::event::{IS_REPLY, NEW, TRACE};
use datapath_abi::flow::{ECHO_OF_FIRST, ECHO_OF_SECOND, Key, ONE_WAY, State};
use datapath_abi::{metric, reason};

use super::event::{self, Report};
use super::flow::{self, Seen};
use super::packet::{ICMP, ICMP_ECHO, ICMP_ECHO_REPLY, Packet, is_error};
use super::party::{Sender, resolve};
use super::policy::judge;
use super::related::{Quote, quote};
use super::scratch::{Scratch, look, put};
use crate::maps::cilium_runtime_config;

/// Lets a packet pass on its way to a point, or says why not. It is looked at as it will be delivered, but for the translation of
/// an answer's source.
#[inline(always)]
pub(crate) fn admit(ctx: &TcContext, packet: &Packet, sender: Sender, point: u8) -> Result<(), u8> {
    let Some(runtime) = cilium_runtime_config.get_ptr(0) else {
        return Err(reason::NO_POLICY);
    };
    // Read before any policy is: a connection must not count as allowed by a policy that came after its judgement.
    // SAFETY: a map value of plain numbers.
    let (epoch, told) = unsafe { ((*runtime).epoch, (*runtime).events) };
    let (key, place) = flow::key(packet);
    let now = flow::now();
    let mut report = false;
    if !is_error(packet.protocol, packet.icmp_type) {
        if let Some(state) = flow::find(&key, now) {
            // SAFETY: as above.
            let current = unsafe { (*state).epoch } == epoch;
            if current && !flow::begins_anew(state, packet.opens(), place) {
                let seen = Seen {
                    protocol: packet.protocol,
                    flags: packet.flags,
                    place,
                    length: ctx.len(),
                    now,
                };
                report = flow::refresh(state, &seen, told);
                if !report {
                    return Ok(());
                }
            }
        }
    }
    let scratch = Scratch::get()?;
    scratch.take(packet);
    scratch.key = key;
    scratch.now = now;
    scratch.epoch = epoch;
    scratch.told = told;
    scratch.length = ctx.len();
    scratch.sender = sender;
    scratch.place = place;
    scratch.point = point;
    put(&mut scratch.new, u8::from(report));
    match judge_packet(ctx.skb.skb, scratch) {
        0 => Ok(()),
        reason => Err(reason as u8),
    }
}

/// Judges a packet whose connection is not known, or was allowed under other policies; only tells of a known one if `new` says
/// so. 0: it may pass. Global, so that the verifier goes through it once in each program, for all ways that lead to it.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn judge_packet(skb: *mut __sk_buff, scratch: *mut Scratch) -> u32 {
    // SAFETY: the caller's memory, which nobody else holds meanwhile.
    let Some(scratch) = (unsafe { scratch.as_mut() }) else {
        return u32::from(reason::NO_POLICY);
    };
    let ctx = &TcContext::new(skb);
    if look(&scratch.new) != 0 {
        trace_known(ctx, scratch);
        return 0;
    }
    let [originator, responder] = &mut scratch.party;
    scratch.sender.resolve(scratch.source, originator);
    resolve(scratch.destination, responder);
    put(&mut scratch.reply, 0);
    let verdict = if is_error(scratch.protocol, scratch.icmp_type) {
        consider_error(ctx, scratch)
    } else {
        consider_packet(ctx, scratch)
    };
    match verdict {
        Ok(()) => 0,
        Err(reason) => u32::from(reason),
    }
}

#[inline(always)]
fn consider_packet(ctx: &TcContext, scratch: &mut Scratch) -> Result<(), u8> {
    match flow::find(&scratch.key, scratch.now) {
        Some(state)
            if !flow::begins_anew(state, scratch.opens != 0, scratch.place)
                && !outlived(scratch, state) =>
        {
            recheck(ctx, scratch, state)
        }
        _ => open(ctx, scratch),
    }
}

/// Whether a connection is older than a pod of this node in it: then another pod had the address when it began.
#[inline(always)]
fn outlived(scratch: &Scratch, state: *const State) -> bool {
    // SAFETY: a map value of plain numbers, kept by the kernel while the program runs.
    let created = unsafe { (*state).created };
    look(&scratch.party[0].since) > created || look(&scratch.party[1].since) > created
}

#[inline(always)]
fn open(ctx: &TcContext, scratch: &mut Scratch) -> Result<(), u8> {
    put(&mut scratch.new, 1);
    scratch.port = port(&scratch.key, scratch.place);
    judge(ctx, scratch)?;
    if !is_error(scratch.protocol, scratch.icmp_type) {
        flow::create(scratch)?;
    }
    if scratch.told != 0 {
        let ends = scratch.party.map(|party| party.identity);
        trace(ctx, scratch, ends, NEW);
    }
    Ok(())
}

/// A known connection at a new epoch: the pods in it are asked again, in the direction it began. A refusal leaves it as it is, so
/// that its answers cannot begin another one.
#[inline(always)]
fn recheck(ctx: &TcContext, scratch: &mut Scratch, state: *mut State) -> Result<(), u8> {
    // SAFETY: as in `outlived`.
    let (origin, [began_as, _]) = unsafe { ((*state).origin, (*state).identity) };
    if flow::is_reply(origin, scratch.place) {
        put(&mut scratch.reply, 1);
        let [sender, receiver] = scratch.party;
        scratch.party = [receiver, sender];
        scratch.party[0].began_as(began_as);
    }
    scratch.port = port(&scratch.key, origin);
    judge(ctx, scratch)?;
    renew(scratch, state);
    let seen = Seen {
        protocol: scratch.protocol,
        flags: scratch.flags,
        place: scratch.place,
        length: scratch.length,
        now: scratch.now,
    };
    if flow::refresh(state, &seen, scratch.told) {
        trace_known(ctx, scratch);
    }
    Ok(())
}

#[inline(always)]
fn renew(scratch: &Scratch, state: *mut State) {
    // SAFETY: as in `outlived`.
    unsafe {
        (*state).identity = [scratch.party[0].identity, scratch.party[1].identity];
        (*state).epoch = scratch.epoch;
    }
}

/// An error passes with the connection it is about; about anything else it is a message like any other.
#[inline(always)]
fn consider_error(ctx: &TcContext, scratch: &mut Scratch) -> Result<(), u8> {
    let key = match quote(ctx, scratch) {
        Quote::Of(key) => key,
        Quote::Forged => return Err(reason::INVALID_PACKET),
        Quote::Nothing => return open(ctx, scratch),
    };
    let Some(state) = flow::find(&key, scratch.now) else {
        return open(ctx, scratch);
    };
    // SAFETY: as in `outlived`.
    let (epoch, origin, [began_as, _]) =
        unsafe { ((*state).epoch, (*state).origin, (*state).identity) };
    if epoch == scratch.epoch {
        return Ok(());
    }
    if outlived(scratch, state) {
        return open(ctx, scratch);
    }
    let began = usize::from(origin & 1);
    let [originator, responder] = &mut scratch.party;
    resolve(key.address[began], originator);
    resolve(key.address[1 - began], responder);
    originator.began_as(began_as);
    scratch.protocol = key.protocol;
    scratch.port = port(&key, origin);
    judge(ctx, scratch)?;
    renew(scratch, state);
    Ok(())
}

/// The port a policy names: the responder's, or the type of the ICMP message that began it; network byte order.
#[inline(always)]
fn port(key: &Key, origin: u8) -> u16 {
    if key.protocol != ICMP {
        return if origin & 1 == 0 {
            key.port[1]
        } else {
            key.port[0]
        };
    }
    let icmp_type = match (key.kind, origin & 1) {
        (ECHO_OF_FIRST, 0) | (ECHO_OF_SECOND, 1) => ICMP_ECHO,
        (ONE_WAY, _) => key.icmp_type,
        _ => ICMP_ECHO_REPLY,
    };
    u16::from(icmp_type).to_be()
}

/// A trace of a connection that is known, as it is remembered.
#[inline(always)]
fn trace_known(ctx: &TcContext, scratch: &Scratch) {
    let Some(state) = flow::find(&scratch.key, scratch.now) else {
        return;
    };
    // SAFETY: as in `outlived`.
    let ([originator, responder], origin) = unsafe { ((*state).identity, (*state).origin) };
    if flow::is_reply(origin, scratch.place) {
        trace(ctx, scratch, [responder, originator], IS_REPLY);
    } else {
        trace(ctx, scratch, [originator, responder], 0);
    }
}

/// Told from the side of the program: of the pod that sends, else of the one that gets the packet.
#[inline(always)]
fn trace(ctx: &TcContext, scratch: &Scratch, [source, destination]: [u32; 2], bits: u8) {
    let (endpoint, direction) = match scratch.sender.endpoint() {
        Some(id) => (id, metric::EGRESS),
        None => (endpoint_of(scratch.destination), metric::INGRESS),
    };
    let report = Report {
        source,
        destination,
        cookie: 0,
        endpoint,
        kind: TRACE,
        code: scratch.point,
        direction,
        match_type: 0,
        bits,
    };
    event::tell(ctx, &report);
}

#[inline(always)]
fn endpoint_of(address: u32) -> u16 {
    use crate::maps::cilium_lxc;
    use datapath_abi::address::Address;
    // SAFETY: a map value of plain numbers.
    cilium_lxc
        .get_ptr(&Address::v4(address))
        .map_or(0, |endpoint| unsafe { (*endpoint).id })
}
