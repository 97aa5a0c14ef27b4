//! The hand-over: a record of the smallest size class that holds the frame, in the ring of this
//! processor and of the flow's worker. Frames of flows that the agent needs no more of end here
//! (`shunt`).

use core::ffi::c_void;
use core::hint::black_box;
use core::mem::size_of;

use aya_ebpf::bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_ktime_get_ns, bpf_ringbuf_discard, bpf_ringbuf_reserve,
    bpf_ringbuf_submit,
};
use nids_abi::{
    FLAG_EGRESS, FLAG_FRAGMENT, FLAG_V6, FLAG_VLAN_OFFLOAD, MAX_CAPTURE, Reason, RecordHeader,
    SIZE_CLASSES, pair_hash, worker_of,
};

use crate::flow;
use crate::frame::Frame;
use crate::maps::{BEAT, NIDS_SILENCE, NIDS_SNAPLEN, NIDS_WORKERS, RINGS, WANT};
use crate::parse::{Layers, headers};
use crate::shunt;

const HEADER: usize = size_of::<RecordHeader>();

/// What the caller knows of a frame that is wanted, in one register: BPF functions take five.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Stamp {
    /// Capture port.
    pub port: u16,
    /// Why it is wanted.
    pub reason: Reason,
    /// The generation of the tables that decided.
    pub generation: u32,
}

/// Bytes of a frame that are handed over.
#[inline(always)]
pub fn captured_len(wire_len: u32) -> u32 {
    wire_len.min(NIDS_SNAPLEN.load()).min(MAX_CAPTURE as u32)
}

/// Puts a record of the frame into a ring. Gives the reason of `stamp` back, or [`Reason::Shunted`]
/// where the agent needs no more of this flow, [`Reason::LostSilent`] where it is not there,
/// [`Reason::LostRingFull`], or [`Reason::LostCopy`] where there is no such ring or the bytes cannot be read.
///
/// `SHUNT`: look the flow up. Apart from the function that does not, which then pays nothing for it.
///
/// A function of its own, so that the path of frames that are not forwarded keeps its registers. For
/// the same reason it parses once more instead of being told where the headers lie.
#[inline(never)]
pub fn hand_over<F: Frame, const SHUNT: bool>(frame: F, wire_len: u32, stamp: Stamp) -> Reason {
    let mut layers = Layers::default();
    headers(frame, wire_len, &mut layers);
    let addresses = flow::addresses(frame, &layers);
    if SHUNT {
        layers.blur();
    }
    let pair_word = addresses.map(flow::hash);
    let vlan = frame.vlan_offload();
    if SHUNT
        && let (Some(addresses), Some(pair_word)) = (addresses, pair_word)
        && shunt::knows(&layers)
        && shunt::lets_by(&layers, addresses, vlan, pair_word, wire_len, stamp.generation)
    {
        return Reason::Shunted;
    }
    // SAFETY: no conditions.
    let now = unsafe { bpf_ktime_get_ns() };
    if is_silent(now) {
        return Reason::LostSilent;
    }
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let header = RecordHeader {
        time_ns: now,
        pair_hash: pair_word.map_or(0, pair_hash),
        wire_len,
        captured_len: captured_len(wire_len),
        port: stamp.port,
        vlan_tci: vlan.unwrap_or(0),
        l3_offset: layers.l3 as u16,
        l4_offset: layers.l4 as u16,
        ip_proto: layers.ip_proto,
        flags: flag(F::EGRESS, FLAG_EGRESS)
            | flag(layers.v6, FLAG_V6)
            | flag(vlan.is_some(), FLAG_VLAN_OFFLOAD)
            | flag(layers.fragment, FLAG_FRAGMENT),
        reason: stamp.reason as u8,
        generation: (stamp.generation & 1) as u8,
    };
    match record(frame, &header) {
        Ok(()) => stamp.reason,
        Err(lost) => lost,
    }
}

/// Whether the agent has not been seen at work for too long: what is handed over would wait for nobody.
#[inline(always)]
fn is_silent(now: u64) -> bool {
    let limit = NIDS_SILENCE.load();
    if limit == 0 {
        return false;
    }
    let Some(beat) = BEAT.get_ptr(0) else { return false };
    // SAFETY: the word of the map, which the agent writes as one.
    let beat = unsafe { beat.read_volatile() };
    // A beat may be younger than this frame.
    now.saturating_sub(beat) > limit
}

/// Puts the header and the first `header.captured_len` bytes of the frame into a ring.
#[inline(always)]
fn record<F: Frame>(frame: F, header: &RecordHeader) -> Result<(), Reason> {
    let workers = NIDS_WORKERS.load();
    // SAFETY: no conditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let index = cpu * workers + worker_of(header.pair_hash, workers);
    let ring = RINGS.get(index).ok_or(Reason::LostCopy)?;
    let ring = core::ptr::from_ref(ring).cast_mut().cast::<c_void>();
    let len = header.captured_len as usize;
    macro_rules! smallest_of {
        ($($class:literal)*) => {
            $(if len <= SIZE_CLASSES[$class] {
                return put::<F, { SIZE_CLASSES[$class] }, { HEADER + SIZE_CLASSES[$class] }>(
                    frame, header, ring, index,
                );
            })*
        };
    }
    smallest_of!(0 1 2 3 4 5 6 7);
    Err(Reason::LostCopy)
}

/// One record with room for `ROOM` bytes behind its header; `SIZE` is both together. The verifier
/// takes only constants for the size of a reservation.
#[inline(always)]
fn put<F: Frame, const ROOM: usize, const SIZE: usize>(
    frame: F,
    header: &RecordHeader,
    ring: *mut c_void,
    index: u32,
) -> Result<(), Reason> {
    // SAFETY: `ring` is a ring buffer map that the kernel looked up for this run of the program.
    let record = unsafe { bpf_ringbuf_reserve(ring, SIZE as u64, 0) }.cast::<u8>();
    if record.is_null() {
        return Err(Reason::LostRingFull);
    }
    // The compiler knows these bounds already and would drop the test that shows them to the verifier.
    let len = black_box(header.captured_len);
    // SAFETY: the record has room for `SIZE` bytes, aligned to 8, and is submitted or discarded on
    // every way out.
    unsafe {
        record.cast::<RecordHeader>().write(*header);
        if len == 0 || len > ROOM as u32 || !frame.load(0, record.add(HEADER), len) {
            bpf_ringbuf_discard(record.cast(), u64::from(BPF_RB_NO_WAKEUP));
            return Err(Reason::LostCopy);
        }
        bpf_ringbuf_submit(record.cast(), wakeup(index));
    }
    Ok(())
}

/// Waking the agent for each record costs more than all the rest. It drains by the clock, and asks for
/// one wake-up before it blocks. This must be read after the reservation: whatever the agent does not
/// find in its last look, it asked for before.
#[inline(always)]
fn wakeup(index: u32) -> u64 {
    if let Some(want) = WANT.get_ptr_mut(index) {
        // SAFETY: a word of the map; another processor has other rings and so other words.
        unsafe {
            if want.read_volatile() != 0 {
                want.write_volatile(0);
                return u64::from(BPF_RB_FORCE_WAKEUP);
            }
        }
    }
    u64::from(BPF_RB_NO_WAKEUP)
}
