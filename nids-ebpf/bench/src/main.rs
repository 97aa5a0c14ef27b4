//! What the product is measured with: programs that do as little as possible, and a generator of load.
//!
//! - `bench_pass`, `bench_next`: nothing, for XDP and for tc.
//! - `bench_ring`: no look at the frame, only the hand-over of its bytes behind 32 bytes of header.
//! - `bench_replay`: run with live frames, sends the packets of `PACKETS` in turn out of an interface.
#![no_std]
#![no_main]

use core::hint::black_box;

use aya_ebpf::Global;
use aya_ebpf::bindings::{BPF_RB_NO_WAKEUP, TC_ACT_UNSPEC, xdp_action};
use aya_ebpf::helpers::generated::{
    bpf_ktime_get_ns, bpf_redirect, bpf_ringbuf_discard, bpf_ringbuf_reserve, bpf_ringbuf_submit,
    bpf_xdp_adjust_tail, bpf_xdp_load_bytes, bpf_xdp_store_bytes,
};
use aya_ebpf::macros::{classifier, map, xdp};
use aya_ebpf::maps::{Array, PerCpuArray, RingBuf};
use aya_ebpf::programs::{TcContext, XdpContext};

#[xdp]
fn bench_pass(_: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

#[classifier]
fn bench_next(_: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

// ------------------------------------------------------------------------------------------- ring

/// The agent's side gives it its size.
#[map]
static RING: RingBuf = RingBuf::with_byte_size(1 << 16, 0);
/// Records written, and frames lost to a full ring.
#[map]
static RING_COUNTS: PerCpuArray<[u64; 2]> = PerCpuArray::with_max_entries(1, 0);

const HEADER: usize = 32;

#[xdp]
fn bench_ring(ctx: XdpContext) -> u32 {
    let Some(counts) = RING_COUNTS.get_ptr_mut(0) else { return xdp_action::XDP_PASS };
    let written = record(&ctx);
    // SAFETY: this processor's own value of the map.
    unsafe { (*counts)[usize::from(!written)] += 1 };
    xdp_action::XDP_PASS
}

#[inline(always)]
fn record(ctx: &XdpContext) -> bool {
    let len = (ctx.data_end() - ctx.data()) as u32;
    if len <= 96 {
        put::<96, { HEADER + 96 }>(ctx, len)
    } else if len <= 512 {
        put::<512, { HEADER + 512 }>(ctx, len)
    } else {
        put::<1536, { HEADER + 1536 }>(ctx, len)
    }
}

#[inline(always)]
fn put<const ROOM: u32, const SIZE: usize>(ctx: &XdpContext, len: u32) -> bool {
    // Keeps the compiler from dropping the bounds that the verifier wants to see.
    let len = black_box(len);
    // SAFETY: the record has room for `SIZE` bytes, and is submitted or discarded on every way out.
    unsafe {
        let ring = (&raw const RING).cast_mut().cast();
        let record = bpf_ringbuf_reserve(ring, SIZE as u64, 0).cast::<u8>();
        if record.is_null() {
            return false;
        }
        record.cast::<[u64; 4]>().write([bpf_ktime_get_ns(), u64::from(len), 0, 0]);
        if len == 0
            || len > ROOM
            || bpf_xdp_load_bytes(ctx.ctx, 0, record.add(HEADER).cast(), len) != 0
        {
            bpf_ringbuf_discard(record.cast(), u64::from(BPF_RB_NO_WAKEUP));
            return false;
        }
        bpf_ringbuf_submit(record.cast(), u64::from(BPF_RB_NO_WAKEUP));
    }
    true
}

// ----------------------------------------------------------------------------------------- replay

/// Bytes of the longest packet that can be sent.
const LONGEST: usize = 2040;

/// One packet to send.
#[repr(C)]
#[derive(Clone, Copy)]
struct Packet {
    len: u32,
    padding: u32,
    bytes: [u8; LONGEST],
}

/// Packets to send in turn.
#[map]
static PACKETS: Array<Packet> = Array::with_max_entries(4096, 0);
/// Packets sent, and the time the next one is due.
#[map]
static SENT: PerCpuArray<[u64; 2]> = PerCpuArray::with_max_entries(1, 0);
/// Interface to send through.
#[unsafe(no_mangle)]
static REPLAY_IFINDEX: Global<u32> = Global::new(0);
/// Entries of `PACKETS` that are set.
#[unsafe(no_mangle)]
static REPLAY_PACKETS: Global<u32> = Global::new(0);
/// Nanoseconds between two packets; 0: as fast as it goes.
#[unsafe(no_mangle)]
static REPLAY_GAP: Global<u64> = Global::new(0);
/// A sender that falls behind by more nanoseconds than this does not catch up.
const PATIENCE: u64 = 1_000_000;

/// Drops the frame it is run with while the next packet is not due.
#[xdp]
fn bench_replay(ctx: XdpContext) -> u32 {
    let Some(sent) = SENT.get_ptr_mut(0) else { return xdp_action::XDP_ABORTED };
    // SAFETY: this processor's own value of the map.
    let [sent, due] = unsafe { &mut *sent };
    let gap = REPLAY_GAP.load();
    if gap != 0 {
        // SAFETY: no conditions.
        let now = unsafe { bpf_ktime_get_ns() };
        if now < *due {
            return xdp_action::XDP_DROP;
        }
        if now > *due + PATIENCE {
            *due = now;
        }
        *due += gap;
    }
    let packets = u64::from(REPLAY_PACKETS.load());
    let Some(turn) = sent.checked_rem(packets) else { return xdp_action::XDP_ABORTED };
    let Some(packet) = PACKETS.get(turn as u32) else { return xdp_action::XDP_ABORTED };
    let change = packet.len as i32 - (ctx.data_end() - ctx.data()) as i32;
    // SAFETY: the context is the kernel's; `bytes` has room for `LONGEST`.
    unsafe {
        if change != 0 && bpf_xdp_adjust_tail(ctx.ctx, change) != 0 {
            return xdp_action::XDP_ABORTED;
        }
        let len = black_box(packet.len);
        if len == 0 || len > LONGEST as u32 {
            return xdp_action::XDP_ABORTED;
        }
        let bytes = packet.bytes.as_ptr().cast_mut().cast();
        if bpf_xdp_store_bytes(ctx.ctx, 0, bytes, len) != 0 {
            return xdp_action::XDP_ABORTED;
        }
        *sent += 1;
        bpf_redirect(REPLAY_IFINDEX.load(), 0) as u32
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
