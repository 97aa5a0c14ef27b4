//! Frames from the inside out: checksum, IP header, Ethernet header.

use std::net::IpAddr;

/// IP protocol numbers.
pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// Fills in the checksum, `at` bytes into a segment or datagram.
pub fn fill_checksum(bytes: &mut [u8], at: usize, protocol: u8, from: IpAddr, to: IpAddr) {
    let pseudo = address_sum(from) + address_sum(to) + u32::from(protocol) + bytes.len() as u32;
    let checksum = fold(pseudo + sum(bytes));
    bytes[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

fn address_sum(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    }
}

/// A frame with this payload of IP.
pub fn frame(id: u16, protocol: u8, from: IpAddr, to: IpAddr, body: &[u8]) -> Vec<u8> {
    fragment(id, protocol, from, to, body, 0x4000)
}

/// The same with flags and fragment offset (in eights of bytes), which only IPv4 has in its header.
pub fn fragment(
    id: u16,
    protocol: u8,
    from: IpAddr,
    to: IpAddr,
    body: &[u8],
    flags_and_offset: u16,
) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut ip = vec![0x45, 0];
            ip.extend((20 + body.len() as u16).to_be_bytes());
            ip.extend(id.to_be_bytes());
            ip.extend(flags_and_offset.to_be_bytes());
            ip.extend([64, protocol, 0, 0]);
            ip.extend(from.octets());
            ip.extend(to.octets());
            let checksum = fold(sum(&ip));
            ip[10..12].copy_from_slice(&checksum.to_be_bytes());
            frame.extend([8, 0]);
            frame.extend(ip);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((body.len() as u16).to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend(from.octets());
            frame.extend(to.octets());
        }
        _ => unreachable!("both ends have the same kind of address"),
    }
    frame.extend(body);
    frame
}

/// Sum of the 16-bit words (RFC 1071), not folded.
pub fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2);
    words.map(|w| u32::from(w[0]) << 8 | w.get(1).copied().map_or(0, u32::from)).sum()
}

/// The checksum of this sum.
pub fn fold(mut sum: u32) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
