//! Settings of what the running sensor serves: its control socket, its numbers over HTTP, its statistics.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where clients look for the sensor, and where it listens unless told otherwise.
pub const CONTROL_SOCKET: &str = "/run/nids/control.sock";

/// What the sensor serves beside its alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    /// `control.socket`.
    pub control: ControlSocket,
    /// `metrics.listen`; `None`: no numbers over HTTP.
    pub metrics: Option<SocketAddr>,
    /// `stats.interval`: time between two EVE records with statistics.
    pub stats_interval: Duration,
}

impl Default for ServiceSettings {
    /// Suricata's `stats.interval` is 8 seconds.
    fn default() -> Self {
        Self {
            control: ControlSocket::Usual,
            metrics: None,
            stats_interval: Duration::from_secs(8),
        }
    }
}

/// Where the control socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlSocket {
    /// At [`CONTROL_SOCKET`]; where it cannot be made there, the sensor runs without.
    Usual,
    /// Here, or the sensor does not start.
    At(PathBuf),
    /// There is none.
    Off,
}

impl ControlSocket {
    /// Its path; `None` where there is none.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Usual => Some(Path::new(CONTROL_SOCKET)),
            Self::At(path) => Some(path),
            Self::Off => None,
        }
    }
}

/// A path, or `no`.
pub(super) fn control(text: &str) -> Option<ControlSocket> {
    match super::value::boolean(text) {
        Some(false) => Some(ControlSocket::Off),
        Some(true) => Some(ControlSocket::Usual),
        None => super::value::path(text).map(ControlSocket::At),
    }
}

/// A port on loopback, an address with a port, or `no`.
pub(super) fn metrics(text: &str) -> Option<Option<SocketAddr>> {
    if let Ok(port @ 1..) = text.parse::<u16>() {
        return Some(Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)));
    }
    if super::value::boolean(text) == Some(false) {
        return Some(None);
    }
    text.parse().ok().map(Some)
}

/// Whole seconds, at least one.
pub(super) fn interval(text: &str) -> Option<Duration> {
    super::value::seconds(text).filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sockets() {
        for (text, expected) in [
            ("/run/x.sock", Some(ControlSocket::At("/run/x.sock".into()))),
            ("no", Some(ControlSocket::Off)),
            ("yes", Some(ControlSocket::Usual)),
            ("", None),
        ] {
            assert_eq!(control(text), expected, "{text}");
        }
        assert_eq!(ControlSocket::Usual.path(), Some(Path::new(CONTROL_SOCKET)));
        assert_eq!(ControlSocket::Off.path(), None);
    }

    #[test]
    fn places_of_metrics() {
        for (text, expected) in [
            ("9100", Some(Some("127.0.0.1:9100".parse().unwrap()))),
            ("0.0.0.0:80", Some(Some("0.0.0.0:80".parse().unwrap()))),
            ("[::1]:9100", Some(Some("[::1]:9100".parse().unwrap()))),
            ("no", Some(None)),
            ("", None),
            ("65536", None),
            ("localhost:80", None),
        ] {
            assert_eq!(metrics(text), expected, "{text}");
        }
    }

    #[test]
    fn intervals() {
        assert_eq!(interval("30"), Some(Duration::from_secs(30)));
        assert_eq!((interval("0"), interval("1.5"), interval("")), (None, None, None));
    }
}
