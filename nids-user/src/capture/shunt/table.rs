//! The kernel's table in this process's memory, and how one entry is written.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use nids_abi::{
    SHUNT_IN_FORCE, SHUNT_VERSION_SHIFT, ShuntEntry, ShuntKey, VERDICT_NONE, VERDICT_SHUNT,
};

/// Frames that the kernel let by for a flow, and their bytes on the wire (of GSO frames, where the kernel
/// hands over such): from its first end, and from its second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spared {
    /// Frames.
    pub packets: [u64; 2],
    /// Bytes.
    pub bytes: [u64; 2],
}

/// [`ShuntEntry`] where it lies.
#[repr(C)]
pub(super) struct Slot {
    addresses: [AtomicU64; 4],
    identity: AtomicU64,
    pub(super) ports: AtomicU32,
    generation: AtomicU32,
    pub(super) expires_ns: AtomicU64,
    verdict: AtomicU32,
    padding: u32,
    pub(super) packets: [AtomicU64; 2],
    pub(super) bytes: [AtomicU64; 2],
    reserved: [u64; 4],
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<Slot>() == size_of::<ShuntEntry>());
    assert!(offset_of!(Slot, identity) == offset_of!(ShuntEntry, identity));
    assert!(offset_of!(Slot, ports) == offset_of!(ShuntEntry, ports));
    assert!(offset_of!(Slot, generation) == offset_of!(ShuntEntry, generation));
    assert!(offset_of!(Slot, expires_ns) == offset_of!(ShuntEntry, expires_ns));
    assert!(offset_of!(Slot, verdict) == offset_of!(ShuntEntry, verdict));
    assert!(offset_of!(Slot, packets) == offset_of!(ShuntEntry, packets));
    assert!(offset_of!(Slot, bytes) == offset_of!(ShuntEntry, bytes));
};

/// The packets in a word of `packets`.
const PACKETS: u64 = SHUNT_IN_FORCE - 1;

impl Slot {
    pub(super) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    /// When the verdict ends; 0: a program has ended it.
    pub(super) fn expires_ns(&self) -> u64 {
        self.expires_ns.load(Ordering::Relaxed)
    }

    /// Puts the end from `was` to `until_ns`; false where a program has ended the verdict meanwhile.
    pub(super) fn extend(&self, was: u64, until_ns: u64) -> bool {
        let relaxed = Ordering::Relaxed;
        self.expires_ns.compare_exchange(was, until_ns, relaxed, relaxed).is_ok()
    }

    /// Takes the entry out of force: this version is even.
    pub(super) fn close(&self, version: u16) -> Spared {
        let closed = u64::from(version) << SHUNT_VERSION_SHIFT;
        let packets =
            self.packets.each_ref().map(|word| word.swap(closed, Ordering::AcqRel) & PACKETS);
        let bytes = self.bytes.each_ref().map(|word| word.swap(0, Ordering::Relaxed));
        // What is written from now on stays behind the exchange above.
        fence(Ordering::Release);
        self.verdict.store(VERDICT_NONE, Ordering::Relaxed);
        self.identity.store(0, Ordering::Relaxed);
        Spared { packets, bytes }
    }

    /// Writes an entry that is out of force and puts it in: this version is odd.
    pub(super) fn open(&self, key: &ShuntKey, generation: u32, until_ns: u64, version: u16) {
        for (word, value) in self.addresses.iter().zip(key.addresses.as_flattened()) {
            word.store(*value, Ordering::Relaxed);
        }
        self.ports.store(key.ports, Ordering::Relaxed);
        self.generation.store(generation, Ordering::Relaxed);
        self.expires_ns.store(until_ns, Ordering::Relaxed);
        self.verdict.store(VERDICT_SHUNT, Ordering::Relaxed);
        self.identity.store(key.identity, Ordering::Relaxed);
        let open = u64::from(version) << SHUNT_VERSION_SHIFT;
        for word in &self.packets {
            word.store(open, Ordering::Release);
        }
    }

    /// The counts so far; the entry stays in force and counts from 0.
    pub(super) fn take(&self) -> Spared {
        Spared {
            packets: self
                .packets
                .each_ref()
                .map(|word| word.fetch_and(!PACKETS, Ordering::Relaxed) & PACKETS),
            bytes: self.bytes.each_ref().map(|word| word.swap(0, Ordering::Relaxed)),
        }
    }
}

/// The kernel's table in this process's memory.
pub(super) struct Table {
    memory: NonNull<Slot>,
    pub(super) slots: u32,
}

// SAFETY: shared memory that is only used through atomic operations.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    pub(super) fn map(map: BorrowedFd<'_>, slots: u32) -> io::Result<Self> {
        Self::mapped(map.as_raw_fd(), libc::MAP_SHARED, slots)
    }

    pub(super) fn mapped(fd: i32, flags: i32, slots: u32) -> io::Result<Self> {
        let (len, access) = (Self::len(slots), libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a new mapping, at an address that the kernel picks.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, fd, 0) };
        match NonNull::new(memory) {
            Some(memory) if memory.as_ptr() != libc::MAP_FAILED => {
                Ok(Self { memory: memory.cast(), slots })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn len(slots: u32) -> usize {
        slots as usize * size_of::<Slot>()
    }

    pub(super) fn slot(&self, index: u32) -> Option<&Slot> {
        // SAFETY: inside the mapping, which lives as long as `self`; a slot is only atomics and
        // padding, of which any bytes are valid.
        (index < self.slots).then(|| unsafe { self.memory.add(index as usize).as_ref() })
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: mapped in `mapped` with this length; nothing borrows from it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), Self::len(self.slots)) };
    }
}
