//! Evasion by fragments of IPv4 (RFC 791; RFC 1858 and 3128 tell of tiny ones) and IPv6 (RFC 8200, 4.5;
//! RFC 5722, 6946), alone, around segments, and in tunnels.

use std::collections::BTreeSet;

use super::packet::{Part, c, cut, fragment4, fragment6, ipv4, ipv6, payload4, udp, udp6, wrapped};
use super::{ATTACK, RUNS, Run, Talk, said, settings};

const OVERLAP4: &str = "decoder.ipv4.frag_overlap";
const AGAIN4: &str = "decoder.ipv4.frag_again";
const OVERLAP6: &str = "decoder.ipv6.frag_overlap";
const AGAIN6: &str = "decoder.ipv6.frag_again";
const HOSTS: [&str; 7] = ["first", "last", "bsd", "bsd-right", "linux", "windows", "solaris"];

/// The attack in a datagram: the word lies in bytes 24..40 of the payload of IP.
const TEXT: &[u8] = b"GET ////////////etc/passwd//////////////";

fn datagram() -> Vec<u8> {
    assert_eq!(TEXT.windows(11).filter(|bytes| *bytes == b"/etc/passwd").count(), 1);
    udp(TEXT)
}

fn parts(places: &[usize]) -> Vec<Part> {
    cut(payload4(&datagram()), places)
}

fn fragments(parts: &[Part]) -> Vec<(u64, Vec<u8>)> {
    let whole = datagram();
    (1..).zip(parts).map(|(time, part)| (time, fragment4(&whole, 9, part))).collect()
}

/// The same place with other bytes.
fn junk(part: &Part) -> Part {
    Part { bytes: vec![b'X'; part.bytes.len()], ..part.clone() }
}

fn both(packets: &[(u64, Vec<u8>)], texts: &[&str]) -> [BTreeSet<String>; 2] {
    RUNS.map(|run| said(run, &settings(texts), packets))
}

/// All orders of these.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    (0..items.len())
        .flat_map(|first| {
            let mut rest = items.to_vec();
            let item = rest.remove(first);
            orders(&rest).into_iter().map(move |mut order| {
                order.insert(0, item.clone());
                order
            })
        })
        .collect()
}

#[track_caller]
fn says(packets: &[(u64, Vec<u8>)], wanted: &str) {
    for (run, said) in RUNS.into_iter().zip(both(packets, &[])) {
        assert!(said.contains(wanted), "{run:?}: wanted {wanted}, got {said:?}");
    }
}

#[track_caller]
fn says_only(packets: &[(u64, Vec<u8>)], wanted: &[&str]) {
    for (run, said) in RUNS.into_iter().zip(both(packets, &[])) {
        assert_eq!(said.iter().map(String::as_str).collect::<Vec<_>>(), wanted, "{run:?}");
    }
}

#[test]
fn fragments_of_any_size_in_any_order() {
    says_only(&[(1, datagram())], &["alert"]);
    says_only(&fragments(&parts(&[8, 16, 24, 32, 40])), &["alert"]);
    let mut backwards = parts(&[8, 16, 24, 32, 40]);
    backwards.reverse();
    says_only(&fragments(&backwards), &["alert"]);
    for order in orders(&parts(&[8, 24, 32])) {
        says_only(&fragments(&order), &["alert"]);
    }
}

/// A missing piece: no host reads it. It is given up, counted, and the id is free again.
#[test]
fn a_datagram_that_is_never_finished() {
    let pieces = parts(&[24]);
    let mut packets = fragments(&pieces[..1]);
    says_only(&packets, &[]);
    // Long after every host has forgotten it, another one with the same id.
    packets.extend(fragments(&pieces).into_iter().map(|(time, packet)| (time + 100_000, packet)));
    says_only(&packets, &["alert"]);
    // The host has forgotten the junk (Linux after 30 s) and the sensor has not.
    let mut packets = fragments(&[junk(&pieces[1])]);
    packets.extend(fragments(&pieces).into_iter().map(|(time, packet)| (time + 35_000, packet)));
    says(&packets, AGAIN4);
}

