//! Maps and globals, under the names and in the layouts of the contract.

use aya_ebpf::Global;
use aya_ebpf::btf_maps::{Array, ArrayOfMaps, PerCpuArray, RingBuf};
use aya_ebpf::macros::btf_map;
use nids_abi::{
    ABI_VERSION, COUNTERS as COUNTER_SLOTS, Control, FilterTable, MAX_CAPTURE, MAX_CAPTURE_PORTS,
    MAX_RINGS, PORT_SLOTS, PortSlot, ShuntEntry,
};

/// Bytes of the ring the object declares as the type of all others. The agent puts rings of its own
/// size into the array; the kernel compares types, not sizes.
const TEMPLATE_RING: usize = 1 << 16;

#[btf_map]
pub static FILTER: Array<FilterTable, 2> = Array::new();
#[btf_map]
pub static PORTS: Array<PortSlot, PORT_SLOTS> = Array::new();
#[btf_map]
pub static COUNTERS: PerCpuArray<[u64; COUNTER_SLOTS], MAX_CAPTURE_PORTS> = PerCpuArray::new();
#[btf_map]
pub static RINGS: ArrayOfMaps<RingBuf<u8, TEMPLATE_RING>, MAX_RINGS> = ArrayOfMaps::new();
#[btf_map]
pub static WANT: Array<u32, MAX_RINGS> = Array::new();

/// `BPF_F_MMAPABLE`: the agent reads and writes the values in its own memory, by atomic operations.
const MAPPED: usize = 1 << 10;

/// The loader gives it its size.
#[btf_map]
pub static SHUNT: Array<ShuntEntry, 1, MAPPED> = Array::new();

/// A map, not a global such as `CONTROL`: it is looked at only where a frame is handed over, and the agent
/// writes it without a system call.
#[btf_map]
pub static BEAT: Array<u64, 1, MAPPED> = Array::new();

/// A global the agent may write to: an array with one value for the agent, and for the programs an
/// address, where an array's element would cost a look-up.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.CONTROL")]
pub static CONTROL: Global<Control> = Global::new(Control { generation: 0, running: 0 });

/// Always 0, which the verifier cannot know: see [`Layers::blur`](crate::parse::Layers::blur).
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.ZERO")]
pub static ZERO: Global<u64> = Global::new(0);

// Read-only globals: the loader sets them, the verifier knows their values and drops what they rule out.

#[unsafe(no_mangle)]
pub static NIDS_ABI: Global<u32> = Global::new(ABI_VERSION);
#[unsafe(no_mangle)]
pub static NIDS_WORKERS: Global<u32> = Global::new(1);
#[unsafe(no_mangle)]
pub static NIDS_SEED: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
pub static NIDS_SNAPLEN: Global<u32> = Global::new(MAX_CAPTURE as u32);
#[unsafe(no_mangle)]
pub static NIDS_TAP: Global<u8> = Global::new(0);
#[unsafe(no_mangle)]
pub static NIDS_SHUNT_SLOTS: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static NIDS_SILENCE: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
pub static NIDS_DEBUG: Global<u8> = Global::new(0);
