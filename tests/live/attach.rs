//! Attaching: the mode that was asked for, the way around what is in the way, and nothing left behind.

use std::net::UdpSocket;
use std::time::Duration;

use nids::capture::Direction;
use nids::capture::interface;
use nids::capture::ring::Until;
use nids::capture::xdp::{Capture, CaptureError, DirectionChoice, Mode, ModeChoice, Settings};
use nids::cli::exit::{Code, Failure};
use nids_abi::{FilterTable, Reason};

use super::flood;
use super::leftover::{self, BpfFs};
use super::netns::{Bed, CLIENT, CLIENT_IFACE, LIMIT, Namespace, SERVER_IFACE, wait_until};

fn settings(mode: ModeChoice) -> Settings {
    Settings { mode, ..Settings::new(vec![SERVER_IFACE.into()]) }
}

fn open(settings: &Settings) -> Result<Capture, CaptureError> {
    Capture::open(settings).map(|(capture, _)| capture)
}

fn refused(settings: &Settings) -> CaptureError {
    open(settings).err().expect("it must be refused")
}

fn seen(capture: &Capture, port: usize) -> u64 {
    capture.counters(port).unwrap()[Reason::Seen as usize]
}

/// Programs on the interface, as iproute2 and the kernel see them.
fn attached(side: &Namespace, iface: &str) -> String {
    let output = side.output("ip", &["-details", "link", "show", "dev", iface]).unwrap();
    let link = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = link.split_whitespace().filter(|word| word.starts_with("prog/xdp"));
    words.collect()
}

#[test]
fn each_mode_sees_the_traffic_and_leaves_nothing() {
    if !super::ready(&[]) {
        return;
    }
    let modes = [
        (ModeChoice::Auto, Mode::Driver),
        (ModeChoice::Driver, Mode::Driver),
        (ModeChoice::Generic, Mode::Generic),
        (ModeChoice::Tcx, Mode::Tcx),
    ];
    for (choice, mode) in modes {
        let bed = Bed::bare(false).unwrap();
        bed.server.within(|| {
            let capture = open(&settings(choice)).unwrap();
            assert_eq!(capture.ports().len(), 1);
            assert_eq!(capture.ports()[0].mode, mode);
            assert_eq!(attached(&bed.server, SERVER_IFACE).is_empty(), mode == Mode::Tcx);
            let frames = [flood::udp(1, 2, 10)];
            let sent = flood::send(&bed.client, CLIENT_IFACE, &frames, 500, Duration::from_secs(2));
            let sent = sent.unwrap();
            assert!(wait_until(LIMIT, || seen(&capture, 0) >= sent), "{choice:?}");
            assert_eq!((seen(&capture, 0), sent), (500, 500), "{choice:?}");
            drop(capture);
            assert_eq!(attached(&bed.server, SERVER_IFACE), "", "{choice:?}");
            assert_eq!(interface::find(SERVER_IFACE).unwrap().xdp, []);
            // Nothing is in the way of the next one.
            drop(open(&settings(choice)).unwrap());
        });
    }
}

/// Lengths of the frames that come through, captured and on the wire.
fn lengths(bed: &Bed, settings: &Settings, frame: &[u8]) -> Vec<(usize, u32)> {
    bed.server.within(|| {
        let (mut capture, mut rings) = Capture::open(settings).unwrap();
        capture.set_filter(0, &FilterTable::FULL).unwrap();
        capture.start().unwrap();
        let second = Duration::from_secs(1);
        flood::send(&bed.client, CLIENT_IFACE, &[frame.to_vec()], 3, second).unwrap();
        assert!(wait_until(LIMIT, || seen(&capture, 0) >= 3));
        capture.stop().unwrap();
        let mut found = Vec::new();
        for rings in &mut rings {
            rings.drain(Until::Time(u64::MAX - 1), &mut |frame, generation| {
                assert_eq!((frame.port, generation), (0, 0));
                found.push((frame.data.len(), frame.wire_len));
            });
        }
        found
    })
}

#[test]
fn jumbo_frames_come_whole_and_snaplen_cuts_them() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::bare(false).unwrap();
    for (side, iface) in [(&bed.client, CLIENT_IFACE), (&bed.server, SERVER_IFACE)] {
        side.run("ip", &["link", "set", "dev", iface, "mtu", "9000"]).unwrap();
    }
    let frame = flood::udp(1, 2, 8000);
    for mode in [ModeChoice::Driver, ModeChoice::Generic, ModeChoice::Tcx] {
        let whole = (frame.len(), frame.len() as u32);
        assert_eq!(lengths(&bed, &settings(mode), &frame), [whole; 3], "{mode:?}");
        let cut = Settings { snaplen: 1000, ..settings(mode) };
        assert_eq!(lengths(&bed, &cut, &frame), [(1000, whole.1); 3], "{mode:?}");
    }
}

#[test]
fn egress_and_both_see_what_leaves() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    bed.server.within(|| {
        let both = Settings { direction: DirectionChoice::Both, ..settings(ModeChoice::Generic) };
        let capture = open(&both).unwrap();
        let modes: Vec<_> =
            capture.ports().iter().map(|port| (port.direction, port.mode)).collect();
        assert_eq!(modes, [(Direction::Ingress, Mode::Generic), (Direction::Egress, Mode::Tcx)]);
        let socket = UdpSocket::bind(("10.77.0.2", 0)).unwrap();
        for _ in 0..20 {
            socket.send_to(b"hello", (CLIENT[0], 9)).unwrap();
        }
        // ICMP comes back: nobody listens there.
        assert!(wait_until(LIMIT, || seen(&capture, 1) >= 20 && seen(&capture, 0) >= 1));
        assert_eq!(seen(&capture, 1), 20);
    });
}

