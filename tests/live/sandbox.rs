//! What the sensor may still do once it listens: seen from outside in /proc, and tried from inside.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nids::runtime::privilege::Identity;
use nids::runtime::sandbox::Sandbox;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork, pipe};

use super::netns::{Bed, LIMIT, Process, SERVER, SERVER_IFACE, wait_until};
use super::sensor::Balance;

const RULES: &str = "alert udp any any -> any 9 (msg:\"one\"; content:\"first-word\"; sid:1;)\n";

/// A folder that anybody may write to, with the rules in one below it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("rules"), folder.path().join("log")] {
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    fs::write(folder.path().join("rules/test.rules"), RULES).unwrap();
    folder
}

fn start(mut command: Command, folder: &Path, args: &[&str]) -> io::Result<Process> {
    command.args(["run", "--iface", SERVER_IFACE, "--workers", "2"]);
    command.args(["--rules", "rules", "--eve", "log/eve.json"]).args(args);
    let mut process = Process::spawn(command.current_dir(folder))?;
    process.expect_stderr("listening on ")?;
    Ok(process)
}

fn say(bed: &Bed, text: &str) {
    bed.client.within(|| {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
        socket.send_to(text.as_bytes(), (SERVER[0], 9)).unwrap();
    });
}

/// The fields of /proc/PID/task/TID/status of every thread.
fn threads(pid: u32) -> Vec<Vec<(String, String)>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let fields = |text: String| {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.map(|(key, value)| (key.to_owned(), value.trim().replace('\t', " "))).collect()
    };
    tasks
        .map(|task| fields(fs::read_to_string(task.unwrap().path().join("status")).unwrap()))
        .collect()
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap_or_default().lines().count()
}

/// Rotates the log, reloads other rules that were put in the old ones' place, and asks for the balance.
fn works(bed: &Bed, process: &mut Process, folder: &Path) {
    let log = folder.join("log/eve.json");
    say(bed, "first-word");
    assert!(wait_until(LIMIT, || lines(&log) == 1), "{:#?}", process.stderr.all());
    fs::rename(&log, folder.join("log/eve.json.1")).unwrap();
    process.signal(Signal::SIGHUP).unwrap();
    assert!(wait_until(LIMIT, || log.exists()), "{:#?}", process.stderr.all());
    fs::write(folder.join("rules/new"), RULES.replace("first", "second")).unwrap();
    fs::rename(folder.join("rules/new"), folder.join("rules/test.rules")).unwrap();
    process.signal(Signal::SIGUSR2).unwrap();
    let reloaded = process.stderr.find("reloaded: 1 rule", LIMIT);
    assert!(reloaded.is_some(), "{:#?}", process.stderr.all());
    say(bed, "second-word");
    assert!(wait_until(LIMIT, || lines(&log) == 1), "{:#?}", process.stderr.all());
    process.signal(Signal::SIGUSR1).unwrap();
    assert!(process.stderr.find("balance: difference", LIMIT).is_some());
    process.signal(Signal::SIGTERM).unwrap();
    let status = process.wait(LIMIT).unwrap();
    let all = process.stderr.all();
    assert!(status.success(), "{status}\n{}", all.join("\n"));
    assert_eq!(all.last().map(String::as_str), Some("balance: difference 0"), "{all:#?}");
    assert_eq!(Balance::read(&all).unwrap().inspected, 2);
}

#[test]
fn every_thread_has_lost_its_rights_and_the_sensor_works() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let folder = folder();
    let args = ["--user", "nobody", "--group", "daemon"];
    let mut process = start(bed.server.command(super::nids()), folder.path(), &args).unwrap();
    let daemon = nix::unistd::Group::from_name("daemon").unwrap().unwrap().gid.to_string();
    let all = threads(process.pid());
    // Control, writer, two workers.
    assert!(all.len() >= 4, "{}", all.len());
    let none = "0000000000000000";
    let expected = [
        ("Uid", "65534 65534 65534 65534".to_owned()),
        ("Gid", [daemon.as_str(); 4].join(" ")),
        ("Groups", daemon),
        ("CapInh", none.into()),
        ("CapPrm", none.into()),
        ("CapEff", none.into()),
        ("CapBnd", none.into()),
        ("CapAmb", none.into()),
        ("NoNewPrivs", "1".into()),
        ("Seccomp", "2".into()),
        ("Seccomp_filters", "2".into()),
    ];
    for thread in all {
        for (key, value) in &expected {
            let found = thread.iter().find(|(name, _)| name == key).map(|(_, value)| value);
            assert_eq!(found, Some(value), "{key} of {:?}", thread[0]);
        }
    }
    // The sandbox is said to be whole.
    let told = process.stderr.all().join("\n");
    assert!(told.contains("sandbox: user nobody, no capabilities, Landlock, seccomp"), "{told}");
    assert!(!told.contains("warning"), "{told}");
    works(&bed, &mut process, folder.path());
}

