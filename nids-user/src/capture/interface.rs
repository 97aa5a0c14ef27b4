//! The interfaces of the machine: which there are, which one the default route takes, what XDP programs
//! sit on them, and what they count themselves.
//!
//! Attaching is left to `xdp`.

use std::fmt;
use std::fs;
use std::io;

use thiserror::Error;

use super::netlink;
use crate::cli::exit::{Code, Failure};

/// One interface as the kernel describes it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Name.
    pub name: String,
    /// Index; it stays the same when the interface is renamed.
    pub index: u32,
    /// Largest packet in bytes, without the Ethernet header.
    pub mtu: u32,
    /// `ARPHRD_*`: what its frames begin with.
    pub hardware: u16,
    /// Whether it is up.
    pub up: bool,
    /// XDP programs attached to it.
    pub xdp: Vec<XdpProgram>,
    /// Its own counters.
    pub counters: InterfaceCounters,
}

/// An XDP program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpProgram {
    /// Where it runs.
    pub hook: XdpHook,
    /// The kernel's id of the program.
    pub id: u32,
}

/// Where on an interface an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpHook {
    /// In the driver, before the kernel makes a socket buffer.
    Driver,
    /// In the network stack, on socket buffers.
    Generic,
    /// On the NIC.
    Offload,
}

impl XdpHook {
    /// `XDP_FLAGS_*_MODE`.
    pub(super) fn flag(self) -> u32 {
        match self {
            Self::Generic => 1 << 1,
            Self::Driver => 1 << 2,
            Self::Offload => 1 << 3,
        }
    }
}

impl fmt::Display for XdpHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Driver => "driver",
            Self::Generic => "generic",
            Self::Offload => "offload",
        })
    }
}

/// Frames as the interface counts them (`struct rtnl_link_stats64`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// Good frames that came in.
    pub rx_packets: u64,
    /// Frames that went out.
    pub tx_packets: u64,
    /// Bad frames that came in.
    pub rx_errors: u64,
    /// Frames that came in and that the kernel dropped, for want of memory or of a taker.
    pub rx_dropped: u64,
    /// Frames that were dropped on the way out.
    pub tx_dropped: u64,
    /// Frames the NIC had no room for.
    pub rx_missed: u64,
}

impl InterfaceCounters {
    /// What was added since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            rx_packets: self.rx_packets.saturating_sub(earlier.rx_packets),
            tx_packets: self.tx_packets.saturating_sub(earlier.tx_packets),
            rx_errors: self.rx_errors.saturating_sub(earlier.rx_errors),
            rx_dropped: self.rx_dropped.saturating_sub(earlier.rx_dropped),
            tx_dropped: self.tx_dropped.saturating_sub(earlier.tx_dropped),
            rx_missed: self.rx_missed.saturating_sub(earlier.rx_missed),
        }
    }
}

/// Why no interface could be had.
#[derive(Debug, Error)]
pub enum InterfaceError {
    /// No such interface.
    #[error("there is no interface {name}; present are: {}", present.join(", "))]
    Missing {
        /// The name asked for.
        name: String,
        /// Those there are.
        present: Vec<String>,
    },
    /// No default route.
    #[error(
        "there is no default route to take the interface from; name one with --iface (present are: {})",
        present.join(", ")
    )]
    NoDefaultRoute {
        /// The interfaces there are.
        present: Vec<String>,
    },
    /// It carries no Ethernet frames.
    #[error(
        "{name} carries no Ethernet frames (ARPHRD type {hardware}), and the sensor reads no others"
    )]
    NotEthernet {
        /// The interface.
        name: String,
        /// `ARPHRD_*`.
        hardware: u16,
    },
    /// The kernel gave no answer.
    #[error("cannot list the interfaces: {0}")]
    Io(#[from] io::Error),
}

impl From<InterfaceError> for Failure {
    fn from(error: InterfaceError) -> Self {
        Self::new(Code::Unavailable, format!("{error}."))
    }
}

