//! Any bytes are a file of a data set or of reputations, or refused; what is saved is what is loaded; any
//! text is a value of `dataset`, `datarep`, `iprep` and `geoip`, or refused with a place inside it.
//!
//! Input: a byte for the kind and format, a line that is the value in a rule, and the file.

use std::path::Path;

use nids::detect::dataset::{DatarepUse, Dataset, DatasetSettings, DatasetUse, Datasets};
use nids::detect::dataset::{Kind, Layout};
use nids::detect::geoip::GeoipUse;
use nids::detect::iprep::{IprepUse, Reputations};
use nids::detect::keyword::value::{Fault, Word};

const KINDS: [Kind; 5] = [Kind::String, Kind::Md5, Kind::Sha256, Kind::Ipv4, Kind::Ip];

/// Panics where a promise is broken.
pub fn check(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (value, file) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    let kind = KINDS[usize::from(choice) % KINDS.len()];
    check_file(kind, layout(choice), file);
    let mut reputations = Reputations::default();
    for bad in reputations.read(b"1,Bad\n2,Good", &[file]) {
        assert!(bad.file == 1 && (1..=file.len()).contains(&bad.line));
    }
    reputations.read(file, &[]);
    // Nothing of the disk is read: a slash or a `load` may name what is there.
    if let Ok(value) = std::str::from_utf8(value)
        && !value.contains('/')
        && !value.contains("load")
    {
        check_value(value, &reputations);
    }
}

fn layout(choice: u8) -> Layout {
    let json = |lines, array| Layout::Json {
        lines,
        value: "k.v".to_owned(),
        array,
        remove: choice & 0x80 != 0,
    };
    match usize::from(choice & 0x7f) / KINDS.len() {
        0 => Layout::Csv,
        1 => json(true, None),
        2 => json(false, None),
        _ => json(false, Some("a.b".to_owned())),
    }
}

fn check_file(kind: Kind, layout: Layout, file: &[u8]) {
    let set = match Dataset::from_bytes(kind, layout, file) {
        Ok(set) => set,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let lines = set.lines();
    assert_eq!(set.counters().values, lines.len());
    let again = Dataset::from_bytes(kind, Layout::Csv, lines.join("\n").as_bytes());
    assert_eq!(again.expect("what is saved is read back").lines(), lines);
}

fn check_value(text: &str, reputations: &Reputations) {
    let settings = DatasetSettings { data_folder: "nowhere".into(), ..DatasetSettings::default() };
    let sets = Datasets::new(settings).expect("there are no sets");
    let (word, rules) = (Word { text, start: 0 }, Path::new("nowhere/x.rules"));
    let address = [10, 0, 0, 1].into();
    let dataset = DatasetUse::read(word, rules, &sets);
    let datarep = DatarepUse::read(word, rules, &sets);
    let iprep = IprepUse::read(word, Some(reputations));
    if let Ok(used) = &dataset {
        // A second rule may say the same.
        assert!(DatasetUse::read(word, rules, &sets).is_ok());
        used.matches(&[1; 16]);
        used.context(&[1; 16]);
    }
    _ = datarep.as_ref().map(|used| used.matches(&[1; 16]));
    _ = iprep.as_ref().map(|used| used.matches(address, address));
    let faults = [dataset.err(), datarep.err(), iprep.err(), GeoipUse::read(word, None).err()];
    faults.into_iter().flatten().for_each(|fault| inside(text, &fault));
}

fn inside(text: &str, fault: &Fault) {
    assert!(text.get(fault.span.start..fault.span.end).is_some(), "{fault:?}");
    assert!(!fault.reason.is_empty());
}
