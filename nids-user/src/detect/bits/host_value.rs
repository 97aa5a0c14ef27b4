//! Values of `xbits` and `hostbits`.
//!
//! `xbits:CHANGE,NAME,track ip_src|ip_dst|ip_pair[,expire SECONDS]`; with `track tx` the bit is one of a
//! transaction, and has no end of its own. `hostbits:CHANGE,NAME[,src|dst[,SECONDS]]`; without an end
//! the source is meant (Suricata, detect-hostbits.c). Both name the same bits of hosts.

use super::{HostBitId, Names, PairBitId, TxBitId};
use crate::detect::keyword::value::{Fault, Word};
use crate::suggest::nearest;

/// Suricata's default of `expire`, in seconds, for `xbits`.
const XBITS_EXPIRE: u32 = 30;
/// The same for `hostbits`.
const HOSTBITS_EXPIRE: u32 = 300;

/// `xbits` or `hostbits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedBits {
    /// Tested when the rule is.
    Test(HostBitTest),
    /// Done when the whole rule has matched.
    Change(HostBitChange),
    /// The rule raises no alert.
    NoAlert,
}

/// Whose bit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// The packet's source.
    Source(HostBitId),
    /// Its destination.
    Destination(HostBitId),
    /// Both together, in either order.
    Pair(PairBitId),
    /// The transaction.
    Transaction(TxBitId),
}

/// What a bit has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostBitTest {
    /// Which bit.
    pub bit: Tracked,
    /// Set, or not.
    pub set: bool,
}

/// What is done to a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostBitChange {
    /// Set it, for so many seconds. One that is set already keeps its end.
    Set(Tracked, u32),
    /// Take it away.
    Unset(Tracked),
    /// Turn it around.
    Toggle(Tracked, u32),
}

/// Reads the value of `xbits`.
pub fn xbits(word: Word<'_>, names: &Names) -> Result<SharedBits, Fault> {
    let mut parts = word.split(',');
    let command = parts.next().unwrap_or(word);
    if command.text == "noalert" {
        return match parts.next() {
            Some(more) => Err(more.bad("`noalert` names no bit")),
            None => Ok(SharedBits::NoAlert),
        };
    }
    let Some(name) = parts.next() else {
        return Err(command.bad("the name of the bit is missing"));
    };
    let Some(track) = parts.next() else {
        return Err(name.bad("`track` is missing behind the name"));
    };
    let expire = parts.next();
    if let Some(more) = parts.next() {
        return Err(more.bad("nothing can stand behind `expire`"));
    }
    let Some(track) = after(track, "track") else {
        return Err(track.bad("expected `track ip_src`, `ip_dst`, `ip_pair` or `tx`"));
    };
    let bit = match track.text {
        "ip_src" => Tracked::Source(HostBitId::of(names, name)?),
        "ip_dst" => Tracked::Destination(HostBitId::of(names, name)?),
        "ip_pair" => Tracked::Pair(PairBitId::of(names, name)?),
        "tx" => Tracked::Transaction(TxBitId::of(names, name)?),
        other => {
            let known = ["ip_src", "ip_dst", "ip_pair", "tx"];
            let fault = track.bad(format!("`{other}` is none of {}", known.join(", ")));
            return Err(match nearest(other, known.into_iter()) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            });
        }
    };
    let seconds = match expire {
        None => XBITS_EXPIRE,
        Some(expire) => {
            let Some(seconds) = after(expire, "expire") else {
                return Err(expire.bad("expected `expire SECONDS`"));
            };
            if matches!(bit, Tracked::Transaction(_)) {
                return Err(expire.bad("a bit of a transaction ends with it"));
            }
            seconds.number(1, u32::MAX)?
        }
    };
    operation(command, bit, seconds)
}

/// Reads the value of `hostbits`.
pub fn hostbits(word: Word<'_>, names: &Names) -> Result<SharedBits, Fault> {
    let mut parts = word.split(',');
    let command = parts.next().unwrap_or(word);
    if command.text == "noalert" {
        return match parts.next() {
            Some(more) => Err(more.bad("`noalert` names no bit")),
            None => Ok(SharedBits::NoAlert),
        };
    }
    let Some(name) = parts.next() else {
        return Err(command.bad("the name of the bit is missing"));
    };
    let (end, seconds) = (parts.next(), parts.next());
    if let Some(more) = parts.next() {
        return Err(more.bad("nothing can stand behind the seconds"));
    }
    let id = HostBitId::of(names, name)?;
    let bit = match end.map(|end| (end, end.text)) {
        None | Some((_, "src")) => Tracked::Source(id),
        Some((_, "dst")) => Tracked::Destination(id),
        Some((end, "both")) => {
            return Err(end
                .bad("`both` leaves open whether one host or each of them is meant")
                .help("write one `hostbits` for `src` and one for `dst`"));
        }
        Some((end, other)) => return Err(end.bad(format!("`{other}` is neither `src` nor `dst`"))),
    };
    let seconds = match seconds {
        Some(seconds) => seconds.number(1, u32::MAX)?,
        None => HOSTBITS_EXPIRE,
    };
    operation(command, bit, seconds)
}

fn operation(command: Word<'_>, bit: Tracked, seconds: u32) -> Result<SharedBits, Fault> {
    Ok(match command.text {
        "set" => SharedBits::Change(HostBitChange::Set(bit, seconds)),
        "unset" => SharedBits::Change(HostBitChange::Unset(bit)),
        "toggle" => SharedBits::Change(HostBitChange::Toggle(bit, seconds)),
        "isset" => SharedBits::Test(HostBitTest { bit, set: true }),
        "isnotset" => SharedBits::Test(HostBitTest { bit, set: false }),
        other => {
            let known = ["set", "unset", "toggle", "isset", "isnotset", "noalert"];
            let fault = command.bad(format!("`{other}` is none of {}", known.join(", ")));
            return Err(match nearest(other, known.into_iter()) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            });
        }
    })
}

/// What follows `name` and a blank.
fn after<'a>(word: Word<'a>, name: &str) -> Option<Word<'a>> {
    let rest = word.text.strip_prefix(name)?;
    rest.starts_with(|c: char| c.is_ascii_whitespace())
        .then(|| Word { text: rest, start: word.start + name.len() }.trim())
}
