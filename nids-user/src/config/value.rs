//! Values as Suricata's configuration writes them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::decode::tunnel::UdpPorts;

/// `yes`, `true`, `on`, `1`, and their opposites.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Whole seconds.
pub(crate) fn seconds(text: &str) -> Option<Duration> {
    text.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()))
}

/// Bytes, or a number with `kb`, `mb` or `gb`, each 1024 times the one before.
pub(crate) fn size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (number, unit) = match lower.strip_suffix('b') {
        Some(rest) => match rest.split_at_checked(rest.len().saturating_sub(1))? {
            (number, "k") => (number, 1_u64 << 10),
            (number, "m") => (number, 1 << 20),
            (number, "g") => (number, 1 << 30),
            _ => (rest, 1),
        },
        None => (lower.as_str(), 1),
    };
    let number = number.trim();
    match number.parse::<u64>() {
        Ok(count) => count.checked_mul(unit),
        Err(_) if unit > 1 => {
            let count: f64 = number.parse().ok().filter(|count| (0.0..1e9).contains(count))?;
            Some((count * unit as f64) as u64)
        }
        Err(_) => None,
    }
}

/// Bytes, as [`size`] has them.
pub(crate) fn memory<T: TryFrom<u64>>(text: &str) -> Option<T> {
    T::try_from(size(text)?).ok()
}

/// A whole number.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// A path that is not empty.
pub(crate) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

/// `any`, one port, or a list of up to four in brackets.
pub(crate) fn few_ports(text: &str) -> Option<UdpPorts> {
    if text.eq_ignore_ascii_case("any") {
        return Some(UdpPorts::Any);
    }
    let list = text.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(text);
    let ports: Option<Box<[u16]>> = list.split(',').map(|port| port.trim().parse().ok()).collect();
    ports.filter(|ports| ports.len() <= 4).map(UdpPorts::These)
}

/// Addresses and prefixes, in brackets where there are several.
pub(crate) fn networks(text: &str) -> Option<Vec<(IpAddr, u8)>> {
    let list = text.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(text);
    list.split(',')
        .map(|net| {
            let net = net.trim().trim_matches(['"', '\'']);
            let (address, length) = match net.split_once('/') {
                Some((address, length)) => (address, Some(length.parse().ok()?)),
                None => (net, None),
            };
            let address: IpAddr = address.parse().ok()?;
            Some((address, length.unwrap_or(if address.is_ipv4() { 32 } else { 128 })))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("77", Some(77)),
            ("12b", Some(12)),
            ("64mb", Some(64 << 20)),
            ("1 GB", Some(1 << 30)),
            ("0.5kb", Some(512)),
            ("", None),
            ("b", None),
            ("mb", None),
            ("-1mb", None),
            ("infmb", None),
            ("nankb", None),
            ("1.5", None),
            ("99999999999999gb", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }

    #[test]
    fn ports() {
        let these = |ports: &[u16]| Some(UdpPorts::These(ports.into()));
        for (text, ports) in [
            ("any", Some(UdpPorts::Any)),
            ("4789", these(&[4789])),
            ("[8472, 4789]", these(&[8472, 4789])),
            ("8472,4789", these(&[8472, 4789])),
            ("[1,2,3,4,5]", None),
            ("[4789", None),
            ("70000", None),
            ("", None),
            ("$VXLAN_PORTS", None),
        ] {
            assert_eq!(few_ports(text), ports, "{text}");
        }
    }
}
