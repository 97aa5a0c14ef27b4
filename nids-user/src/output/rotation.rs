//! Files that are put away: when, under which names, and which of them are kept.
//!
//! `eve.json` becomes `eve.json.20261124T020304.123456Z` (UTC). The names of one file sort by time, and no
//! two are the same: a clock that went back does not change that. Compression adds `.zst`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Length of `20261124T020304.123456Z`.
const STAMP: usize = 23;

/// When the file is put away next by time: the next multiple of the interval since the epoch.
pub(super) fn next_turn(now: SystemTime, interval: Duration) -> SystemTime {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let interval = interval.as_secs().max(1);
    UNIX_EPOCH + Duration::from_secs((since / interval + 1) * interval)
}

/// A file that was put away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Old {
    stamp: String,
    pub(super) state: State,
    pub(super) path: PathBuf,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// As it was written.
    Plain,
    Compressed,
    /// A compression that did not come to its end.
    Unfinished,
}

/// The files that were put away of this one, the oldest first.
pub(super) fn old_files(path: &Path) -> io::Result<Vec<Old>> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(path))? {
        let entry = entry?;
        let file = entry.file_name();
        let rest = file.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('.'));
        let Some((stamp, rest)) = rest.and_then(|rest| rest.split_at_checked(STAMP)) else {
            continue;
        };
        let state = match rest {
            "" => State::Plain,
            ".zst" => State::Compressed,
            ".zst.part" => State::Unfinished,
            _ => continue,
        };
        if is_stamp(stamp) {
            found.push(Old { stamp: stamp.to_owned(), state, path: entry.path() });
        }
    }
    found.sort();
    Ok(found)
}

/// Renames the file, where it is the one with this device and inode: another one is not ours to move, and
/// one that somebody else has moved is away already.
pub(super) fn put_away(path: &Path, id: (u64, u64), now: SystemTime) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if (there.dev(), there.ino()) == id => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let newest = old_files(path)?.pop().and_then(|old| microseconds(&old.stamp));
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let time = newest.map_or(now, |newest| now.max(newest + 1));
    match fs::rename(path, with_suffix(path, &stamp(time))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The name with a dot and this behind it.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// The folder that it is in.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

const PATTERN: &str = "%Y%m%dT%H%M%S";

fn stamp(microseconds: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(microseconds).unwrap_or(jiff::Timestamp::MAX);
    format!("{}.{:06}Z", time.strftime(PATTERN), time.subsec_microsecond())
}

fn microseconds(stamp: &str) -> Option<i64> {
    let (seconds, rest) = stamp.split_once('.')?;
    let time = jiff::civil::DateTime::strptime(PATTERN, seconds).ok()?;
    let time = jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?;
    Some(time.as_microsecond() + rest.strip_suffix('Z')?.parse::<i64>().ok()?)
}

fn is_stamp(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 => byte == b'T',
        15 => byte == b'.',
        22 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: u64 = 1_795_485_784;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn turns_are_multiples_of_the_interval() {
        for (now, interval, next) in
            [(0, 60, 60), (59, 60, 60), (60, 60, 120), (T0, 3600, 1_795_489_200), (T0, 1, T0 + 1)]
        {
            assert_eq!(next_turn(at(now), Duration::from_secs(interval)), at(next));
        }
    }

    #[test]
    fn stamps_there_and_back() {
        for time in [0, 1_795_485_784_123_456, 4_102_444_800_000_001] {
            let text = stamp(time);
            assert!(is_stamp(&text) && text.len() == STAMP, "{text}");
            assert_eq!(microseconds(&text), Some(time));
        }
        assert_eq!(stamp(1_795_485_784_123_456), "20261124T020304.123456Z");
    }

    fn id(path: &Path) -> (u64, u64) {
        let meta = fs::metadata(path).unwrap();
        (meta.dev(), meta.ino())
    }

    /// Also at one and the same time, and when the clock goes back.
    #[test]
    fn names_sort_by_time_and_none_is_taken_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eve.json");
        for (number, now) in [T0, T0, T0 + 5, T0 - 1000, T0 + 5].into_iter().enumerate() {
            fs::write(&path, number.to_string()).unwrap();
            put_away(&path, id(&path), at(now)).unwrap();
        }
        for other in ["eve.json.1", "eve.json.bak", "fast.log.20261124T020304.123456Z"] {
            fs::write(dir.path().join(other), "x").unwrap();
        }
        let old = old_files(&path).unwrap();
        let texts: Vec<_> = old.iter().map(|old| fs::read_to_string(&old.path).unwrap()).collect();
        assert_eq!(texts, ["0", "1", "2", "3", "4"]);
    }

    #[test]
    fn what_is_not_ours_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eve.json");
        fs::write(&path, "x").unwrap();
        let (device, inode) = id(&path);
        put_away(&path, (device, inode + 1), at(T0)).unwrap();
        assert!(path.exists());
        put_away(&dir.path().join("none"), (0, 0), at(T0)).unwrap();
    }
}