#[test]
fn three_capabilities_are_enough_and_root_is_not_needed() {
    if !super::ready(&["setpriv"]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let folder = folder();
    let three = "--inh-caps=-all,+bpf,+net_admin,+perfmon";
    // As systemd does for User= with AmbientCapabilities= and CapabilityBoundingSet=.
    let as_systemd = |command: &mut Command| {
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", three]);
        command.arg("--ambient-caps=-all,+bpf,+net_admin,+perfmon");
        command.arg("--bounding-set=-all,+bpf,+net_admin,+perfmon").arg(super::nids());
    };
    for args in [&[][..], &["--user", "nobody"], &["--mode", "tcx", "--direction", "both"]] {
        let mut command = bed.server.command("setpriv");
        as_systemd(&mut command);
        let mut process = start(command, folder.path(), args).unwrap();
        for thread in threads(process.pid()) {
            for (key, value) in thread {
                match key.as_str() {
                    "CapPrm" | "CapEff" | "CapInh" | "CapAmb" => {
                        assert_eq!(value, "0000000000000000", "{key}");
                    }
                    "NoNewPrivs" => assert_eq!(value, "1"),
                    "Seccomp" => assert_eq!(value, "2"),
                    _ => {}
                }
            }
        }
        if args.contains(&"both") {
            process.signal(Signal::SIGINT).unwrap();
            assert!(process.wait(LIMIT).unwrap().success());
        } else {
            works(&bed, &mut process, folder.path());
        }
        for name in ["log/eve.json", "log/eve.json.1"] {
            let _ = fs::remove_file(folder.path().join(name));
        }
        fs::write(folder.path().join("rules/test.rules"), RULES).unwrap();
    }
}

#[test]
fn without_the_sandbox_it_warns_and_so_it_does_of_logs_it_cannot_open_again() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let folder = folder();
    let nids = || bed.server.command(super::nids());
    let mut process = start(nids(), folder.path(), &["--no-sandbox"]).unwrap();
    let told = process.stderr.all().join("\n");
    assert!(told.contains("the sandbox is off"), "{told}");
    let seccomp =
        |thread: Vec<(String, String)>| thread.into_iter().find(|(key, _)| key == "Seccomp");
    for thread in threads(process.pid()) {
        assert_eq!(seccomp(thread).unwrap().1, "0");
    }
    process.signal(Signal::SIGINT).unwrap();
    assert!(process.wait(LIMIT).unwrap().success());

    let one = ["--set", "security.landlock.enabled=no"];
    let mut process = start(nids(), folder.path(), &one).unwrap();
    let told = process.stderr.all().join("\n");
    assert!(told.contains("Landlock is switched off"), "{told}");
    assert!(!told.contains("cannot be opened again"), "{told}");
    process.signal(Signal::SIGINT).unwrap();
    assert!(process.wait(LIMIT).unwrap().success());

    fs::set_permissions(folder.path().join("log"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut process = start(nids(), folder.path(), &["--user", "nobody"]).unwrap();
    let told = process.stderr.all().join("\n");
    assert!(told.contains("log/eve.json cannot be opened again"), "{told}");
    process.signal(Signal::SIGINT).unwrap();
    assert!(process.wait(LIMIT).unwrap().success());
}

// ------------------------------------------------------------------------------------------- inside

/// What is tried, what must come of it inside, and how. Outside the same must not come of it: so each
/// shows that it is the sandbox that forbids it.
type Attempt = (&'static str, i32, fn(&Places) -> i64);

/// Files of the test.
struct Places {
    read: CString,
    write: CString,
    new: CString,
    other: CString,
}

const ATTEMPTS: &[Attempt] = &[
    ("load a program", libc::EPERM, |_| bpf(5)),
    ("make a map", libc::EPERM, |_| bpf(0)),
    ("pin an object", libc::EPERM, |_| bpf(6)),
    ("attach a program", libc::EPERM, |_| bpf(28)),
    ("get a program by its id", libc::EPERM, |_| bpf(13)),
    ("read a map, wrongly", libc::EINVAL, |_| bpf(1)),
    ("open /etc/shadow", libc::EACCES, |_| open(c"/etc/shadow", libc::O_RDONLY)),
    ("open /etc/passwd, which anybody may", libc::EACCES, |_| open(c"/etc/passwd", libc::O_RDONLY)),
    ("open a file elsewhere", libc::EACCES, |it| open(&it.other, libc::O_RDONLY)),
    ("write where it reads", libc::EACCES, |it| open(&it.read, libc::O_WRONLY)),
    ("read where it reads", 0, |it| open(&it.read, libc::O_RDONLY)),
    ("write where it writes", 0, |it| open(&it.write, libc::O_WRONLY)),
    ("make a file where it writes", 0, |it| open(&it.new, libc::O_WRONLY | libc::O_CREAT)),
    ("run a program", libc::EPERM, |_| call(libc::SYS_execve, [text(c"/absent"), 0, 0])),
    ("start a process", libc::EPERM, |_| match call(libc::SYS_clone, [0, 0, 0]) {
        0 => call(libc::SYS_exit_group, [0, 0, 0]),
        child => child.min(0),
    }),
    ("look into a process", libc::EPERM, |_| {
        call(libc::SYS_ptrace, [libc::PTRACE_ATTACH as usize, 0, 0])
    }),
    ("signal a process", libc::EPERM, |_| {
        call(libc::SYS_kill, [nix::unistd::getppid().as_raw() as usize, 0, 0])
    }),
    ("mount", libc::EPERM, |_| call(libc::SYS_mount, [text(c"none"), text(c"/absent"), 0])),
    ("make a namespace", libc::EPERM, |_| {
        call(libc::SYS_unshare, [libc::CLONE_NEWUTS as usize, 0, 0])
    }),
    ("sniff", libc::EPERM, |_| socket(libc::AF_PACKET, libc::SOCK_RAW, 0)),
    ("send raw packets", libc::EPERM, |_| socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_UDP)),
    ("speak to the network", libc::EPERM, |_| socket(libc::AF_INET, libc::SOCK_STREAM, 0)),
    ("speak to the firewall", libc::EPERM, |_| {
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER)
    }),
    ("list interfaces", 0, |_| socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)),
    ("speak to a local service", 0, |_| socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0)),
    ("make memory executable", libc::EPERM, |_| {
        let access = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let how = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping, at an address that the kernel picks, which nobody uses.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, how, -1, 0) };
        if page == libc::MAP_FAILED { -1 } else { 0 }
    }),
    ("be root", libc::EPERM, |_| call(libc::SYS_setuid, [0, 0, 0])),
    ("set the clock", libc::EPERM, |_| call(libc::SYS_settimeofday, [0, 0, 0])),
    ("use io_uring", libc::EPERM, |_| call(libc::SYS_io_uring_setup, [0, 0, 0])),
    ("start a thread", 0, |_| std::thread::spawn(|| 0).join().unwrap_or(-1)),
];

