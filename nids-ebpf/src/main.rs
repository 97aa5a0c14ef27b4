//! The kernel half of `nids`: four programs, one body.
//!
//! A frame is parsed (`parse`), judged by the tables that the loaded rules were compiled into
//! (`filter`), and, where a rule could care, handed to the agent through a ring (`flow`, `emit`). Each
//! frame is counted as seen and under exactly one reason. Nothing here ever stops traffic, except that
//! on a tap port (`NIDS_TAP`) there is nobody the frames could be for. Layouts, names and meanings are
//! those of the crate `nids-abi`.
#![no_std]
#![no_main]

mod emit;
mod filter;
mod flow;
mod frame;
mod maps;
mod parse;

use aya_ebpf::bindings::{TC_ACT_UNSPEC, xdp_action};
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use aya_log_ebpf::debug;
use nids_abi::{
    COUNTERS as COUNTER_SLOTS, Control, FLAG_EGRESS, FLAG_FRAGMENT, FLAG_V6, FLAG_VLAN_OFFLOAD,
    MAX_CAPTURE, PORT_PROBES, PORT_SLOTS, Reason, RecordHeader,
};

use crate::frame::{Frame, Loaded, Skb, Xdp};
use crate::maps::{CONTROL, COUNTERS, FILTER, NIDS_ABI, NIDS_DEBUG, NIDS_SNAPLEN, NIDS_TAP, PORTS};
use crate::parse::{Kind, Layers, parse};

#[xdp]
fn nids_xdp(ctx: XdpContext) -> u32 {
    xdp_verdict(inspect(&Xdp::<false>(ctx)))
}

#[xdp(frags)]
fn nids_xdp_frags(ctx: XdpContext) -> u32 {
    xdp_verdict(inspect(&Xdp::<true>(ctx)))
}

#[classifier]
fn nids_ingress(ctx: TcContext) -> i32 {
    inspect(&Skb::<false>(ctx));
    TC_ACT_UNSPEC
}

#[classifier]
fn nids_egress(ctx: TcContext) -> i32 {
    inspect(&Skb::<true>(ctx));
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
        // SAFETY: the pointer is to a value of the map, and no other processor writes to it. The
        // programs that share it (XDP and tc of one capture port never do) run with preemption of
        // their kind off.
        unsafe { (*self.0)[counter as usize % COUNTER_SLOTS] += amount }
    }
}

/// Judges one frame and hands it over where it is wanted. False for frames that were let by untouched:
/// of an interface nobody asked for, or while the agent is not ready.
#[inline(always)]
fn inspect<F: Frame>(frame: &F) -> bool {
    let Some(port) = capture_port(frame.ifindex(), F::EGRESS) else { return false };
    let Some(counters) = COUNTERS.get_ptr_mut(u32::from(port)).map(Counters) else { return false };
    let Some(control) = CONTROL.get_ptr(0) else { return false };
    // SAFETY: a value of the map; read once, so that one frame sees one generation.
    let Control { generation, running } = unsafe { control.read_volatile() };
    let wire_len = frame.wire_len();
    counters.add(Reason::Seen, 1);
    counters.add(Reason::SeenBytes, u64::from(wire_len));
    let generation = generation & 1;
    let Some(table) = FILTER.get(generation).filter(|_| running != 0) else {
        counters.add(Reason::NotRunning, 1);
        return false;
    };

    let mut layers = Layers::default();
    let kind = headers(frame, wire_len, &mut layers);
    let mut reason = filter::decide(table, kind);
    if reason >= Reason::Wanted {
        let captured_len = wire_len.min(NIDS_SNAPLEN.load()).min(MAX_CAPTURE as u32);
        let vlan = frame.vlan_offload();
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let header = RecordHeader {
            // SAFETY: no conditions.
            time_ns: unsafe { bpf_ktime_get_ns() },
            flow_hash: flow::hash(frame, &layers, kind),
            wire_len,
            captured_len,
            port,
            vlan_tci: vlan.unwrap_or(0),
            l3_offset: layers.l3 as u16,
            l4_offset: layers.l4 as u16,
            ip_proto: layers.ip_proto,
            flags: flag(F::EGRESS, FLAG_EGRESS)
                | flag(layers.v6, FLAG_V6)
                | flag(vlan.is_some(), FLAG_VLAN_OFFLOAD)
                | flag(layers.fragment, FLAG_FRAGMENT),
            reason: reason as u8,
            generation: generation as u8,
        };
        match emit::emit(frame, &header) {
            Ok(()) => {
                counters.add(Reason::ForwardedBytes, u64::from(wire_len));
                if captured_len < wire_len {
                    counters.add(Reason::Truncated, 1);
                }
            }
            Err(lost) => reason = lost,
        }
    }
    counters.add(reason, 1);
    if NIDS_DEBUG.load() != 0 {
        debug!(frame, "port {} reason {} length {}", port, reason as u8, wire_len);
    }
    true
}

/// Parses what can be read directly; where that is not all of the frame and ends too early, once more
/// through the kernel's helper.
#[inline(always)]
fn headers<F: Frame>(frame: &F, wire_len: u32, layers: &mut Layers) -> Kind {
    let linear = frame.linear();
    if let Ok(kind) = parse(&linear, wire_len as usize, layers) {
        return kind;
    }
    if F::SPLIT && linear.len() < wire_len {
        *layers = Layers::default();
        if let Ok(kind) = parse(&Loaded(frame), wire_len as usize, layers) {
            return kind;
        }
    }
    Kind::Unjudged
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

/// Keeps the global in the object: only the loader reads it.
#[used]
static ABI: &aya_ebpf::Global<u32> = &NIDS_ABI;

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
