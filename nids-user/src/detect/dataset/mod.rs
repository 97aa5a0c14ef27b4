//! Data sets: `dataset` and `datarep` compare a whole buffer, after its transforms, with the values of a
//! set, and may change the set.
//!
//! [`Datasets`] holds the sets by name; [`DatasetUse`] and [`DatarepUse`] are what a rule does with one.
//! Which buffer that is, and when in an inspection, is left to the caller: since `set` and `unset` change
//! what others see, they belong behind everything else that can fail.
//!
//! Where Suricata differs: an option it does not know is no error there, nor is an absolute `save` beside
//! a `load`; `dataset:set` has no bound without a `memcap`, and does not take IPv4 addresses into a set
//! of type `ip`. Saved files lose their reputations there.

mod file;
mod frozen;
mod keyword;
mod kind;
mod registry;
mod set;
mod settings;
#[cfg(test)]
mod tests;

pub use file::{FileError, Layout, MAX_FILE};
pub use frozen::Found;
pub use keyword::{Command, DatarepUse, DatasetUse};
pub use kind::Kind;
pub use registry::{DatasetError, Datasets, MAX_NAME};
pub use set::{Dataset, DatasetCounters, Files};
pub use settings::{DatasetSettings, SetSettings};