/// A system call whose arguments can do no harm, also where it is allowed.
fn call(number: libc::c_long, [a, b, c]: [usize; 3]) -> i64 {
    // SAFETY: the arguments are numbers, texts that end in 0 and are only read, and null pointers.
    unsafe { libc::syscall(number, a, b, c, 0, 0, 0) }
}

fn text(text: &std::ffi::CStr) -> usize {
    text.as_ptr().expose_provenance()
}

fn open(path: &std::ffi::CStr, flags: i32) -> i64 {
    // SAFETY: a path that ends in 0.
    unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o600).into() }
}

fn socket(family: i32, kind: i32, protocol: i32) -> i64 {
    // SAFETY: no pointers.
    unsafe { libc::socket(family, kind, protocol).into() }
}

/// A command with an attribute of ones, which none can be carried out with.
fn bpf(command: libc::c_long) -> i64 {
    let attr = [u8::MAX; 64];
    // SAFETY: the attribute is as long as said.
    unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_ptr(), attr.len()) }
}

/// Does all of it in a process of its own; what came of each, 0 or an error number.
fn try_all(places: &Places, sandbox: Option<&Sandbox>) -> Vec<i32> {
    let (from, to) = pipe().unwrap();
    // SAFETY: the child makes its attempts and ends; the C library keeps its allocator usable.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            drop(from);
            let mut to = fs::File::from(to);
            let entered = sandbox.is_none_or(|sandbox| sandbox.enter().is_ok());
            for (_, _, attempt) in ATTEMPTS {
                // SAFETY: the calling thread's own error number.
                let done = unsafe {
                    *libc::__errno_location() = 0;
                    attempt(places)
                };
                let error =
                    if done < 0 { io::Error::last_os_error().raw_os_error() } else { Some(0) };
                let _ = to.write_all(&error.unwrap_or(-1).to_ne_bytes());
            }
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(!entered)) }
        }
        ForkResult::Parent { child } => {
            drop(to);
            let mut bytes = Vec::new();
            fs::File::from(from).read_to_end(&mut bytes).unwrap();
            let end = waitpid(child, None).unwrap();
            assert_eq!(end, nix::sys::wait::WaitStatus::Exited(child, 0));
            let words = bytes.as_chunks().0.iter();
            words.map(|word| i32::from_ne_bytes(*word)).collect()
        }
    }
}

