//! Who sits on an interface already, and whether he may be asked to leave.
//!
//! A sensor that dies takes its links with it, so what is left of one is rare: a link pinned in a bpffs,
//! or a program that somebody attached through netlink. Such leftovers are taken over. A sensor that
//! still runs is named, a stranger's program is named, and both stay unless the user forces it.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use super::bpf::{self, LinkInfo, Tcx};
use super::error::CaptureError;
use crate::capture::interface::{Interface, XdpHook};
use crate::capture::netlink;

/// A place on an interface where one of our programs shall go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// XDP, in whatever mode: there is room for one program.
    Xdp,
    /// tcx: programs stand in a row; only another one of ours is in the way.
    Tcx(Tcx),
}

/// Makes room, and says in one line each what was taken off.
pub(super) fn make_room(
    interface: &Interface,
    place: Place,
    force: bool,
) -> Result<Vec<String>, CaptureError> {
    let occupants = match place {
        Place::Xdp => on_xdp(interface),
        Place::Tcx(side) => on_tcx(interface, side),
    };
    let mut notes = Vec::new();
    for occupant in occupants {
        let kind = occupant.judge(force).map_err(|refusal| occupant.refuse(interface, refusal))?;
        occupant.evict(interface).map_err(|source| CaptureError::TakeOver {
            interface: interface.name.clone(),
            name: occupant.name(),
            source,
        })?;
        notes.push(format!("{}: took over from {kind} {}", interface.name, occupant.name()));
    }
    Ok(notes)
}

struct Occupant {
    hook: Option<XdpHook>,
    program: u32,
    /// `None` where it may not be read.
    name: Option<String>,
    link: Option<u32>,
}

enum Refusal {
    Running(Owner),
    Unknown,
    Stranger,
}

fn on_xdp(interface: &Interface) -> Vec<Occupant> {
    // Without CAP_SYS_ADMIN nothing can be told of others; they then count as strangers.
    let links = bpf::xdp_links().unwrap_or_default();
    let all = interface.xdp.iter().map(|program| {
        let held =
            |link: &&LinkInfo| link.program == program.id && link.interface == interface.index;
        Occupant {
            hook: Some(program.hook),
            program: program.id,
            name: bpf::program(program.id).ok().map(|(_, name)| name),
            link: links.iter().find(held).map(|link| link.id),
        }
    });
    all.collect()
}

fn on_tcx(interface: &Interface, side: Tcx) -> Vec<Occupant> {
    let links = bpf::tcx_links(interface.index, side).unwrap_or_default();
    let all = links.into_iter().map(|link| Occupant {
        hook: None,
        program: link.program,
        name: bpf::program(link.program).ok().map(|(_, name)| name),
        link: (link.id != 0).then_some(link.id),
    });
    all.filter(Occupant::is_ours).collect()
}

impl Occupant {
    fn is_ours(&self) -> bool {
        self.name.as_ref().is_some_and(|name| name.starts_with(nids_abi::PROG_PREFIX))
    }

    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "its name cannot be read".into())
    }

    /// In what words it may be taken off, if it may.
    fn judge(&self, force: bool) -> Result<&'static str, Refusal> {
        if !self.is_ours() {
            return if force { Ok("the stranger") } else { Err(Refusal::Stranger) };
        }
        match owner(self.program, self.link) {
            Some(_) if force => Ok("the running sensor's"),
            Some(owner) => Err(Refusal::Running(owner)),
            // A process outside our own PID namespace may hold it, unseen.
            None if !sees_all_processes() && !force => Err(Refusal::Unknown),
            None => Ok("a dead sensor's"),
        }
    }

    fn refuse(&self, interface: &Interface, refusal: Refusal) -> CaptureError {
        let interface = interface.name.clone();
        match refusal {
            Refusal::Running(Owner { pid, command }) => {
                CaptureError::Running { interface, pid, command }
            }
            Refusal::Unknown => CaptureError::RunningElsewhere { interface, name: self.name() },
            Refusal::Stranger => CaptureError::Occupied {
                interface,
                name: self.name(),
                id: self.program,
                hook: self.hook.unwrap_or(XdpHook::Generic),
            },
        }
    }

    fn evict(&self, interface: &Interface) -> io::Result<()> {
        match (self.link, self.hook) {
            (Some(link), _) => bpf::detach(bpf::link(link)?.as_fd()),
            (None, Some(hook)) => {
                let (program, _) = bpf::program(self.program)?;
                netlink::remove_xdp(interface.index, hook, program.as_fd())
            }
            (None, None) => Err(io::Error::other("it was attached without a link")),
        }
    }
}

struct Owner {
    pid: u32,
    command: String,
}

/// The first process that holds the program or the link open.
fn owner(program: u32, link: Option<u32>) -> Option<Owner> {
    let wanted = |line: &str| {
        let Some((key, value)) = line.split_once(':') else { return false };
        let value = value.trim().parse().ok();
        match key {
            "link_id" => link.is_some() && value == link,
            "prog_id" => value == Some(program),
            _ => false,
        }
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        for file in files.flatten() {
            let is_bpf = fs::read_link(file.path())
                .is_ok_and(|target| target.to_string_lossy().starts_with("anon_inode:bpf"));
            let info = process.path().join("fdinfo").join(file.file_name());
            if is_bpf && fs::read_to_string(info).is_ok_and(|text| text.lines().any(wanted)) {
                let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(Owner { pid, command: command.trim().into() });
            }
        }
    }
    None
}

/// Whether this process is in the machine's first PID namespace (`PROC_PID_INIT_INO`).
fn sees_all_processes() -> bool {
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]")
}
