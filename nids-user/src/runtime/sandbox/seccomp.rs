//! System calls: those the sensor makes while it runs, by a seccomp filter (seccomp(2)).
//!
//! A call that is not on the list fails with EPERM and is written to the kernel's log
//! (`SECCOMP_FILTER_FLAG_LOG`); the process goes on. It is not killed: what is forbidden is as forbidden,
//! and a sensor that a new C library's harmless call can kill is blind when it matters. Calls of another
//! architecture (32-bit ones on x86-64), which no library of this process makes, do kill it.
//!
//! What the list leaves out, and what for: running a program (`execve`) or another process (`fork`),
//! looking into others (`ptrace`, `process_vm_*`), memory that is writable first and executable later
//! (`PROT_EXEC`), mounts, namespaces, modules, keys, `io_uring`, `perf`, clocks; sockets other than local
//! ones and the one that lists interfaces; and of bpf(2) all but the look-up and update of maps that are
//! open already, and the end of a link.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::Report;

/// Calls that are allowed whatever their arguments.
const PLAIN: &[libc::c_long] = &[
    // Files that are open.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fchown,
    libc::SYS_fallocate,
    libc::SYS_flock,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    // Files by name: which, is for Landlock to say.
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_umask,
    // Memory; mapping it is below.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Threads; starting them is below.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_membarrier,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_getcpu,
    // Without rights a thread can only give way to others.
    libc::SYS_setpriority,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Clocks, and waiting.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    // Signals to the process itself.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    // Sockets that are open; opening them is below.
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    // Facts.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    // Fails in the filter before this one, so that the C library falls back on clone.
    libc::SYS_clone3,
];

