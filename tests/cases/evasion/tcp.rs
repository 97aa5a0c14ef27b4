//! Insertion, evasion and desynchronisation of TCP streams: the list of Ptacek and Newsham, "Insertion,
//! Evasion, and Denial of Service" (1998), sections 5 and 6, and what came since.
//!
//! In each case a host (of the kind the settings name, else Windows) reads `/etc/passwd`.

use super::packet::{ACK, FIN, PSH, RST, SYN, c, s};
use super::{ATTACK, Case, RUNS, Talk, check, said, settings};

const OVERLAP: &str = "stream.reassembly_overlap_different_data";
const UNTRACKED: &str = "stream.untracked_data";
const LINUX: &[&str] = &["host-os-policy.linux=[0.0.0.0/0]"];

/// The attack is there in three parts: `GET /etc/`, `passwd`, the rest.
const HEAD: &[u8] = ATTACK.split_at(9).0;
const WORD: &[u8] = ATTACK.split_at(9).1.split_at(6).0;
const TAIL: &[u8] = ATTACK.split_at(15).1;
const JUNK: &[u8] = b"XXXXXX";
const ALL: i64 = ATTACK.len() as i64;

/// Sends the parts in order, around what is between head and word.
fn around(talk: &mut Talk, between: impl FnOnce(&mut Talk)) {
    talk.send(c(0, HEAD));
    between(talk);
    talk.send(c(9, WORD));
    talk.send(c(15, TAIL));
    talk.acked(ALL);
}

macro_rules! case {
    ($name:literal, $both:expr, $play:expr) => {
        case!($name, $both, $both, &[], $play)
    };
    ($name:literal, $offline:expr, $live:expr, $play:expr) => {
        case!($name, $offline, $live, &[], $play)
    };
    ($name:literal, $offline:expr, $live:expr, $settings:expr, $play:expr) => {
        Case { name: $name, said: [$offline, $live], settings: $settings, play: $play }
    };
}

/// Without evasion the attack is found, and there is nothing else to say.
#[test]
fn a_plain_attack_alerts_and_raises_nothing() {
    let mut talk = Talk::open();
    around(&mut talk, |_| {});
    talk.send(s(0, b"root:x:0:0").ack(ALL));
    talk.send(c(ALL, b"").ack(10).flags(FIN | ACK));
    talk.send(s(10, b"").ack(ALL + 1).flags(FIN | ACK));
    talk.send(c(ALL + 1, b"").ack(11).flags(ACK));
    for run in RUNS {
        let said = said(run, &settings(&[]), &talk.packets);
        assert_eq!(said.into_iter().collect::<Vec<_>>(), ["alert"], "{run:?}");
    }
}

#[test]
fn segments_that_the_host_does_not_take() {
    check(
        &[
            case!("bad TCP checksum", "alert", OVERLAP, |t| {
                around(t, |t| t.send(c(9, JUNK).bad_tcp()));
            }),
            case!("bad IP checksum", "alert", OVERLAP, |t| {
                around(t, |t| t.send(c(9, JUNK).bad_ip()));
            }),
            case!("TTL that does not reach", OVERLAP, |t| {
                around(t, |t| t.send(c(9, JUNK).short_lived()));
            }),
            case!("TTL that does not reach, byte by byte", OVERLAP, |t| {
                for (at, byte) in (0..).zip(ATTACK) {
                    t.send(c(at, b"?").short_lived());
                    t.send(c(at, [*byte]));
                }
                t.acked(ALL);
            }),
            case!("no ACK flag", "alert", |t| {
                around(t, |t| t.send(c(9, JUNK).flags(PSH)));
            }),
            case!("SYN flag", "alert", |t| {
                around(t, |t| t.send(c(9, JUNK).flags(SYN | ACK)));
            }),
            case!("acknowledges what was never sent", "alert", OVERLAP, |t| {
                around(t, |t| t.send(c(9, JUNK).ack(100_000)));
            }),
            case!("before the window", OVERLAP, "alert", |t| {
                t.send(c(0, HEAD));
                t.acked(9);
                t.send(c(0, b"GET /tmp/"));
                t.send(c(9, WORD));
                t.acked(ALL);
            }),
            case!("behind the window", "alert", |t| {
                around(t, |t| t.send(c(9 + 64_000, JUNK)));
            }),
            case!("a keep-alive with another byte", "alert", |t| {
                around(t, |t| t.send(c(8, b"X")));
            }),
            case!("reaches over the edge of a window that shrank", OVERLAP, |t| {
                t.send(s(0, b"").flags(ACK).window(12));
                t.send(c(0, b"GET /etc/pasXXXX"));
                t.acked(12);
                t.send(c(12, b"swd HTTP/1.0\r\n\r\n"));
                t.acked(ALL);
            }),
        ],
        Talk::open,
    );
}

