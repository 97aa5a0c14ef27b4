//! Community ID, version 1: one name for a flow that many tools agree on.
//!
//! The hash of both ends and the protocol, the smaller end first (the specification and its reference
//! data: corelight/community-id-spec). Made by the writer, so that workers do not pay for it.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

/// What is hashed: one packet's view of its flow. Both directions have the same id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuple {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Source and destination port, where there are any.
    pub(super) ports: Option<(u16, u16)>,
    pub(super) ip_proto: u8,
    /// ICMP type and code.
    pub(super) icmp: Option<(u8, u8)>,
}

impl Tuple {
    /// The id, such as `1:LQU9qZlK+B5F3KDmev6m5PMibrg=`.
    pub(super) fn community_id(&self, seed: u16) -> String {
        let (ports, one_way) = self.ports();
        let (from, to) = ports.unwrap_or_default();
        let (mut first, mut second) = ((self.source, from), (self.destination, to));
        if !one_way && first > second {
            (first, second) = (second, first);
        }
        let mut hash = Sha1::new();
        hash.update(seed.to_be_bytes());
        for (address, _) in [first, second] {
            match address {
                IpAddr::V4(address) => hash.update(address.octets()),
                IpAddr::V6(address) => hash.update(address.octets()),
            }
        }
        hash.update([self.ip_proto, 0]);
        if ports.is_some() {
            hash.update(first.1.to_be_bytes());
            hash.update(second.1.to_be_bytes());
        }
        format!("1:{}", STANDARD.encode(hash.finalize()))
    }

    /// Ports, or what stands for them; and whether only this direction exists.
    fn ports(&self) -> (Option<(u16, u16)>, bool) {
        let answer = match self.ip_proto {
            TCP | UDP | SCTP => return (Some(self.ports.unwrap_or_default()), false),
            ICMP => icmp_answer as fn(u8) -> Option<u8>,
            ICMPV6 => icmpv6_answer,
            _ => return (None, false),
        };
        let Some((kind, code)) = self.icmp else { return (Some((0, 0)), false) };
        match answer(kind) {
            Some(other) => (Some((kind.into(), other.into())), false),
            None => (Some((kind.into(), code.into())), true),
        }
    }
}

/// The type of message that answers this one: echo, router discovery, timestamp, information, address
/// mask.
fn icmp_answer(kind: u8) -> Option<u8> {
    Some(match kind {
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

/// Echo, multicast listeners, router and neighbour discovery, node information, home agents.
fn icmpv6_answer(kind: u8) -> Option<u8> {
    Some(match kind {
        128 => 129,
        129 => 128,
        130 => 131,
        131 => 130,
        133 => 134,
        134 => 133,
        135 => 136,
        136 => 135,
        139 => 140,
        140 => 139,
        144 => 145,
        145 => 144,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(seed: u16, ip_proto: u8, ends: [&str; 2], numbers: (u16, u16)) -> String {
        let [source, destination] = ends.map(|end| end.parse().unwrap());
        let is_icmp = matches!(ip_proto, ICMP | ICMPV6);
        Tuple {
            source,
            destination,
            ports: (!is_icmp).then_some(numbers),
            ip_proto,
            icmp: is_icmp.then_some((numbers.0 as u8, numbers.1 as u8)),
        }
        .community_id(seed)
    }

    /// The specification's own data (baseline_deflt.json). ICMP has its code in place of the second port,
    /// which the data has only where there is no answer.
    #[test]
    fn reference_data() {
        let (a, b) = ("fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea");
        let (c, d) = ("3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:501:0:1001::2");
        let (e, f) = ("2001:470:e5bf:dead:4957:2174:e82c:4887", "2607:f8b0:400c:c03::1a");
        for (ip_proto, ends, numbers, wanted) in [
            (58, [a, b], (135, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
            (58, [b, a], (136, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
            (58, [b, a], (135, 0), "1:zavyT/cezQr1fmImYCwYnMXbgck="),
            (58, [a, b], (136, 0), "1:zavyT/cezQr1fmImYCwYnMXbgck="),
            (58, ["3ffe:501:1800:2345::2", c], (3, 0), "1:2ObVBgIn28oZvibYZhZMBgh7WdQ="),
            (58, ["3ffe:501:410:0:2c0:dfff:fe47:33e", c], (1, 4), "1:hLZd0XGWojozrvxqE0dWB1iM6R0="),
            (58, [c, d], (128, 0), "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="),
            (58, [d, c], (129, 0), "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="),
            (58, [a, "ff02::2"], (133, 0), "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="),
            (58, [b, "ff02::1"], (134, 0), "1:pkvHqCL88/tg1k4cPigmZXUtL00="),
            (1, ["192.168.0.89", "192.168.0.1"], (8, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            (1, ["192.168.0.1", "192.168.0.89"], (0, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            (1, ["10.0.0.1", "10.0.0.2"], (11, 0), "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
            (6, [e, f], (63943, 25), "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="),
            (6, [f, e], (25, 63943), "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="),
            (132, ["192.168.170.8", "192.168.170.56"], (7, 7), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
            (132, ["192.168.170.56", "192.168.170.8"], (7, 7), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
            (
                6,
                ["128.232.110.120", "66.35.250.204"],
                (34855, 80),
                "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
            ),
            (
                6,
                ["66.35.250.204", "128.232.110.120"],
                (80, 34855),
                "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
            ),
            (17, ["192.168.1.52", "8.8.8.8"], (54585, 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            (17, ["8.8.8.8", "192.168.1.52"], (53, 54585), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            (46, ["10.1.12.1", "10.1.12.2"], (0, 0), "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
            (46, ["10.1.12.2", "10.1.12.1"], (0, 0), "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
        ] {
            assert_eq!(id(0, ip_proto, ends, numbers), wanted, "{ip_proto} {ends:?} {numbers:?}");
        }
    }

    /// The same with a seed (baseline_seed1.json).
    #[test]
    fn reference_data_with_a_seed() {
        for (ip_proto, ends, numbers, wanted) in [
            (1, ["192.168.0.1", "192.168.0.89"], (0, 0), "1:03g6IloqVBdcZlPyX8r0hgoE7kA="),
            (
                6,
                ["66.35.250.204", "128.232.110.120"],
                (80, 34855),
                "1:3V71V58M3Ksw/yuFALMcW0LAHvc=",
            ),
            (46, ["10.1.12.1", "10.1.12.2"], (0, 0), "1:rYir8gphR31noO9iDRQmF/BteEI="),
        ] {
            assert_eq!(id(1, ip_proto, ends, numbers), wanted);
        }
    }

    #[test]
    fn what_never_comes_back_has_an_id_of_its_own_each_way() {
        let there = id(0, 1, ["10.0.0.1", "10.0.0.2"], (3, 1));
        assert_ne!(there, id(0, 1, ["10.0.0.2", "10.0.0.1"], (3, 1)));
    }
}
