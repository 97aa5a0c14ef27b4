//! Numbers by their dotted names, such as `flow.total`: Suricata's name where Suricata counts the same
//! thing. In JSON the dots make objects; Prometheus and the text keep the whole name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Numbers in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures(BTreeMap<Cow<'static, str>, u64>);

impl Figures {
    /// Adds to a number, which begins with 0.
    pub fn add(&mut self, name: &'static str, value: u64) {
        let sum = self.0.entry(Cow::Borrowed(name)).or_default();
        *sum = sum.saturating_add(value);
    }

    /// Adds all numbers of another.
    pub fn merge(&mut self, other: &Self) {
        for (name, value) in &other.0 {
            let sum = self.0.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*value);
        }
    }

    /// The number of this name.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// Names and numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

impl FromIterator<(&'static str, u64)> for Figures {
    fn from_iter<I: IntoIterator<Item = (&'static str, u64)>>(figures: I) -> Self {
        let mut all = Self::default();
        for (name, value) in figures {
            all.add(name, value);
        }
        all
    }
}

/// Whether the number goes up and down, where others only grow.
pub fn is_gauge(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(last, "memuse" | "active")
}

/// A number, or what lies under a part of a name.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Node<'a> {
    Value(u64),
    Under(BTreeMap<Cow<'a, str>, Self>),
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut root = BTreeMap::new();
        for (name, value) in self.iter() {
            put(&mut root, name, value);
        }
        root.serialize(serializer)
    }
}

fn put<'a>(under: &mut BTreeMap<Cow<'a, str>, Node<'a>>, name: &'a str, value: u64) {
    let Some((first, rest)) = name.split_once('.') else {
        under.insert(Cow::Borrowed(name), Node::Value(value));
        return;
    };
    let node = under.entry(Cow::Borrowed(first)).or_insert_with(|| Node::Under(BTreeMap::new()));
    // A name that is both a number and a group would be two things under one key: the group counts.
    if let Node::Value(_) = node {
        *node = Node::Under(BTreeMap::new());
    }
    if let Node::Under(inner) = node {
        put(inner, rest, value);
    }
}

/// Parts a name may have: JSON from elsewhere may be nested deeper than any name.
const MOST_PARTS: usize = 8;

impl<'de> Deserialize<'de> for Figures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let root = BTreeMap::<Cow<'_, str>, serde_json::Value>::deserialize(deserializer)?;
        let mut figures = Self::default();
        for (name, value) in root {
            take(&mut figures, name.into_owned(), &value, MOST_PARTS)
                .ok_or_else(|| D::Error::custom("numbers are nested too deep"))?;
        }
        Ok(figures)
    }
}

/// Takes the numbers under `name`; what is no number, such as a list, is not one of ours.
fn take(
    figures: &mut Figures,
    name: String,
    value: &serde_json::Value,
    parts: usize,
) -> Option<()> {
    let left = parts.checked_sub(1)?;
    match value {
        serde_json::Value::Object(under) => {
            for (key, value) in under {
                take(figures, format!("{name}.{key}"), value, left)?;
            }
        }
        value => {
            if let Some(number) = value.as_u64() {
                figures.0.insert(Cow::Owned(name), number);
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        Figures::from_iter([
            ("tcp.sessions", 3),
            ("flow.total", 7),
            ("decoder.event.ipv4.pkt_too_small", 1),
            ("decoder.pkts", 9),
        ])
    }

    #[test]
    fn dots_make_objects_and_come_back() {
        let json = serde_json::to_string(&figures()).unwrap();
        assert_eq!(
            json,
            r#"{"decoder":{"event":{"ipv4":{"pkt_too_small":1}},"pkts":9},"flow":{"total":7},"tcp":{"sessions":3}}"#
        );
        assert_eq!(serde_json::from_str::<Figures>(&json).unwrap(), figures());
    }

    #[test]
    fn what_is_no_number_is_left_out_and_depth_is_bounded() {
        let read = |json: &str| serde_json::from_str::<Figures>(json);
        let found = read(r#"{"a":{"list":[1],"text":"x","b":2,"c":-1}}"#).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), [("a.b", 2)]);
        let deep = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert!(read(&deep(8)).is_ok());
        assert!(read(&deep(9)).is_err());
    }

    #[test]
    fn numbers_of_workers_add_up() {
        let mut sum = figures();
        sum.merge(&figures());
        assert_eq!((sum.get("flow.total"), sum.get("flow")), (Some(14), None));
    }

    #[test]
    fn gauges() {
        assert!(is_gauge("tcp.memuse") && is_gauge("flow.active"));
        assert!(!is_gauge("flow.total") && !is_gauge("decoder.pkts"));
    }
}