/// Two copies of the middle, for each kind of host, at every place among the others.
#[test]
fn pairs_with_other_content() {
    for host in HOSTS {
        let host = format!("host-os-policy.{host}=[0.0.0.0/0]");
        let three = parts(&[24, 40]);
        for first_is_true in [true, false] {
            let copies = match first_is_true {
                true => [three[1].clone(), junk(&three[1])],
                false => [junk(&three[1]), three[1].clone()],
            };
            // Both copies come before the one that makes the datagram whole.
            for (outer, last) in [(0, 2), (2, 0)] {
                let order = [
                    three[outer].clone(),
                    copies[0].clone(),
                    copies[1].clone(),
                    three[last].clone(),
                ];
                for said in both(&fragments(&order), &[&host]) {
                    assert!(said.contains(OVERLAP4), "{host}: {said:?}");
                }
                // Or the first of them makes it whole.
                let order = [&three[outer], &three[last], &copies[0], &copies[1]].map(Clone::clone);
                for said in both(&fragments(&order), &[&host]) {
                    assert!(said.contains(AGAIN4), "{host}: {said:?}");
                }
            }
        }
    }
}

/// Three fragments that overlap each other in pairs, with other bytes in each, in every order and for
/// every kind of host, then those that make the datagram whole. No order passes without a word.
#[test]
fn triplets_in_every_order() {
    let payload = payload4(&datagram()).to_vec();
    let of =
        |from: usize, to: usize| Part { at: from, bytes: payload[from..to].to_vec(), more: true };
    let shapes: [[(usize, usize); 3]; 4] = [
        [(8, 32), (24, 40), (16, 40)],
        [(16, 32), (24, 40), (24, 32)],
        [(8, 40), (16, 32), (24, 40)],
        [(24, 40), (24, 40), (24, 40)],
    ];
    for host in HOSTS {
        let host = format!("host-os-policy.{host}=[0.0.0.0/0]");
        for shape in shapes {
            for true_one in 0..3 {
                let mut three = shape.map(|(from, to)| of(from, to)).to_vec();
                for (number, part) in three.iter_mut().enumerate() {
                    if number != true_one {
                        part.bytes.iter_mut().for_each(|byte| *byte = b'0' + number as u8);
                    }
                }
                for mut order in orders(&three) {
                    order.push(of(0, 24));
                    let last = payload.len();
                    order.push(Part { more: false, ..of(40, last) });
                    let said = said(Run::Live, &settings(&[&host]), &fragments(&order));
                    assert!(said.contains(OVERLAP4), "{host} {shape:?} {true_one}: {said:?}");
                }
            }
        }
    }
}

