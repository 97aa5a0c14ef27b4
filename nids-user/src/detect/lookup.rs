//! Lists beside the rules: sets of values, reputations, countries.

use std::net::IpAddr;
use std::sync::Arc;

use super::dataset::{DatarepUse, DatasetUse, Datasets};
use super::geoip::{CountryDatabase, GeoipUse};
use super::iprep::{IprepUse, Reputations};

/// The lists that rules may name.
#[derive(Clone, Debug, Default)]
pub struct Stores {
    /// `dataset`, `datarep`.
    pub datasets: Arc<Datasets>,
    /// `iprep`; `None`: no files are configured.
    pub reputations: Option<Arc<Reputations>>,
    /// `geoip`; `None`: no database is configured.
    pub countries: Option<Arc<CountryDatabase>>,
}

/// A question about the packet's addresses.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// `iprep`.
    Reputation(IprepUse),
    /// `geoip`.
    Country(GeoipUse),
}

impl Lookup {
    /// Whether the addresses are as asked for.
    pub fn matches(&self, source: IpAddr, destination: IpAddr) -> bool {
        match self {
            Self::Reputation(lookup) => lookup.matches(source, destination),
            Self::Country(lookup) => lookup.matches(source, destination),
        }
    }
}

/// A question about a whole buffer, which may change the set it asks.
#[derive(Clone, Debug)]
pub enum SetTest {
    /// `dataset`.
    Set(DatasetUse),
    /// `datarep`.
    Reputation(DatarepUse),
}

impl SetTest {
    /// Whether the buffer is as asked for. `set` and `unset` change the set: ask when all else holds.
    pub fn matches(&self, buffer: &[u8]) -> bool {
        match self {
            Self::Set(set) => set.matches(buffer),
            Self::Reputation(set) => set.matches(buffer),
        }
    }
}
