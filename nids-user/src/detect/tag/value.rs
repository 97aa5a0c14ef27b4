//! The value of `tag`: `session` or `host`, then `COUNT, packets|seconds|bytes`, then `src` or `dst`.

use crate::detect::keyword::value::{Fault, Word};
use crate::suggest::nearest;

/// Most packets of one tag, and their number where none is given (Suricata, `DETECT_TAG_MAX_PKTS`).
pub const MAX_PACKETS: u32 = 256;

/// Which packets are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Whose.
    pub scope: Scope,
    /// What is counted.
    pub metric: Metric,
    /// How many of it, the alert's packet included.
    pub count: u32,
}

/// Whose packets are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The flow's.
    Session,
    /// Those of the host that sent the packet.
    Source,
    /// Those of the host it was for.
    Destination,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Packets.
    Packets,
    /// Seconds, in whole ones.
    Seconds,
    /// Bytes of packets.
    Bytes,
}

/// Reads the value of `tag`.
pub fn tag(word: Word<'_>) -> Result<Tag, Fault> {
    let mut parts = word.split(',');
    let scope = parts.next().unwrap_or(word);
    let session = match scope.text {
        "session" => true,
        "host" => false,
        other => return Err(scope.bad(format!("`{other}` is neither `session` nor `host`"))),
    };
    let (count, metric, end) = (parts.next(), parts.next(), parts.next());
    if let Some(more) = parts.next() {
        return Err(more.bad("nothing can stand behind `src` or `dst`"));
    }
    let (count, metric) = match (count, metric) {
        (None, _) => (MAX_PACKETS, Metric::Packets),
        (Some(count), None) => {
            let fault = count.bad("expected `COUNT, METRIC`");
            return Err(match count.text.split_once(' ') {
                Some((metric, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                    fault.help(format!("did you mean `{number},{metric}`?"))
                }
                _ => fault,
            });
        }
        (Some(count), Some(metric)) => {
            let count: u32 = count.number(0, u32::MAX)?;
            match metric.text {
                "packets" => (count.min(MAX_PACKETS), Metric::Packets),
                "seconds" => (count, Metric::Seconds),
                "bytes" => (count, Metric::Bytes),
                other => {
                    let known = ["packets", "seconds", "bytes"];
                    let fault = metric.bad(format!("`{other}` is none of {}", known.join(", ")));
                    return Err(match nearest(other, known.into_iter()) {
                        Some(near) => fault.help(format!("did you mean `{near}`?")),
                        None => fault,
                    });
                }
            }
        }
    };
    let source = match end.map(|end| (end, end.text)) {
        None | Some((_, "dst")) => false,
        Some((_, "src")) => true,
        Some((end, other)) => return Err(end.bad(format!("`{other}` is neither `src` nor `dst`"))),
    };
    // A session has both ends: Suricata takes `src` and `dst` here, and makes nothing of them.
    let scope = match (session, source) {
        (true, _) => Scope::Session,
        (false, true) => Scope::Source,
        (false, false) => Scope::Destination,
    };
    Ok(Tag { scope, metric, count })
}