#[test]
fn several_interfaces_have_a_port_each() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::bare(false).unwrap();
    bed.server.within(|| {
        let interfaces = vec!["lo".into(), SERVER_IFACE.into(), "lo".into()];
        let capture = open(&Settings { interfaces, ..settings(ModeChoice::Auto) }).unwrap();
        let ports: Vec<_> = capture.ports().iter().map(ToString::to_string).collect();
        assert_eq!(ports, ["lo (generic mode)", "s0 (driver mode)"]);
        assert!(capture.notes()[0].contains("no driver mode"), "{:?}", capture.notes());
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"hello", "127.0.0.1:9").unwrap();
        assert!(wait_until(LIMIT, || seen(&capture, 0) >= 2));
        assert_eq!(seen(&capture, 1), 0);
    });
}

#[test]
fn a_mode_that_cannot_be_had_is_refused_with_the_way_out() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::bare(false).unwrap();
    bed.server.within(|| {
        let on_loopback =
            Settings { interfaces: vec!["lo".into()], ..settings(ModeChoice::Driver) };
        let failure = Failure::from(refused(&on_loopback));
        assert_eq!(failure.code, Code::Unavailable);
        assert!(failure.message.contains("no XDP support"), "{failure}");
        assert!(failure.message.contains("--mode generic"), "{failure}");

        let missing = Settings::new(vec!["none0".into()]);
        let failure = Failure::from(refused(&missing));
        assert_eq!(failure.code, Code::Unavailable);
        assert_eq!(failure.message, "there is no interface none0; present are: lo, s0.");
        let failure = Failure::from(interface::default_route().unwrap_err());
        assert!(failure.message.contains("no default route"), "{failure}");
    });
}

#[test]
fn a_running_sensor_is_named_and_stays_unless_forced() {
    if !super::ready(&[]) {
        return;
    }
    for mode in [ModeChoice::Generic, ModeChoice::Tcx] {
        let bed = Bed::bare(false).unwrap();
        bed.server.within(|| {
            let first = open(&settings(mode)).unwrap();
            let error = refused(&settings(mode));
            let pid = format!("process {}", std::process::id());
            assert!(error.to_string().contains(&pid), "{error}");
            assert!(error.to_string().contains("--force"), "{error}");
            let frames = [flood::udp(1, 2, 10)];
            let send = || {
                flood::send(&bed.client, CLIENT_IFACE, &frames, 10, Duration::from_secs(2)).unwrap()
            };
            assert_eq!(send(), 10);
            assert!(wait_until(LIMIT, || seen(&first, 0) == 10), "the first goes on");
            let forced = open(&Settings { force: true, ..settings(mode) }).unwrap();
            assert!(forced.notes()[0].contains("took over"), "{:?}", forced.notes());
            assert_eq!(send(), 10);
            assert!(wait_until(LIMIT, || seen(&forced, 0) == 10));
            assert_eq!(seen(&first, 0), 10, "the first sees no more");
        });
    }
}

#[test]
fn what_a_dead_sensor_left_is_taken_over() {
    if !super::ready(&[]) {
        return;
    }
    let fs = BpfFs::new().unwrap();
    for leave in [leftover::by_netlink, leftover::by_pinned_link] {
        let bed = Bed::bare(false).unwrap();
        leave(&bed.server, &fs, SERVER_IFACE, "nids_xdp").unwrap();
        assert_ne!(attached(&bed.server, SERVER_IFACE), "");
        bed.server.within(|| {
            let capture = open(&settings(ModeChoice::Auto)).unwrap();
            assert_eq!(capture.notes(), ["s0: took over from a dead sensor's nids_xdp"]);
            assert_eq!(capture.ports()[0].mode, Mode::Driver);
        });
    }
}

#[test]
fn a_stranger_stays_unless_forced() {
    if !super::ready(&[]) {
        return;
    }
    let fs = BpfFs::new().unwrap();
    for leave in [leftover::by_netlink, leftover::by_pinned_link] {
        let bed = Bed::bare(false).unwrap();
        leave(&bed.server, &fs, SERVER_IFACE, "firewall").unwrap();
        let before = attached(&bed.server, SERVER_IFACE);
        assert_ne!(before, "");
        bed.server.within(|| {
            let failure = Failure::from(refused(&settings(ModeChoice::Auto)));
            assert_eq!(failure.code, Code::Unavailable);
            for word in ["firewall", "generic mode", "--mode tcx", "--force"] {
                assert!(failure.message.contains(word), "{failure}");
            }
            assert_eq!(attached(&bed.server, SERVER_IFACE), before);
            // There is room beside it.
            drop(open(&settings(ModeChoice::Tcx)).unwrap());
            assert_eq!(attached(&bed.server, SERVER_IFACE), before);
            drop(open(&Settings { force: true, ..settings(ModeChoice::Auto) }).unwrap());
            assert_eq!(attached(&bed.server, SERVER_IFACE), "");
        });
        let _ = std::fs::remove_file(fs.file("firewall"));
    }
}