/// A connection with timestamps.
fn with_timestamps() -> Talk {
    let mut talk = Talk::new();
    talk.send(c(-1, b"").flags(SYN).timestamp(5000, 0));
    talk.send(s(-1, b"").flags(SYN | ACK).timestamp(900, 5000));
    talk.send(c(0, b"").flags(ACK).timestamp(5001, 900));
    talk
}

#[test]
fn timestamps_and_options() {
    check(
        &[
            case!("old timestamp", "alert", |t| {
                t.send(c(0, HEAD).timestamp(5002, 900));
                t.send(c(9, JUNK).timestamp(1000, 900));
                t.send(c(9, WORD).timestamp(5003, 900));
                t.send(c(15, TAIL).timestamp(5003, 900));
                t.send(s(0, b"").flags(ACK).ack(ALL).timestamp(901, 5003));
            }),
            case!("a timestamp in the future", "alert", "stream.pkt_invalid_timestamp", |t| {
                // Not in the window, so the host never keeps it; the sensor must not either.
                t.send(c(100_000, JUNK).timestamp(5002 + (1 << 30), 900));
                t.send(c(0, HEAD).short_lived().timestamp(5002 + (1 << 30), 900));
                t.send(c(0, HEAD).timestamp(5002, 900));
                t.send(c(9, WORD).timestamp(5003, 900));
                t.send(s(0, b"").flags(ACK).ack(ALL).timestamp(901, 5003));
            }),
            case!("no timestamp", "alert", |t| {
                t.send(c(0, HEAD).timestamp(5002, 900));
                t.send(c(9, WORD));
                t.send(s(0, b"").flags(ACK).ack(15).timestamp(901, 5003));
            }),
        ],
        with_timestamps,
    );
    check(
        &[
            case!("an option longer than the header", "alert", |t| {
                t.send(c(0, HEAD).options(&[254, 40, 0, 0]));
                t.send(c(9, WORD).options(&[8, 40, 0, 0]));
                t.acked(15);
            }),
            case!("an option of length 0", "alert", |t| {
                t.send(c(0, HEAD).options(&[8, 0]));
                t.send(c(9, WORD).options(&[77, 1]));
                t.acked(15);
            }),
            case!("forty bytes of nothing", "alert", |t| {
                t.send(c(0, HEAD).options(&[1; 40]));
                t.send(c(9, WORD).options(&[0; 40]));
                t.acked(15);
            }),
            case!("junk with malformed options", OVERLAP, |t| {
                around(t, |t| t.send(c(9, JUNK).options(&[8, 0])));
            }),
        ],
        Talk::open,
    );
}

#[test]
fn resets_and_ends_that_are_none() {
    check(
        &[
            case!("RST out of the window", "alert", |t| {
                around(t, |t| t.send(c(200_000, b"").flags(RST)));
            }),
            case!("RST in the window, but not next", "alert", |t| {
                around(t, |t| t.send(c(100, b"").flags(RST)));
            }),
            case!("RST in the window, Linux", UNTRACKED, UNTRACKED, LINUX, |t| {
                around(t, |t| t.send(c(100, b"").flags(RST)));
            }),
            case!("RST with a bad checksum", "alert", UNTRACKED, |t| {
                around(t, |t| t.send(c(9, b"").flags(RST).bad_tcp()));
            }),
            case!("RST that does not reach", UNTRACKED, |t| {
                around(t, |t| t.send(c(9, b"").flags(RST).short_lived()));
            }),
            case!("RST in the server's name", UNTRACKED, |t| {
                around(t, |t| t.send(s(0, b"").flags(RST | ACK).ack(9).short_lived()));
            }),
            case!("RST with a signature", "stream.suspected_rst_inject", |t| {
                around(t, |t| {
                    let mut option = vec![19, 18];
                    option.resize(18, 7);
                    t.send(c(9, b"").flags(RST).options(&option));
                });
            }),
            case!("RST, then a SYN, neither reaches", UNTRACKED, |t| {
                around(t, |t| {
                    t.send(c(9, b"").flags(RST).short_lived());
                    t.send(c(777_777, b"").flags(SYN).short_lived());
                });
            }),
            case!("RST with data", "alert", |t| {
                around(t, |t| t.send(c(200, JUNK).flags(RST)));
            }),
            case!("FIN out of the window", "alert", |t| {
                around(t, |t| t.send(c(200_000, b"").flags(FIN | ACK)));
            }),
            case!("FIN that does not reach", "alert", |t| {
                around(t, |t| t.send(c(9, b"").flags(FIN | ACK).short_lived()));
            }),
            case!("FIN with data that does not reach", OVERLAP, |t| {
                around(t, |t| t.send(c(9, JUNK).flags(FIN | ACK).short_lived()));
            }),
            case!("FIN of both sides, neither reaches", "alert", |t| {
                around(t, |t| {
                    t.send(c(9, b"").flags(FIN | ACK).short_lived());
                    t.send(s(0, b"").flags(FIN | ACK).ack(10).short_lived());
                });
            }),
            case!("FINs and their ACKs, none reaches", UNTRACKED, |t| {
                around(t, |t| {
                    t.send(c(9, b"").flags(FIN | ACK).short_lived());
                    t.send(s(0, b"").flags(FIN | ACK).ack(10).short_lived());
                    t.send(c(10, b"").flags(ACK).ack(1).short_lived());
                });
            }),
            case!("FIN before the data", "alert", |t| {
                t.send(c(ALL, b"").flags(FIN | ACK));
                t.send(c(9, &ATTACK[9..]));
                t.send(c(0, HEAD));
                t.acked(ALL + 1);
            }),
        ],
        Talk::open,
    );
}

