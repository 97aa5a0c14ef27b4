//! The frame as each hook hands it over: XDP in one buffer, XDP in several, and a tc socket buffer.
//!
//! The rest of the program is written once, against [`Frame`]. Headers are read straight from the
//! linear part ([`Linear`]); where it ends before the headers do, they are read again through a kernel
//! helper ([`Loaded`]), which is slower, but sees every byte and leaves the buffer as it is
//! (`bpf_skb_pull_data` would copy the head of every cloned segment on egress).

use core::ffi::c_void;
use core::mem::{MaybeUninit, size_of};

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::helpers::generated::{bpf_skb_load_bytes, bpf_xdp_get_buff_len, bpf_xdp_load_bytes};

/// Fixed-size data that any bytes are a valid value of.
///
/// # Safety
/// Only for types without padding and without invalid bit patterns.
pub unsafe trait Wire: Copy {}
// SAFETY: integers and arrays of them.
unsafe impl Wire for u8 {}
// SAFETY: as above.
unsafe impl<T: Wire, const N: usize> Wire for [T; N] {}

/// Where header fields are read from.
pub trait Bytes {
    /// What lies at `offset` from the begin of the frame, or nothing where the frame ends before.
    fn read<T: Wire>(&self, offset: usize) -> Option<T>;
}

/// The part of a frame that programs may read directly.
pub struct Linear {
    data: usize,
    end: usize,
}

impl Linear {
    /// Its length in bytes.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        (self.end - self.data) as u32
    }
}

impl Bytes for Linear {
    #[inline(always)]
    fn read<T: Wire>(&self, offset: usize) -> Option<T> {
        let start = self.data + offset;
        if start + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: all of it lies before the end, and any bytes are a `T`.
        Some(unsafe { (start as *const T).read_unaligned() })
    }
}

/// The whole frame, through a helper call for each field.
pub struct Loaded<F>(pub F);

impl<F: Frame> Bytes for Loaded<F> {
    #[inline(always)]
    fn read<T: Wire>(&self, offset: usize) -> Option<T> {
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: `value` has room for a `T`, and is only read where all of it was written.
        unsafe {
            self.0
                .load(offset as u32, value.as_mut_ptr().cast(), size_of::<T>() as u32)
                .then(|| value.assume_init())
        }
    }
}

/// One frame at one hook: no more than the kernel's pointer to it.
pub trait Frame: EbpfContext + Copy {
    /// The frame was leaving the host.
    const EGRESS: bool;
    /// Headers may lie behind the linear part.
    const SPLIT: bool;

    /// Interface index of the kernel.
    fn ifindex(&self) -> u32;
    /// Bytes on the wire, in all buffers.
    fn wire_len(&self) -> u32;
    /// What may be read directly.
    fn linear(&self) -> Linear;
    /// VLAN tag that is no longer in the frame.
    fn vlan_offload(&self) -> Option<u16>;
    /// Copies `len` bytes from `offset`; false where the frame is shorter.
    ///
    /// # Safety
    /// `to` must be valid for writes of `len` bytes.
    unsafe fn load(&self, offset: u32, to: *mut u8, len: u32) -> bool;
}

/// XDP. `SPLIT`: the program was loaded for frames in several buffers.
#[derive(Clone, Copy)]
pub struct Xdp<const SPLIT: bool>(pub *mut xdp_md);

impl<const SPLIT: bool> EbpfContext for Xdp<SPLIT> {
    #[inline(always)]
    fn as_ptr(&self) -> *mut c_void {
        self.0.cast()
    }
}

impl<const SPLIT: bool> Frame for Xdp<SPLIT> {
    const EGRESS: bool = false;
    const SPLIT: bool = SPLIT;

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: the kernel hands a valid context over.
        unsafe { (*self.0).ingress_ifindex }
    }
    #[inline(always)]
    fn wire_len(&self) -> u32 {
        if SPLIT {
            // SAFETY: as above.
            (unsafe { bpf_xdp_get_buff_len(self.0) }) as u32
        } else {
            self.linear().len()
        }
    }
    #[inline(always)]
    fn linear(&self) -> Linear {
        // SAFETY: as above.
        unsafe { Linear { data: (*self.0).data as usize, end: (*self.0).data_end as usize } }
    }
    #[inline(always)]
    fn vlan_offload(&self) -> Option<u16> {
        None
    }
    #[inline(always)]
    unsafe fn load(&self, offset: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller gives room for `len` bytes.
        (unsafe { bpf_xdp_load_bytes(self.0, offset, to.cast(), len) }) == 0
    }
}

/// tc, on either side of the interface.
#[derive(Clone, Copy)]
pub struct Skb<const EGRESS: bool>(pub *mut __sk_buff);

impl<const EGRESS: bool> EbpfContext for Skb<EGRESS> {
    #[inline(always)]
    fn as_ptr(&self) -> *mut c_void {
        self.0.cast()
    }
}

impl<const EGRESS: bool> Frame for Skb<EGRESS> {
    const EGRESS: bool = EGRESS;
    const SPLIT: bool = true;

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: the kernel hands a valid context over.
        unsafe { (*self.0).ifindex }
    }
    #[inline(always)]
    #[allow(clippy::misnamed_getters, reason = "the kernel's wire_len is set for queueing only")]
    fn wire_len(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0).len }
    }
    #[inline(always)]
    fn linear(&self) -> Linear {
        // SAFETY: as above.
        unsafe { Linear { data: (*self.0).data as usize, end: (*self.0).data_end as usize } }
    }
    #[inline(always)]
    fn vlan_offload(&self) -> Option<u16> {
        // SAFETY: as above.
        unsafe { ((*self.0).vlan_present != 0).then(|| (*self.0).vlan_tci as u16) }
    }
    #[inline(always)]
    unsafe fn load(&self, offset: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller gives room for `len` bytes.
        (unsafe { bpf_skb_load_bytes(self.0.cast(), offset, to.cast(), len) }) == 0
    }
}