#[test]
fn from_inside_the_forbidden_fails_and_the_rest_does_not() {
    if !super::bed_ready(&[]) {
        return;
    }
    let folder = folder();
    let at = |name: &str| CString::new(folder.path().join(name).to_str().unwrap()).unwrap();
    for name in ["rules/readable", "log/writable", "other"] {
        fs::write(folder.path().join(name), "").unwrap();
        let anybody = fs::Permissions::from_mode(0o666);
        fs::set_permissions(folder.path().join(name), anybody).unwrap();
    }
    let places = Places {
        read: at("rules/readable"),
        write: at("log/writable"),
        new: at("log/new"),
        other: at("other"),
    };
    let sandbox = Sandbox {
        identity: Some(Identity::find("nobody", None).unwrap()),
        read: vec![folder.path().join("rules")],
        write: vec![folder.path().join("log")],
        network: false,
        landlock: true,
        seccomp: true,
    };
    let inside = try_all(&places, Some(&sandbox));
    let outside = try_all(&places, None);
    assert_eq!((inside.len(), outside.len()), (ATTEMPTS.len(), ATTEMPTS.len()));
    for ((what, expected, _), (inside, outside)) in
        ATTEMPTS.iter().zip(inside.into_iter().zip(outside))
    {
        assert_eq!(inside, *expected, "{what}");
        if [libc::EPERM, libc::EACCES].contains(expected) {
            assert_ne!(outside, *expected, "{what}, outside");
        }
    }
}

#[test]
fn outputs_over_the_network_open_tcp_and_udp_and_nothing_else() {
    if !super::bed_ready(&[]) {
        return;
    }
    let nowhere = CString::new("/absent").unwrap();
    let [read, write, new, other] = [0; 4].map(|_| nowhere.clone());
    let places = Places { read, write, new, other };
    let of = |network| {
        let sandbox = Sandbox { network, landlock: true, seccomp: true, ..Sandbox::default() };
        let results = try_all(&places, Some(&sandbox));
        move |what: &str| {
            let place = ATTEMPTS.iter().position(|(name, ..)| *name == what).unwrap();
            results[place]
        }
    };
    let (open, closed) = (of(true), of(false));
    assert_eq!((open("speak to the network"), closed("speak to the network")), (0, libc::EPERM));
    for other in ["sniff", "send raw packets", "speak to the firewall", "run a program"] {
        assert_eq!(open(other), libc::EPERM, "{other}");
    }
}

#[test]
fn a_second_thread_is_one_too_many() {
    // The test runs on one beside the harness's own.
    let failure = Sandbox::default().enter().unwrap_err();
    assert!(failure.message.contains("threads"), "{failure}");
}
