//! Values as Suricata's configuration writes them.

use std::time::Duration;

/// `yes`, `true`, `on`, `1`, and their opposites.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Whole seconds.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    text.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()))
}

/// Bytes, or a number with `kb`, `mb` or `gb`, each 1024 times the one before.
pub(super) fn size(text: &str) -> Option<u64> {
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
}