#[test]
fn odd_fragments_of_ipv4() {
    let whole = datagram();
    let three = parts(&[24, 40]);
    let [first, middle, last] = &three[..] else { panic!() };

    // Equal copies are as good as one; the event says that they overlap.
    says(&fragments(&[first.clone(), first.clone(), middle.clone(), last.clone()]), "alert");
    // Two ends.
    let early = Part { more: false, ..junk(middle) };
    for order in orders(&[first.clone(), middle.clone(), last.clone(), early]) {
        for said in both(&fragments(&order), &[]) {
            assert!(!said.is_empty(), "{order:?}");
        }
    }
    // Behind the largest datagram there can be: no host takes it.
    let ping_of_death = Part { at: 65_528, bytes: vec![b'X'; 64], more: true };
    let order = [first.clone(), ping_of_death, middle.clone(), last.clone()];
    says(&fragments(&order), "alert");
    says(&fragments(&order), "decoder.ipv4.frag_pkt_too_large");
    // Not a multiple of eight: Linux cuts it, others drop it.
    let odd = Part { bytes: [&middle.bytes[..], b"XXXX"].concat(), ..middle.clone() };
    for order in orders(&[first.clone(), odd, last.clone()]) {
        for said in both(&fragments(&order), &[]) {
            assert!(said.contains("alert") || said.contains(OVERLAP4), "{order:?} {said:?}");
        }
    }
    // An empty one.
    let empty = Part { at: 24, bytes: Vec::new(), more: true };
    says(&fragments(&[first.clone(), empty, middle.clone(), last.clone()]), "alert");
    // Junk of another protocol or another id belongs to another datagram.
    let mut packets = fragments(&[first.clone(), middle.clone(), last.clone()]);
    packets.insert(1, (1, fragment4(&whole, 8, &junk(middle))));
    let other = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 6.into(), 64, payload4(&whole));
    packets.insert(1, (1, fragment4(&other, 9, &junk(middle))));
    says_only(&packets, &["alert"]);
    // A TTL that does not reach, a bad checksum.
    for (at, value) in [(8, 1), (10, 0x55)] {
        let mut packets = fragments(&[first.clone(), junk(middle), middle.clone(), last.clone()]);
        packets[1].1[at] = value;
        says(&packets, OVERLAP4);
    }
    // With "don't fragment" set all the same.
    let mut packets = fragments(&three);
    packets.iter_mut().for_each(|(_, packet)| packet[6] |= 0x40);
    says(&packets, "alert");
    // The options of the second fragment are not those of the datagram.
    let mut packets = fragments(&three);
    let part = &mut packets[1].1;
    part[0] = 0x46;
    part.splice(20..20, [1, 1, 1, 1]);
    let length = (part.len() as u16).to_be_bytes();
    part[2..4].copy_from_slice(&length);
    says(&packets, "alert");
}

/// Segments in fragments: the TCP header in pieces, and both layers ambiguous at once.
#[test]
fn fragments_of_segments() {
    let attack = c(0, ATTACK).packet([1000, 5000]);
    let junk_segment = c(9, b"XXXXXX").short_lived().packet([1000, 5000]);
    for places in [&[8][..], &[8, 16], &[16], &[8, 24, 32, 40]] {
        for order in orders(&cut(payload4(&attack), places)) {
            let mut talk = Talk::open();
            for part in &order {
                talk.raw(fragment4(&attack, 3, part));
            }
            talk.acked(ATTACK.len() as i64);
            says_only(&talk.packets, &["alert"]);
        }
    }
    let mut talk = Talk::open();
    talk.send(c(0, &ATTACK[..9]));
    for part in cut(payload4(&junk_segment), &[8, 16, 24]) {
        talk.raw(fragment4(&junk_segment, 4, &part));
    }
    talk.send(c(9, &ATTACK[9..]));
    talk.acked(ATTACK.len() as i64);
    says(&talk.packets, "stream.reassembly_overlap_different_data");

    // A first fragment that rewrites the ports of the header (RFC 1858, 4).
    let pieces = cut(payload4(&attack), &[8, 16]);
    let mut other_ports = pieces[0].clone();
    other_ports.bytes[2] = 0x99;
    let mut talk = Talk::open();
    for part in [&other_ports, &pieces[0], &pieces[1], &pieces[2]] {
        talk.raw(fragment4(&attack, 5, part));
    }
    talk.acked(ATTACK.len() as i64);
    says(&talk.packets, OVERLAP4);
}

fn hop_by_hop(next: u8, payload: &[u8]) -> Vec<u8> {
    [&[next, 0, 1, 4, 0, 0, 0, 0], payload].concat()
}

