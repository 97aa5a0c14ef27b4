//! The kernel half of `nids`: four programs, one body.
//!
//! A frame is parsed (`parse`), judged by the tables that the loaded rules were compiled into
//! (`filter`), and, where a rule could care, handed to the agent through a ring (`flow`, `emit`), unless
//! the agent has asked to be spared the rest of its flow (`shunt`). Each
//! frame is counted as seen and under exactly one reason. Nothing here ever stops traffic, except that
//! on a tap port (`NIDS_TAP`) there is nobody the frames could be for. Layouts, names and meanings are
//! those of the crate `nids-abi`.
#![no_std]
#![no_main]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

mod atomic;
mod emit;
mod filter;
mod flow;
mod frame;
mod maps;
mod parse;
mod shunt;

use aya_ebpf::bindings::{TC_ACT_UNSPEC, xdp_action};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use aya_log_ebpf::debug;
use nids_abi::{COUNTERS as COUNTER_SLOTS, FilterTable, PORT_PROBES, PORT_SLOTS, Reason};

use crate::emit::{Stamp, captured_len, hand_over};
use crate::filter::decide;
use crate::frame::{Frame, Loaded, Skb, Xdp};
use crate::maps::{CONTROL, COUNTERS, FILTER, NIDS_DEBUG, NIDS_TAP, PORTS};
use crate::parse::{Kind, Layers, Short, parse};

#[xdp]
fn nids_xdp(ctx: XdpContext) -> u32 {
    xdp_verdict(inspect(Xdp::<false>(ctx.ctx)))
}

#[xdp(frags)]
fn nids_xdp_frags(ctx: XdpContext) -> u32 {
    xdp_verdict(inspect(Xdp::<true>(ctx.ctx)))
}

#[classifier]
fn nids_ingress(ctx: TcContext) -> i32 {
    inspect(Skb::<false>(ctx.skb.skb));
    TC_ACT_UNSPEC
}

#[classifier]
fn nids_egress(ctx: TcContext) -> i32 {
    inspect(Skb::<true>(ctx.skb.skb));
    TC_ACT_UNSPEC
}

#[inline(always)]
fn xdp_verdict(handled: bool) -> u32 {
    if handled && NIDS_TAP.load() != 0 { xdp_action::XDP_DROP } else { xdp_action::XDP_PASS }
}

/// The counters of one capture port on this processor.
struct Counters(*mut [u64; COUNTER_SLOTS]);

impl Counters {
    #[inline(always)]
    fn add(&self, counter: Reason, amount: u64) {
        // SAFETY: this processor's own value of the map. A capture port belongs to one hook, and the
        // kernel runs no hook's program in the middle of another run of it.
        unsafe { (*self.0)[counter as usize % COUNTER_SLOTS] += amount }
    }
}

/// Judges one frame and hands it over where it is wanted. False for frames that were let by untouched:
/// of an interface nobody asked for, or while the agent is not ready.
#[inline(always)]
fn inspect<F: Frame>(frame: F) -> bool {
    let Some(port) = capture_port(frame.ifindex(), F::EGRESS) else { return false };
    let Some(counters) = COUNTERS.get_ptr_mut(u32::from(port)).map(Counters) else { return false };
    let wire_len = frame.wire_len();
    counters.add(Reason::Seen, 1);
    counters.add(Reason::SeenBytes, u64::from(wire_len));
    // Read once, so that one frame sees one generation.
    let control = CONTROL.load();
    let generation = control.generation;
    let Some(table) = FILTER.get(generation & 1).filter(|_| control.running != 0) else {
        counters.add(Reason::NotRunning, 1);
        return false;
    };

    let mut reason = match parse(&frame.linear(), wire_len as usize, &mut Layers::default()) {
        Ok(kind) => decide(table, kind),
        Err(Short) if F::SPLIT => judge_split(frame, wire_len, table),
        Err(Short) => decide(table, Kind::Unjudged),
    };
    if reason >= Reason::Wanted {
        let stamp = Stamp { port, reason, generation };
        reason = if shunt::is_on() {
            hand_over::<F, true>(frame, wire_len, stamp)
        } else {
            hand_over::<F, false>(frame, wire_len, stamp)
        };
        if reason >= Reason::Wanted {
            counters.add(Reason::ForwardedBytes, u64::from(wire_len));
            counters.add(Reason::Truncated, u64::from(captured_len(wire_len) < wire_len));
        } else if reason == Reason::Shunted {
            counters.add(Reason::ShuntedBytes, u64::from(wire_len));
        }
    }
    counters.add(reason, 1);
    if NIDS_DEBUG.load() != 0 {
        log(frame, port, reason, wire_len);
    }
    true
}

/// The decision on a frame whose headers end behind the linear part, or nowhere. Rare, and kept out of
/// the way of the others.
#[inline(never)]
fn judge_split<F: Frame>(frame: F, wire_len: u32, table: &FilterTable) -> Reason {
    let kind = parse(&Loaded(frame), wire_len as usize, &mut Layers::default());
    decide(table, kind.unwrap_or(Kind::Unjudged))
}

#[inline(never)]
fn log<F: Frame>(frame: F, port: u16, reason: Reason, wire_len: u32) {
    debug!(&frame, "port {} reason {} length {}", port, reason as u8, wire_len);
}

/// The capture port of one side of an interface.
#[inline(always)]
fn capture_port(ifindex: u32, egress: bool) -> Option<u16> {
    let first = ifindex.wrapping_mul(2).wrapping_add(u32::from(egress));
    for probe in 0..PORT_PROBES as u32 {
        let slot = PORTS.get(first.wrapping_add(probe) % PORT_SLOTS as u32)?;
        if slot.ifindex == ifindex && slot.egress == u16::from(egress) {
            return Some(slot.port);
        }
    }
    None
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