#[test]
fn handshakes_of_another_kind() {
    check(
        &[
            case!(
                "data with the SYN, taken by the host",
                "stream.3whs_synack_with_wrong_ack",
                |t| {
                    t.send(c(-1, HEAD).flags(SYN));
                    t.send(s(-1, b"").flags(SYN | ACK).ack(9));
                    t.send(c(9, &ATTACK[9..]));
                    t.acked(ALL);
                }
            ),
            case!("data with the SYN, taken later", "stream.reassembly_seq_gap", |t| {
                t.send(c(-1, HEAD).flags(SYN));
                t.send(s(-1, b"").flags(SYN | ACK));
                t.send(c(9, &ATTACK[9..]));
                t.acked(ALL);
                t.send(c(ALL, b"\n"));
                t.acked(ALL + 1);
            }),
            case!("other data with the SYN, not taken", "alert", |t| {
                t.send(c(-1, b"GET /tmp/").flags(SYN));
                t.send(s(-1, b"").flags(SYN | ACK));
                t.send(c(0, HEAD));
                t.send(c(9, WORD));
                t.acked(15);
            }),
            case!("fast open with data", "alert", |t| {
                t.send(c(-1, HEAD).flags(SYN).options(&[34, 10, 1, 2, 3, 4, 5, 6, 7, 8]));
                t.send(s(-1, b"").flags(SYN | ACK).ack(9));
                t.send(c(9, &ATTACK[9..]));
                t.acked(ALL);
            }),
            case!("a SYN with another number before", UNTRACKED, |t| {
                t.send(c(70_000, b"").flags(SYN).short_lived());
                t.handshake();
                around(t, |_| {});
            }),
            case!("a SYN with another number behind", "alert", |t| {
                t.send(c(-1, b"").flags(SYN));
                t.send(c(70_000, b"").flags(SYN).short_lived());
                t.send(s(-1, b"").flags(SYN | ACK));
                t.send(c(0, b"").flags(ACK));
                around(t, |_| {});
            }),
            case!("a SYN with another number behind the SYN/ACK", "alert", |t| {
                t.send(c(-1, b"").flags(SYN));
                t.send(s(-1, b"").flags(SYN | ACK));
                t.send(c(70_000, b"").flags(SYN).short_lived());
                t.send(c(0, b"").flags(ACK));
                around(t, |_| {});
            }),
            case!("a SYN/ACK of nobody", "alert", |t| {
                t.send(c(-1, b"").flags(SYN));
                t.send(s(90_000, b"").flags(SYN | ACK).short_lived());
                t.send(s(-1, b"").flags(SYN | ACK));
                t.send(c(0, b"").flags(ACK));
                around(t, |_| {});
            }),
            case!("an ACK of nothing, then the true one", "alert", |t| {
                t.send(c(-1, b"").flags(SYN));
                t.send(s(-1, b"").flags(SYN | ACK));
                t.send(c(0, b"").flags(ACK).ack(4242));
                t.send(c(0, b"").flags(ACK));
                around(t, |_| {});
            }),
            case!("both sides open", "alert", |t| {
                t.send(c(-1, b"").flags(SYN));
                t.send(s(-1, b"").flags(SYN));
                t.send(c(-1, b"").flags(SYN | ACK));
                t.send(s(-1, b"").flags(SYN | ACK));
                t.send(c(0, b"").flags(ACK));
                around(t, |_| {});
            }),
            case!("no handshake", UNTRACKED, |t| around(t, |_| {})),
            case!("a handshake and no answer", UNTRACKED, |t| {
                t.send(c(-1, b"").flags(SYN));
                around(t, |_| {});
            }),
            case!(
                "a small window, and data over its edge",
                "stream.est_packet_out_of_window",
                OVERLAP,
                |t| {
                    // The host takes what fits.
                    t.send(c(-1, b"").flags(SYN));
                    t.send(s(-1, b"").flags(SYN | ACK).window(12));
                    t.send(c(0, b"").flags(ACK));
                    t.send(c(0, b"GET /etc/pasXXXX"));
                    t.acked(12);
                    t.send(c(12, b"swd HTTP/1.0\r\n\r\n"));
                    t.acked(ALL);
                }
            ),
            case!("window scale of 15", "stream.window_scale_too_large", |t| {
                t.send(c(-1, b"").flags(SYN).options(&[3, 3, 15]));
                t.send(s(-1, b"").flags(SYN | ACK).options(&[3, 3, 15]));
                t.send(c(0, b"").flags(ACK));
                around(t, |_| {});
            }),
            case!("the numbers wrap", "alert", |t| {
                t.isn = [u32::MAX - 12, u32::MAX];
                t.handshake();
                t.send(c(9, &ATTACK[9..]));
                t.send(c(0, HEAD));
                t.acked(ALL);
            }),
            case!("the connection before was closed", "alert", |t| {
                t.handshake();
                t.send(c(0, b"").flags(FIN | ACK));
                t.send(s(0, b"").flags(FIN | ACK).ack(1));
                t.send(c(1, b"").flags(ACK).ack(1));
                t.isn = [9_000_000, 8_000_000];
                t.handshake();
                around(t, |_| {});
            }),
        ],
        Talk::new,
    );
}