/// Calls of the same meaning that newer architectures do not have any more.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Restricts all threads of the process.
pub(super) fn restrict(network: bool, report: &mut Report) -> io::Result<()> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
        report.missing.push(format!("no filter of system calls for {}", std::env::consts::ARCH));
        return Ok(());
    };
    let programs = programs(arch, network).map_err(io::Error::other)?;
    // That the library asked for clone3 first is nothing for the log.
    for (program, log) in programs.iter().zip([false, true]) {
        match install(program, log) {
            Ok(()) => {}
            // Built without CONFIG_SECCOMP_FILTER, or forbidden by a filter that is there already.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
                report
                    .missing
                    .push(format!("this kernel takes no filter of system calls ({error})"));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    report.in_force.push("seccomp".into());
    Ok(())
}

fn programs(arch: TargetArch, network: bool) -> Result<[BpfProgram; 2], BackendError> {
    let fail = |code: i32| SeccompAction::Errno(code.cast_unsigned());
    // The flags of clone3 lie in memory, where no filter can see them; those of clone do not.
    let no_clone3 = Rules::from([(libc::SYS_clone3, Vec::new())]);
    let no_clone3 = SeccompFilter::new(no_clone3, SeccompAction::Allow, fail(libc::ENOSYS), arch)?;
    let allowed =
        SeccompFilter::new(allowed(network)?, fail(libc::EPERM), SeccompAction::Allow, arch)?;
    Ok([no_clone3.try_into()?, allowed.try_into()?])
}

fn allowed(network: bool) -> Result<Rules, BackendError> {
    use aya_obj::generated::bpf_cmd::{BPF_LINK_DETACH, BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM};
    let mut rules: Rules = PLAIN.iter().chain(OLDER).map(|call| (*call, Vec::new())).collect();
    let own = u64::from(std::process::id());
    let thread = (libc::CLONE_THREAD | libc::CLONE_VM) as u64;
    let namespaces = (libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::CLONE_NEWNS) as u64;
    let mut put = |call, alternatives: &[&[Test]]| {
        let all: Result<Vec<_>, BackendError> = alternatives.iter().map(|all| rule(all)).collect();
        rules.insert(call, all?);
        Ok::<_, BackendError>(())
    };
    let no_exec = bits(2, libc::PROT_EXEC as u64, 0);
    put(libc::SYS_mmap, &[&[no_exec]])?;
    put(libc::SYS_mprotect, &[&[no_exec]])?;
    // A thread, and nothing that is more than one.
    put(libc::SYS_clone, &[&[bits(0, thread | namespaces, thread)]])?;
    put(libc::SYS_tgkill, &[&[is(0, own)]])?;
    // Logs that are packed keep their rights; nothing becomes set-user-id.
    let set_id = u64::from(libc::S_ISUID | libc::S_ISGID);
    put(libc::SYS_fchmod, &[&[bits(1, set_id, 0)]])?;
    // A thread steps back behind the others.
    put(libc::SYS_setpriority, &[&[is(0, u64::from(libc::PRIO_PROCESS)), is(1, 0)]])?;
    // Its own limits, and not to change them.
    put(libc::SYS_prlimit64, &[&[is(0, 0), wide(2, 0)]])?;
    put(
        libc::SYS_prctl,
        &[&[is(0, libc::PR_SET_NAME as u64)], &[is(0, libc::PR_GET_NAME as u64)]],
    )?;
    put(
        libc::SYS_ioctl,
        // Of std: O_NONBLOCK, O_CLOEXEC, whether it is a terminal; of aya: none.
        &[&[is(1, libc::FIONBIO)], &[is(1, libc::FIOCLEX)], &[is(1, libc::TCGETS)]],
    )?;
    let (local, netlink) = (libc::AF_UNIX as u64, libc::AF_NETLINK as u64);
    let of_routes = libc::NETLINK_ROUTE as u64;
    let mut sockets = vec![vec![is(0, local)], vec![is(0, netlink), is(2, of_routes)]];
    if network {
        // The kind, without SOCK_CLOEXEC and SOCK_NONBLOCK: no raw sockets.
        let kinds = [libc::SOCK_STREAM, libc::SOCK_DGRAM].map(|kind| bits(1, 0xf, kind as u64));
        let families = [libc::AF_INET, libc::AF_INET6].map(|family| is(0, family as u64));
        sockets.extend(kinds.iter().flat_map(|kind| families.map(|family| vec![family, *kind])));
    }
    let sockets: Vec<&[Test]> = sockets.iter().map(Vec::as_slice).collect();
    put(libc::SYS_socket, &sockets)?;
    put(libc::SYS_socketpair, &[&[is(0, local)]])?;
    let commands = [BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_LINK_DETACH];
    let [look_up, update, detach] = commands.map(|command| is(0, command as u64));
    put(libc::SYS_bpf, &[&[look_up], &[update], &[detach]])?;
    Ok(rules)
}

/// One test of one argument.
#[derive(Clone, Copy)]
struct Test {
    argument: u8,
    /// All 64 bits, not the lower half, which is what the kernel reads of an `int`.
    whole: bool,
    /// Of these bits only.
    mask: Option<u64>,
    value: u64,
}

/// The `int` is this.
fn is(argument: u8, value: u64) -> Test {
    Test { argument, whole: false, mask: None, value }
}

/// The pointer is this.
fn wide(argument: u8, value: u64) -> Test {
    Test { argument, whole: true, mask: None, value }
}

/// Of these bits, these are set.
fn bits(argument: u8, mask: u64, value: u64) -> Test {
    Test { argument, whole: true, mask: Some(mask), value }
}

/// All the tests.
fn rule(tests: &[Test]) -> Result<SeccompRule, BackendError> {
    let condition = |test: &Test| {
        let length = if test.whole { SeccompCmpArgLen::Qword } else { SeccompCmpArgLen::Dword };
        let operator = test.mask.map_or(SeccompCmpOp::Eq, SeccompCmpOp::MaskedEq);
        SeccompCondition::new(test.argument, length, operator, test.value)
    };
    let all: Result<Vec<_>, BackendError> = tests.iter().map(condition).collect();
    SeccompRule::new(all?)
}

/// Puts one filter before the calls of all threads.
fn install(program: &BpfProgram, log: bool) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(io::Error::other)?;
    let filter = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    let mut flags = libc::SECCOMP_FILTER_FLAG_TSYNC;
    if log {
        flags |= libc::SECCOMP_FILTER_FLAG_LOG;
    }
    // SAFETY: the program is as long as said, of the layout of `sock_filter`, and only read.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter)
    };
    match result {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_are_short_enough_for_the_kernel() {
        for arch in ["x86_64", "aarch64"] {
            for program in programs(TargetArch::try_from(arch).unwrap(), true).unwrap() {
                assert!((4..=4096).contains(&program.len()), "{arch}: {}", program.len());
            }
        }
    }
}
