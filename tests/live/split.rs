//! tc programs on frames whose headers are not in the linear part of the socket buffer, and on tagged
//! frames: the kernel takes the outer VLAN tag off before the ingress hook.
//!
//! A packet socket with a virtio header makes such buffers: from one page on, only the Ethernet header
//! is linear.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nids_abi::{FLAG_VLAN_OFFLOAD, FilterTable};

use super::bed_ready;
use super::bpf::{Globals, Hook, Kernel, Outcome};
use super::netns::{Namespace, wait_until};
use super::program;
use super::traffic::{self, Random};

/// Longer than a page, so that the kernel does not make the whole frame linear.
const LEN: usize = 4200;

#[test]
fn tc_reads_headers_behind_the_linear_part_and_tags_that_were_taken_off() {
    if !bed_ready(&[]) {
        return;
    }
    let globals = Globals { workers: 2, ..Globals::default() };
    let Some(mut kernel) = Kernel::load(globals) else { return };
    let side = Namespace::new("split").expect("root may make one");
    let quiet = "for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done";
    side.run("sh", &["-c", quiet]).expect("procfs is there");
    side.run(
        "ip",
        &["link", "add", "v0", "mtu", "9000", "type", "veth", "peer", "v1", "mtu", "9000"],
    )
    .expect("veth is there");
    for interface in ["v0", "v1"] {
        side.run("ip", &["link", "set", interface, "up"]).expect("it was just made");
    }
    side.within(|| {
        let _links = [kernel.attach(Hook::Egress, "v0"), kernel.attach(Hook::Ingress, "v1")];
        let socket = packet_socket("v0");
        let mut random = Random(7);
        let mut tagged = 0;
        for round in 0..20 {
            let table = program::table(&mut random);
            kernel.set_table(&table);
            for number in 0..100 {
                let mut frame = traffic::frame(&mut random);
                frame.resize(LEN, 0);
                let what = || format!("table {round}, frame {number}");
                let [leaving, coming] = send(&mut kernel, &socket, &frame);
                program::check(&globals, Hook::Egress, &table, &frame, &leaving, &what);
                tagged += u32::from(check_ingress(&globals, &table, frame, coming, &what));
            }
        }
        assert!(tagged > 100, "the generator makes tagged frames");
    });
}

/// Checks what the ingress hook made of `frame`; whether a tag had been taken off.
fn check_ingress(
    globals: &Globals,
    table: &FilterTable,
    mut frame: Vec<u8>,
    mut outcome: Outcome,
    what: &dyn Fn() -> String,
) -> bool {
    let tagged = matches!(frame[12..14], [0x81, 0x00] | [0x88, 0xa8]);
    if tagged {
        let tag: Vec<u8> = frame.drain(12..16).collect();
        if let Some(record) = &mut outcome.record {
            let tci = u16::from_be_bytes([tag[2], tag[3]]);
            assert_eq!(record.header.vlan_tci, tci, "{}", what());
            assert_ne!(record.header.flags & FLAG_VLAN_OFFLOAD, 0, "{}", what());
            // The rest is as for a frame that never had the tag.
            record.header.vlan_tci = 0;
            record.header.flags &= !FLAG_VLAN_OFFLOAD;
        }
    }
    program::check(globals, Hook::Ingress, table, &frame, &outcome, what);
    tagged
}

/// Sends one frame and collects what both programs did.
fn send(kernel: &mut Kernel, socket: &OwnedFd, frame: &[u8]) -> [Outcome; 2] {
    const HOOKS: [Hook; 2] = [Hook::Egress, Hook::Ingress];
    let before = HOOKS.map(|hook| kernel.counters(hook));
    // struct virtio_net_hdr: no offload, and a header length of 0.
    let packet = [&[0; 10], frame].concat();
    // SAFETY: the pointer and the length are those of `packet`.
    let sent = unsafe { libc::send(socket.as_raw_fd(), packet.as_ptr().cast(), packet.len(), 0) };
    assert_eq!(sent, packet.len() as isize, "{}", std::io::Error::last_os_error());
    let all_there =
        || HOOKS.iter().zip(&before).all(|(hook, old)| kernel.counters(*hook)[0] > old[0]);
    assert!(wait_until(super::netns::LIMIT, all_there), "one of the hooks did not see the frame");
    let mut records = kernel.drain();
    let mut index = 0;
    HOOKS.map(|hook| {
        let reason = kernel.reason_moved(hook, &before[index]);
        index += 1;
        let own = records.iter().position(|record| record.header.port == hook.port());
        let record = own.map(|place| records.swap_remove(place));
        Outcome { reason, verdict: 0, record }
    })
}

/// A packet socket bound to this interface, with a virtio header before each frame.
fn packet_socket(interface: &str) -> OwnedFd {
    let index = nix::net::if_::if_nametoindex(interface).expect("it is there");
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: a fresh descriptor that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let on: libc::c_int = 1;
    // SAFETY: all of it is integers, for which zeros are valid.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = index as i32;
    // SAFETY: the pointers are to values of the sizes given.
    let results = unsafe {
        [
            libc::setsockopt(
                fd,
                libc::SOL_PACKET,
                libc::PACKET_VNET_HDR,
                (&raw const on).cast(),
                size_of_val(&on) as u32,
            ),
            libc::bind(fd, (&raw const address).cast(), size_of_val(&address) as u32),
        ]
    };
    assert_eq!(results, [0, 0], "{}", std::io::Error::last_os_error());
    socket
}