#[test]
fn urgent_data() {
    const URGENT: &str = "stream.reassembly_urgent_data";
    check(
        &[
            case!("an urgent byte that is not part of the stream", "alert", |t| {
                t.send(c(0, b"GET /etc/pXasswd HTTP/1.0\r\n").urgent(11));
                t.acked(27);
            }),
            case!("an urgent byte that is", URGENT, |t| {
                t.send(c(0, ATTACK).urgent(10));
                t.acked(ALL);
            }),
            case!("the byte behind the pointer is the urgent one", URGENT, |t| {
                t.send(c(0, b"GET /etc/pXasswd HTTP/1.0\r\n").urgent(10));
                t.acked(27);
            }),
            case!("a pointer of 0", "alert", |t| {
                t.send(c(0, ATTACK).urgent(0));
                t.acked(ALL);
            }),
            case!("a pointer behind the segment", URGENT, |t| {
                t.send(c(0, HEAD).urgent(10));
                t.send(c(9, b"Xpasswd").urgent(1));
                t.acked(16);
            }),
        ],
        Talk::open,
    );
}

#[test]
fn copies_that_differ() {
    check(
        &[
            case!("junk, then the attack, before the ACK", OVERLAP, |t| {
                t.send(c(0, b"GET /tmp/nothing HTTP/1.0\r\n\r").short_lived());
                t.send(c(0, ATTACK));
                t.acked(ALL);
            }),
            case!("the attack, then junk, before the ACK", "alert", |t| {
                t.send(c(0, HEAD));
                t.send(c(9, WORD));
                t.send(c(9, JUNK));
                t.acked(15);
            }),
            case!("the attack, then junk, behind the ACK", "alert", |t| {
                around(t, |_| {});
                t.send(c(9, JUNK));
            }),
            case!(
                "junk, an ACK of nobody, then the attack",
                "stream.pkt_spurious_retransmission",
                |t| {
                    t.send(c(0, HEAD));
                    t.send(c(9, JUNK).short_lived());
                    t.send(s(0, b"").flags(ACK).ack(15).short_lived());
                    t.send(c(9, WORD));
                    t.acked(15);
                }
            ),
            case!("junk out of order", OVERLAP, |t| {
                t.send(c(9, JUNK).short_lived());
                t.send(c(9, WORD));
                t.send(c(0, HEAD));
                t.acked(15);
            }),
            case!("a longer segment over a shorter one", OVERLAP, |t| {
                t.send(c(10, b"XX").short_lived());
                t.send(c(5, b"etc/passwd HT"));
                t.send(c(0, b"GET /"));
                t.acked(18);
            }),
            case!("single bytes, backwards, each twice", "alert", |t| {
                for (at, byte) in (0..).zip(ATTACK).collect::<Vec<_>>().into_iter().rev() {
                    t.send(c(at, [*byte]));
                    t.send(c(at, [*byte]));
                }
                t.acked(ALL);
            }),
            case!("single bytes in order, not acknowledged", "alert", |t| {
                for (at, byte) in (0..).zip(ATTACK) {
                    t.send(c(at, [*byte]));
                }
            }),
        ],
        Talk::open,
    );
}

