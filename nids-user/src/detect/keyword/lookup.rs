//! `iprep`, `geoip`, `dataset`, `datarep`: what rules look up in lists that are not rules.

use super::value::{Fault, Use};
use super::{Draft, Keyword};
use crate::detect::buffer::Buffer;
use crate::detect::dataset::{DatarepUse, DatasetUse};
use crate::detect::geoip::GeoipUse;
use crate::detect::iprep::IprepUse;
use crate::detect::lookup::{Lookup, SetTest};

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "iprep", apply: iprep },
    Keyword { name: "geoip", apply: geoip },
    Keyword { name: "dataset", apply: dataset },
    Keyword { name: "datarep", apply: datarep },
];

fn iprep(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let lookup = IprepUse::read(keyword.value()?, draft.stores.reputations.as_deref())?;
    draft.lookups.push(Lookup::Reputation(lookup));
    Ok(())
}

fn geoip(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let lookup = GeoipUse::read(keyword.value()?, draft.stores.countries.as_ref())?;
    draft.lookups.push(Lookup::Country(lookup));
    Ok(())
}

fn dataset(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let set = DatasetUse::read(keyword.value()?, &draft.rule.file, &draft.stores.datasets)?;
    add(draft, keyword, SetTest::Set(set))
}

fn datarep(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let set = DatarepUse::read(keyword.value()?, &draft.rule.file, &draft.stores.datasets)?;
    add(draft, keyword, SetTest::Reputation(set))
}

fn add(draft: &mut Draft<'_>, keyword: &Use<'_>, test: SetTest) -> Result<(), Fault> {
    match draft.buffer_at_hand() {
        Some(buffer) if buffer.buffer != Buffer::Payload => {
            buffer.sets.push(test);
            Ok(())
        }
        _ => Err(keyword.conflict(format!(
            "`{}` compares a sticky buffer, and none is named before it",
            keyword.name.text
        ))),
    }
}