#[test]
fn fragments_of_ipv6() {
    let whole = udp6(TEXT);
    let three = cut(&whole, &[24, 40]);
    let [first, middle, last] = &three[..] else { panic!() };
    let send = |parts: &[&Part]| -> Vec<(u64, Vec<u8>)> {
        (1..).zip(parts).map(|(time, part)| (time, ipv6(44, &fragment6(17, 7, part)))).collect()
    };
    says_only(&[(1, ipv6(17, &whole))], &["alert"]);
    for order in orders(&[first, middle, last]) {
        says_only(&send(&order), &["alert"]);
    }
    // RFC 5722: a host drops a datagram whose fragments overlap. Some do not.
    for order in orders(&[first, middle, last, &junk(middle)]) {
        for said in both(&send(&order), &[]) {
            let told = said.contains(OVERLAP6) || said.contains(AGAIN6);
            assert!(told, "{order:?}: {said:?}");
        }
    }
    // Options before the fragment header, and in what is fragmented.
    let before: Vec<_> = (1..)
        .zip(&three)
        .map(|(time, part)| (time, ipv6(0, &hop_by_hop(44, &fragment6(17, 7, part)))))
        .collect();
    says(&before, "alert");
    let inside = hop_by_hop(17, &whole);
    let behind: Vec<_> = (1..)
        .zip(&cut(&inside, &[8, 32, 48]))
        .map(|(time, part)| (time, ipv6(44, &fragment6(60, 7, part))))
        .collect();
    says(&behind, "alert");
    // An atomic fragment (RFC 6946) is whole, whatever else has its id.
    let atomic = ipv6(44, &fragment6(17, 7, &Part { at: 0, bytes: whole, more: false }));
    let mut packets = send(&[&junk(middle)]);
    packets.push((2, atomic));
    says(&packets, "alert");
    // A fragment header in a fragment header.
    let twice = |part: &Part| {
        let inner = fragment6(17, 7, part);
        ipv6(44, &fragment6(44, 8, &Part { at: 0, bytes: inner, more: false }))
    };
    let packets: Vec<_> = (1..).zip(&three).map(|(time, part)| (time, twice(part))).collect();
    for said in both(&packets, &[]) {
        assert!(!said.is_empty());
    }
    // A length that no fragment may have.
    let odd = Part { bytes: [&middle.bytes[..], b"XXXX"].concat(), ..middle.clone() };
    let packets = send(&[first, &odd, middle, last]);
    says(&packets, "alert");
    says(&packets, "decoder.ipv6.frag_invalid_length");
}

#[test]
fn tunnels_around_fragments_and_fragments_of_tunnels() {
    for tunnel in ["ipip", "gre", "vxlan"] {
        // The fragments each in a tunnel.
        let three = parts(&[24, 40]);
        for order in orders(&three) {
            let packets: Vec<_> = fragments(&order)
                .into_iter()
                .map(|(time, packet)| (time, wrapped(tunnel, &packet)))
                .collect();
            says(&packets, "alert");
        }
        // With other content in one of them.
        let order = [three[0].clone(), junk(&three[1]), three[1].clone(), three[2].clone()];
        let packets: Vec<_> = fragments(&order)
            .into_iter()
            .map(|(time, packet)| (time, wrapped(tunnel, &packet)))
            .collect();
        says(&packets, OVERLAP4);
        // The tunnel in fragments; and in them a fragmented datagram.
        for inner in [vec![datagram()], fragments(&three).into_iter().map(|f| f.1).collect()] {
            let mut packets = Vec::new();
            for (id, packet) in (20..).zip(&inner) {
                let outer = wrapped(tunnel, packet);
                for part in cut(payload4(&outer), &[8, 24, 48]).iter().rev() {
                    packets.push((1, fragment4(&outer, id, part)));
                }
            }
            says(&packets, "alert");
        }
        // A stream in a tunnel, with a copy that differs.
        let mut talk = Talk::open();
        talk.send(c(0, &ATTACK[..9]));
        talk.send(c(9, b"XXXXXX").short_lived());
        talk.send(c(9, &ATTACK[9..]));
        talk.acked(ATTACK.len() as i64);
        for (_, packet) in &mut talk.packets {
            *packet = wrapped(tunnel, packet);
        }
        says(&talk.packets, "stream.reassembly_overlap_different_data");
    }
}