/// Bounds of the stream engine: what lies behind them is not seen, and said so.
#[test]
fn bounds_that_are_used_up() {
    fn wide() -> Talk {
        let mut talk = Talk::new();
        talk.send(c(-1, b"").flags(SYN).options(&[3, 3, 7]));
        talk.send(s(-1, b"").flags(SYN | ACK).options(&[3, 3, 7]));
        talk.send(c(0, b"").flags(ACK));
        talk.acked(0);
        talk
    }
    check(
        &[
            case!("too much behind a hole", "alert", "stream.reassembly_seq_gap", |t| {
                t.send(c(0, HEAD));
                for block in 0..30 {
                    t.send(c(15 + block * 10_000, [b'x'; 10_000]));
                }
                t.send(c(9, WORD));
                t.acked(300_015);
            }),
            case!("behind the depth", "stream.reassembly_depth_reached", |t| {
                for block in 0..110 {
                    t.send(c(block * 10_000, [b'x'; 10_000]));
                    t.acked((block + 1) * 10_000);
                }
                t.send(c(1_100_000, HEAD));
                t.send(c(1_100_009, WORD));
                t.acked(1_100_015);
            }),
            case!("too many segments", "stream.reassembly_insert_limit", |t| {
                t.send(c(0, HEAD));
                for at in 0..2100 {
                    t.send(c(20 + at * 2, b"x"));
                }
                t.send(c(9, WORD));
                t.acked(15);
            }),
        ],
        wide,
    );
}

/// For each kind of host, two copies of the same bytes behind a hole: whichever the host takes, the sensor
/// sees one of them, the same for the same host, and the event tells of the other.
#[test]
fn overlaps_of_every_kind_of_host() {
    let hosts = [
        "first",
        "last",
        "bsd",
        "bsd-right",
        "linux",
        "old-linux",
        "windows",
        "windows2k3",
        "vista",
        "solaris",
        "old-solaris",
        "hpux10",
        "hpux11",
        "macos",
        "irix",
    ];
    // Where the old and the new copy lie; both cover the word (9..15).
    let shapes = [
        (9, 15, 9, 15),
        (9, 15, 5, 20),
        (5, 20, 9, 15),
        (9, 15, 9, 20),
        (9, 20, 9, 15),
        (5, 15, 9, 20),
        (9, 20, 5, 15),
    ];
    for host in hosts {
        let settings = settings(&[&format!("host-os-policy.{host}=[0.0.0.0/0]")]);
        for (old_from, old_to, new_from, new_to) in shapes {
            let mut alerted = Vec::new();
            for attack_is_new in [false, true] {
                let mut junk = ATTACK.to_vec();
                junk[9..15].copy_from_slice(JUNK);
                let (old, new) = match attack_is_new {
                    true => (&junk[..], ATTACK),
                    false => (ATTACK, &junk[..]),
                };
                let mut talk = Talk::open();
                talk.send(c(old_from as i64, &old[old_from..old_to]));
                talk.send(c(new_from as i64, &new[new_from..new_to]));
                talk.send(c(0, &ATTACK[..5]));
                talk.send(c(5, &ATTACK[5..9]));
                talk.send(c(20, &ATTACK[20..]));
                talk.send(c(15, &ATTACK[15..20]));
                talk.acked(ALL);
                let [offline, live] = RUNS.map(|run| said(run, &settings, &talk.packets));
                assert!(offline.contains(OVERLAP), "{host} {old_from}..{old_to}: {offline:?}");
                assert_eq!(offline, live, "{host} {old_from}..{old_to} {new_from}..{new_to}");
                alerted.push(offline.contains("alert"));
            }
            assert_ne!(alerted[0], alerted[1], "{host} {old_from}..{old_to} {new_from}..{new_to}");
        }
    }
}