/// All interfaces of this network namespace, by index.
///
/// # Errors
/// The kernel does not answer.
pub fn list() -> Result<Vec<Interface>, InterfaceError> {
    Ok(netlink::links()?)
}

/// The interface of this name.
///
/// # Errors
/// There is none, or it carries no Ethernet frames.
pub fn find(name: &str) -> Result<Interface, InterfaceError> {
    let mut all = list()?;
    let Some(place) = all.iter().position(|interface| interface.name == name) else {
        return Err(InterfaceError::Missing { name: name.into(), present: names(all) });
    };
    let interface = all.swap_remove(place);
    // A loopback frame has an Ethernet header of zeros.
    if !matches!(interface.hardware, libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK) {
        return Err(InterfaceError::NotEthernet {
            name: name.into(),
            hardware: interface.hardware,
        });
    }
    Ok(interface)
}

/// The name of the interface of the default route with the lowest metric, of IPv4 before IPv6.
///
/// # Errors
/// There is no default route.
pub fn default_route() -> Result<String, InterfaceError> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    // The IPv6 table is absent where the kernel has no IPv6.
    let (v4, v6) = (read("/proc/thread-self/net/route"), read("/proc/thread-self/net/ipv6_route"));
    match default_of_v4(&v4).or_else(|| default_of_v6(&v6)) {
        Some(name) => Ok(name.to_owned()),
        None => Err(InterfaceError::NoDefaultRoute { present: names(list()?) }),
    }
}

fn names(interfaces: Vec<Interface>) -> Vec<String> {
    interfaces.into_iter().map(|interface| interface.name).collect()
}

const RTF_UP: u32 = 1;
const RTF_REJECT: u32 = 0x200;

fn usable(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & (RTF_UP | RTF_REJECT) == RTF_UP)
}

/// `/proc/net/route`: Iface Destination Gateway Flags RefCnt Use Metric Mask ...
fn default_of_v4(table: &str) -> Option<&str> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (name, destination) = (fields.next()?, fields.next()?);
        let flags = fields.nth(1)?;
        let metric: u32 = fields.nth(2)?.parse().ok()?;
        let mask = fields.next()?;
        let default = destination == "00000000" && mask == "00000000" && usable(flags);
        default.then_some((metric, name))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, name)| name)
}

/// `/proc/net/ipv6_route`: destination, its prefix length, source, its prefix length, next hop, metric,
/// reference counter, use counter, flags, interface; all but the last in hexadecimal.
fn default_of_v6(table: &str) -> Option<&str> {
    let routes = table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (destination, length) = (fields.next()?, fields.next()?);
        let metric = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
        let flags = fields.nth(2)?;
        let name = fields.next()?;
        let default = destination.bytes().all(|digit| digit == b'0') && length == "00";
        (default && usable(flags) && name != "lo").then_some((metric, name))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, name)| name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const V4: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t010200C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
bad0\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0
half\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";

    #[test]
    fn the_usable_default_route_of_lowest_metric_counts() {
        assert_eq!(default_of_v4(V4), Some("eth0"));
        assert_eq!(default_of_v4(""), None);
        assert_eq!(default_of_v4("Iface\neth0\t00000000\n"), None);
    }

    #[test]
    fn ipv6_rejects_and_loopback_do_not_count() {
        let zero = "0".repeat(32);
        let route = |metric: &str, flags: &str, name: &str| {
            format!("{zero} 00 {zero} 00 {zero} {metric} 00000001 00000000 {flags} {name}\n")
        };
        let table = route("ffffffff", "00200200", "lo")
            + &route("00000400", "00000003", "eth1")
            + &route("00000064", "00000003", "eth0");
        assert_eq!(default_of_v6(&table), Some("eth0"));
        assert_eq!(default_of_v6(&route("00000001", "00000001", "lo")), None);
    }

    #[test]
    fn a_missing_interface_is_named_with_those_present() {
        let error = find("no-such-if").unwrap_err().to_string();
        assert!(error.contains("no-such-if") && error.contains("lo"), "{error}");
    }
}
