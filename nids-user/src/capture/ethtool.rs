//! What a NIC is set to, as `ethtool` shows it: driver, offloads, queues, ring, and how it spreads flows.
//!
//! Only asks. Every answer is optional: virtual interfaces have few. What it means for the sensor is left to
//! `telemetry::preflight`.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

// linux/sockios.h, linux/ethtool.h
const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GRINGPARAM: u32 = 0x10;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_GGRO: u32 = 0x2b;
const ETHTOOL_GCHANNELS: u32 = 0x3c;
const ETHTOOL_GRSSH: u32 = 0x46;
const ETH_FLAG_RXVLAN: u32 = 1 << 8;
const ETH_FLAG_LRO: u32 = 1 << 15;

/// What one interface is set to; `None` where its driver does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NicSettings {
    /// Name of the driver.
    pub driver: Option<String>,
    /// Frames of one flow are merged in software, behind the driver.
    pub gro: Option<bool>,
    /// Frames of one flow are merged by the NIC.
    pub lro: Option<bool>,
    /// VLAN tags are taken off by the NIC.
    pub vlan_offload: Option<bool>,
    /// Queues for frames that come in: in use, and at most.
    pub queues: Option<(u32, u32)>,
    /// Frames that one queue holds for the driver: now, and at most.
    pub ring: Option<(u32, u32)>,
    /// Whether both directions of a flow go to the same queue, by the key of the NIC's hash.
    pub symmetric: Option<bool>,
}

/// Asks the driver of this interface.
///
/// # Errors
/// No socket can be had, or the name is longer than names are.
pub fn settings(interface: &str) -> io::Result<NicSettings> {
    let nic = Nic::open(interface)?;
    let flags = nic.value(ETHTOOL_GFLAGS);
    Ok(NicSettings {
        driver: nic.driver(),
        gro: nic.value(ETHTOOL_GGRO).map(|value| value != 0),
        lro: flags.map(|flags| flags & ETH_FLAG_LRO != 0),
        vlan_offload: flags.map(|flags| flags & ETH_FLAG_RXVLAN != 0),
        queues: nic.queues(),
        ring: nic.ring(),
        symmetric: nic.hash_key().and_then(|key| is_symmetric(&key)),
    })
}

struct Nic {
    socket: OwnedFd,
    name: [libc::c_char; libc::IFNAMSIZ],
}

impl Nic {
    fn open(interface: &str) -> io::Result<Self> {
        let kind = SockType::Datagram;
        let socket = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None)?;
        let mut name = [0; libc::IFNAMSIZ];
        if interface.len() >= name.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (to, from) in name.iter_mut().zip(interface.bytes()) {
            *to = from.cast_signed() as libc::c_char;
        }
        Ok(Self { socket, name })
    }

    /// Fills `words`, of which the first says what is asked.
    fn ask(&self, words: &mut [u32]) -> Option<()> {
        let mut request: libc::ifreq = libc::ifreq {
            ifr_name: self.name,
            // The pointer is that union's widest member but one: the rest is zero.
            ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: words.as_mut_ptr().cast() },
        };
        // SAFETY: the kernel writes the structure that the first word names; each caller's slice is at least
        // as long, and lives until the call returns.
        let done = unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
        (done == 0).then_some(())
    }

    /// `struct ethtool_value`: one number.
    fn value(&self, command: u32) -> Option<u32> {
        let mut words = [command, 0];
        self.ask(&mut words)?;
        let [_, value] = words;
        Some(value)
    }

    /// `struct ethtool_drvinfo`: the name is 32 bytes behind the command, of 196 in all.
    fn driver(&self) -> Option<String> {
        let mut words = [0; 64];
        *words.first_mut()? = ETHTOOL_GDRVINFO;
        self.ask(&mut words)?;
        let bytes: Vec<u8> = words.get(1..9)?.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let name = bytes.split(|byte| *byte == 0).next()?;
        (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
    }

    /// `struct ethtool_channels`: the most of rx, tx, other, combined; then as many as there are.
    fn queues(&self) -> Option<(u32, u32)> {
        let mut words = [ETHTOOL_GCHANNELS, 0, 0, 0, 0, 0, 0, 0, 0];
        self.ask(&mut words)?;
        let [_, most_rx, _, _, most_combined, rx, _, _, combined] = words;
        let now = rx.saturating_add(combined);
        (now > 0).then(|| (now, most_rx.max(most_combined).max(now)))
    }

    /// `struct ethtool_ringparam`: the most of rx, mini, jumbo, tx; then as many as there are.
    fn ring(&self) -> Option<(u32, u32)> {
        let mut words = [ETHTOOL_GRINGPARAM, 0, 0, 0, 0, 0, 0, 0, 0];
        self.ask(&mut words)?;
        let [_, most, _, _, _, now, _, _, _] = words;
        (now > 0).then_some((now, most))
    }

    /// `struct ethtool_rxfh`: sizes of the table and of the key, asked first; then both.
    fn hash_key(&self) -> Option<Vec<u8>> {
        const HEAD: usize = 13;
        let mut words = [0; HEAD];
        *words.first_mut()? = ETHTOOL_GRSSH;
        self.ask(&mut words)?;
        let (table, key) = (*words.get(2)? as usize, *words.get(3)? as usize);
        if key == 0 || key > 256 || table > 1 << 16 {
            return None;
        }
        let mut all = vec![0; HEAD + table + key.div_ceil(4)];
        let sizes = [ETHTOOL_GRSSH, 0, *words.get(2)?, *words.get(3)?];
        for (to, from) in all.iter_mut().zip(sizes) {
            *to = from;
        }
        self.ask(&mut all)?;
        let bytes = all.get(HEAD + table..)?.iter().flat_map(|word| word.to_ne_bytes());
        Some(bytes.take(key).collect())
    }
}

/// Whether a Toeplitz hash with this key is the same for both directions: two bytes again and again (Woo and
/// Park, "Scalable TCP Session Monitoring with Symmetric RSS"). `None`: there is no key to tell by.
fn is_symmetric(key: &[u8]) -> Option<bool> {
    let (first, rest) = key.split_first_chunk::<2>()?;
    if key.iter().all(|byte| *byte == 0) {
        return None;
    }
    Some(rest.chunks(2).all(|pair| first.starts_with(pair)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        assert_eq!(is_symmetric(&[0x6d, 0x5a].repeat(20)), Some(true));
        assert_eq!(is_symmetric(&[0x6d, 0x5a, 0x6d, 0x5a, 0x6d]), Some(true));
        assert_eq!(is_symmetric(&[0x6d, 0x5a, 0x56, 0xda]), Some(false));
        assert_eq!(is_symmetric(&[0; 40]), None);
        assert_eq!(is_symmetric(&[1]), None);
    }

    #[test]
    fn loopback_has_offloads_and_no_queues() {
        let found = settings("lo").unwrap();
        assert!(found.gro.is_some() && found.lro.is_some(), "{found:?}");
        assert_eq!(found.symmetric, None);
        assert_eq!(settings("no-such-if0").unwrap(), NicSettings::default());
        assert!(settings("a-name-that-is-too-long").is_err());
    }
}
