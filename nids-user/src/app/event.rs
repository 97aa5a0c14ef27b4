//! Events of the application layer: what is odd about a transaction, for `app-layer-event` and anomaly
//! records. Their names are Suricata's (rules/http-events.rules and the like), `protocol.name`.

use super::{AppProtocol, dns, http1, tls};

/// One event of one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Of HTTP/1.
    Http1(http1::Event),
    /// Of DNS.
    Dns(dns::Event),
    /// Of mDNS.
    Mdns(dns::Event),
    /// Of TLS.
    Tls(tls::Event),
}

impl Event {
    /// By the value of `app-layer-event`, such as `http.invalid_content_length_field_in_request`.
    pub fn named(text: &str) -> Option<Self> {
        let (protocol, name) = text.split_once('.')?;
        match protocol {
            "http" | "http1" => http1::Event::named(name).map(Self::Http1),
            "dns" => dns::Event::named(name).map(Self::Dns),
            "mdns" => dns::Event::named(name).map(Self::Mdns),
            "tls" | "ssl" => tls::Event::named(name).map(Self::Tls),
            _ => None,
        }
    }
    /// The protocol it is of.
    pub fn protocol(self) -> AppProtocol {
        match self {
            Self::Http1(_) => AppProtocol::Http1,
            Self::Dns(_) => AppProtocol::Dns,
            Self::Mdns(_) => AppProtocol::Mdns,
            Self::Tls(_) => AppProtocol::Tls,
        }
    }
    /// Its place in the events of a transaction of its protocol.
    pub fn number(self) -> u8 {
        match self {
            Self::Http1(event) => event as u8,
            Self::Dns(event) | Self::Mdns(event) => event as u8,
            Self::Tls(event) => event as u8,
        }
    }
}

/// The events of one transaction, by their numbers (below 64 in each protocol).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events(u64);

impl Events {
    /// Adds one.
    pub fn raise(&mut self, number: u8) {
        self.0 |= 1 << (number & 63);
    }
    /// Whether it happened.
    pub fn contains(self, number: u8) -> bool {
        self.0 >> (number & 63) & 1 == 1
    }
    /// Whether none did.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// Those that happened.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |number| self.contains(*number))
    }
}

/// Declares the events of a protocol: an enum with `ALL`, `name` and `named`.
#[macro_export]
macro_rules! app_events {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// What can be odd about a transaction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Event { $($(#[$doc])* $variant,)+ }

        impl Event {
            /// All of them; fewer than 64.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// The name behind the protocol's.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
            /// By this name, in lower case.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|event| event.name() == name)
            }
        }

        const _: () = assert!(Event::ALL.len() <= 64);
    };
}
