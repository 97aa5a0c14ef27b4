//! The eBPF object inside this binary: checked, its globals set, loaded, and its maps taken out.

use std::io;

use aya::maps::{Array, ArrayOfMaps, Map, MapData, MapError, PerCpuArray};
use aya::{Ebpf, EbpfLoader, Pod};
use nids_abi::{
    ABI_VERSION, COUNTERS, Control, FilterTable, GLOBAL_ABI, GLOBAL_DEBUG, GLOBAL_SEED,
    GLOBAL_SHUNT_SLOTS, GLOBAL_SILENCE, GLOBAL_SNAPLEN, GLOBAL_TAP, GLOBAL_WORKERS, MAP_BEAT,
    MAP_CONTROL, MAP_COUNTERS, MAP_FILTER, MAP_PORTS, MAP_RINGS, MAP_SHUNT, MAP_WANT, PortSlot,
};
use object::{Object, ObjectSection, ObjectSymbol};

use super::error::CaptureError;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/nids.o"));

/// A value of a map: a type of the contract, which only this wrapper may call plain bytes.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct Wire<T>(pub(super) T);

// SAFETY: `repr(C)` types of integers without implicit padding, or arrays of integers.
unsafe impl Pod for Wire<Control> {}
// SAFETY: as above.
unsafe impl Pod for Wire<PortSlot> {}
// SAFETY: as above.
unsafe impl Pod for Wire<FilterTable> {}
// SAFETY: as above.
unsafe impl Pod for Wire<[u64; COUNTERS]> {}

impl Wire<FilterTable> {
    /// The table where it lies: it is too large to be moved over the stack.
    pub(super) fn of(table: &FilterTable) -> &Self {
        // SAFETY: `Wire` is a transparent wrapper.
        unsafe { &*std::ptr::from_ref(table).cast::<Self>() }
    }
}

/// What the loader sets in the object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Globals {
    pub(super) workers: u32,
    pub(super) snaplen: u32,
    pub(super) tap: bool,
    pub(super) debug: bool,
    /// Seed of the hash that picks the worker: a [`secret`].
    pub(super) seed: u64,
    /// Slots of the flow table that each worker has; 0: none.
    pub(super) shunt_slots: u32,
    /// Nanoseconds without a beat after which the agent counts as gone; 0: never.
    pub(super) silence: u64,
}

/// Loads the object; its programs are not with the kernel yet.
pub(super) fn load(globals: Globals) -> Result<Ebpf, CaptureError> {
    if OBJECT.is_empty() {
        return Err(CaptureError::NoObject);
    }
    match version(OBJECT) {
        Some(ABI_VERSION) => {}
        found => return Err(CaptureError::Abi { found }),
    }
    let (tap, debug) = (u8::from(globals.tap), u8::from(globals.debug));
    let mut loader = EbpfLoader::new();
    loader
        .override_global(GLOBAL_WORKERS, &globals.workers, true)
        .override_global(GLOBAL_SNAPLEN, &globals.snaplen, true)
        .override_global(GLOBAL_SEED, &globals.seed, true)
        .override_global(GLOBAL_TAP, &tap, true)
        .override_global(GLOBAL_SHUNT_SLOTS, &globals.shunt_slots, true)
        .override_global(GLOBAL_SILENCE, &globals.silence, true)
        .override_global(GLOBAL_DEBUG, &debug, true)
        .map_max_entries(MAP_SHUNT, (globals.shunt_slots * globals.workers).max(1));
    Ok(loader.load(OBJECT)?)
}

/// The version of the contract that the object was built with.
fn version(bytes: &[u8]) -> Option<u32> {
    let file = object::File::parse(bytes).ok()?;
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(GLOBAL_ABI))?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let data = section.data().ok()?.get(usize::try_from(symbol.address()).ok()?..)?;
    Some(u32::from_le_bytes(*data.first_chunk()?))
}

/// Fresh randomness, so that nobody outside can aim flows at one worker or one slot of a table.
///
/// # Errors
/// The system has none.
pub fn secret() -> Result<u64, CaptureError> {
    let mut secret = [0; 8];
    // SAFETY: the buffer is as long as said. So few bytes come at once or not at all.
    let got = unsafe { libc::getrandom(secret.as_mut_ptr().cast(), secret.len(), 0) };
    match usize::try_from(got) {
        Ok(8) => Ok(u64::from_ne_bytes(secret)),
        _ => Err(CaptureError::System {
            what: "no randomness from the system",
            source: io::Error::last_os_error(),
        }),
    }
}

/// The maps of the object, taken out of it: they stay when it is dropped with its programs.
pub(super) struct Maps {
    pub(super) control: Array<MapData, Wire<Control>>,
    pub(super) filter: Array<MapData, Wire<FilterTable>>,
    pub(super) ports: Array<MapData, Wire<PortSlot>>,
    pub(super) counters: PerCpuArray<MapData, Wire<[u64; COUNTERS]>>,
    pub(super) rings: ArrayOfMaps<MapData, MapData>,
    pub(super) want: MapData,
    pub(super) shunt: MapData,
    pub(super) beat: MapData,
}

impl Maps {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, CaptureError> {
        Ok(Self {
            control: take(ebpf, MAP_CONTROL)?,
            filter: take(ebpf, MAP_FILTER)?,
            ports: take(ebpf, MAP_PORTS)?,
            counters: take(ebpf, MAP_COUNTERS)?,
            rings: take(ebpf, MAP_RINGS)?,
            want: take_array(ebpf, MAP_WANT)?,
            shunt: take_array(ebpf, MAP_SHUNT)?,
            beat: take_array(ebpf, MAP_BEAT)?,
        })
    }
}

fn take<T: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<T, CaptureError> {
    let map = ebpf.take_map(name).ok_or(MapError::KeyNotFound).map_err(map_error(name))?;
    map.try_into().map_err(map_error(name))
}

fn take_array(ebpf: &mut Ebpf, name: &'static str) -> Result<MapData, CaptureError> {
    match ebpf.take_map(name) {
        Some(Map::Array(map)) => Ok(map),
        _ => Err(map_error(name)(MapError::KeyNotFound)),
    }
}

pub(super) fn map_error(name: &'static str) -> impl Fn(MapError) -> CaptureError {
    move |source| CaptureError::Map { name, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_object_and_from_nothing_else() {
        assert_eq!(version(b"no object"), None);
        if OBJECT.is_empty() {
            eprintln!("skipped: the eBPF object is not built");
            return;
        }
        assert_eq!(version(OBJECT), Some(ABI_VERSION));
    }
}
