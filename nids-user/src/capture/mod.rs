//! Where frames come from: a live interface (`xdp`, `ring`) or a file (`pcap`).
//!
//! A source only delivers bytes with what the source itself knows of them. It leaves every look inside
//! to `decode`.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

pub mod ethtool;
pub mod interface;
mod netlink;
pub mod pcap;
pub mod ring;
pub mod shunt;
pub mod xdp;

use std::fmt;

/// Nanoseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Nanoseconds from `earlier` to this, 0 where the clock went back.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What the first byte of a frame is, by the numbers of the pcap format (LINKTYPE_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// LINKTYPE_ETHERNET, 1.
    Ethernet,
    /// LINKTYPE_RAW 101, LINKTYPE_IPV4 228, LINKTYPE_IPV6 229, DLT_RAW 12 and 14, and
    /// LINKTYPE_GRE_OVER_IP 778: IP by its version.
    RawIp,
    /// LINKTYPE_NULL, 0 (host's byte order) and LINKTYPE_LOOP, 108 (network's).
    Null,
    /// LINKTYPE_LINUX_SLL, 113.
    LinuxSll,
    /// LINKTYPE_LINUX_SLL2, 276.
    LinuxSll2,
    /// LINKTYPE_PPP, 9.
    Ppp,
    /// LINKTYPE_C_HDLC, 104.
    Chdlc,
}

impl LinkType {
    /// The number that capture files give it.
    pub fn number(self) -> u16 {
        match self {
            Self::Ethernet => 1,
            Self::RawIp => 101,
            Self::Null => 0,
            Self::LinuxSll => 113,
            Self::LinuxSll2 => 276,
            Self::Ppp => 9,
            Self::Chdlc => 104,
        }
    }
}

/// Which way a frame went through the interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Came in.
    #[default]
    Ingress,
    /// Was leaving the host.
    Egress,
}

/// One frame, borrowed from its source.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When it was seen.
    pub time: Timestamp,
    /// What the bytes begin with.
    pub link: LinkType,
    /// The captured bytes.
    pub data: &'a [u8],
    /// Bytes on the wire; more than `data` where the source cut it.
    pub wire_len: u32,
    /// Capture port for a live frame, the pcapng interface for a file's.
    pub port: u16,
    /// Which way it went.
    pub direction: Direction,
    /// VLAN tag (TCI) the NIC or the kernel took off before the source saw the frame.
    pub vlan_offload: Option<u16>,
    /// Position in the file, from 1; 0 for a live frame. EVE's `pcap_cnt`.
    pub number: u64,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}
