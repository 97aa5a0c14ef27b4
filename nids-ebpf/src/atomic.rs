//! Read-modify-write of a word that several processors count in.
//!
//! The core library has none for BPF. All of BPF's that give the old value keep the order of everything
//! before and behind them (the kernel's `smp_mb`, Linux 5.12); of a compare-and-exchange that holds only
//! where it succeeds. For any other target, where this is only checked and never run, the core library's
//! stand in.

#[cfg(target_arch = "bpf")]
pub use bpf::{compare_exchange, fetch_add};
#[cfg(not(target_arch = "bpf"))]
pub use host::{compare_exchange, fetch_add};

#[cfg(target_arch = "bpf")]
mod bpf {
    use core::arch::asm;

    /// Adds, and gives what was there.
    ///
    /// # Safety
    /// `word` must be a word of a map, aligned to 8.
    #[inline(always)]
    pub unsafe fn fetch_add(word: *mut u64, amount: u64) -> u64 {
        let mut value = amount;
        // SAFETY: the caller's.
        unsafe {
            asm!(
                "{value} = atomic_fetch_add((u64 *)({word} + 0), {value})",
                word = in(reg) word,
                value = inout(reg) value,
            );
        }
        value
    }

    /// Puts `new` where `old` is, and gives what was there.
    ///
    /// # Safety
    /// As for [`fetch_add`].
    #[inline(always)]
    pub unsafe fn compare_exchange(word: *mut u64, old: u64, new: u64) -> u64 {
        let mut value = old;
        // SAFETY: the caller's.
        unsafe {
            asm!(
                "r0 = cmpxchg_64({word} + 0, r0, {new})",
                word = in(reg) word,
                new = in(reg) new,
                inout("r0") value,
            );
        }
        value
    }
}

#[cfg(not(target_arch = "bpf"))]
mod host {
    use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

    /// Adds, and gives what was there.
    ///
    /// # Safety
    /// `word` must be aligned to 8 and valid, and nobody may use it but by these.
    pub unsafe fn fetch_add(word: *mut u64, amount: u64) -> u64 {
        // SAFETY: the caller's.
        unsafe { AtomicU64::from_ptr(word) }.fetch_add(amount, SeqCst)
    }

    /// Puts `new` where `old` is, and gives what was there.
    ///
    /// # Safety
    /// As for [`fetch_add`].
    pub unsafe fn compare_exchange(word: *mut u64, old: u64, new: u64) -> u64 {
        // SAFETY: the caller's.
        let result =
            unsafe { AtomicU64::from_ptr(word) }.compare_exchange(old, new, SeqCst, SeqCst);
        result.unwrap_or_else(|found| found)
    }
}
