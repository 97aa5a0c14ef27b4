//! The files of sets (Suricata user guide, "Datasets", "File formats"): reading, and replacing whole.
//!
//! A CSV file has a value a line, and may have a reputation from 0 to 65535 behind a comma. A JSON file
//! has an array of objects, an NDJSON file an object a line; the value lies under a key of the object.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use super::frozen::Full;
use super::kind::Kind;

/// Bytes a file may have.
pub const MAX_FILE: u64 = 1 << 30;

/// How a file is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `value` or `value,reputation`.
    #[default]
    Csv,
    /// Objects; parts of a key are separated by dots.
    Json {
        /// An object a line; else one array.
        lines: bool,
        /// Where in an object its value lies.
        value: String,
        /// Where in the document the array lies; the document itself where this is `None`.
        array: Option<String>,
        /// Whether the value is left out of the context.
        remove: bool,
    },
}

/// Why a file cannot be a set.
#[derive(Debug, Error)]
pub enum FileError {
    /// The system says so.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A folder, a pipe, a device.
    #[error("{}: not a file", .0.display())]
    NotAFile(PathBuf),
    /// More than [`MAX_FILE`].
    #[error("{}: larger than 1 GiB", .0.display())]
    TooLarge(PathBuf),
    /// A line, from 1, is not what it should be.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The document is not what it should be.
    #[error("{0}")]
    Document(String),
    /// An error in the contents of a named file.
    #[error("{}: {error}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// The error.
        error: Box<Self>,
    },
    /// The memory of the set is too small.
    #[error("the values take {taken} bytes, more than the memcap of {memcap}")]
    Memory {
        /// Bytes needed.
        taken: usize,
        /// Bytes allowed.
        memcap: usize,
    },
}

impl FileError {
    /// In this file.
    pub(super) fn at(self, path: &Path) -> Self {
        Self::At { path: path.to_owned(), error: Box::new(self) }
    }
}

/// The bytes of a file; `None` where there is none and there need not be. Opens no device or pipe that a
/// rule may name.
pub(super) fn bytes(path: &Path, may_miss: bool) -> Result<Option<Vec<u8>>, FileError> {
    let io = |error| FileError::Io { path: path.to_owned(), error };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_miss => return Ok(None),
        Err(error) => return Err(io(error)),
        Ok(data) if !data.is_file() => return Err(FileError::NotAFile(path.to_owned())),
        Ok(data) if data.len() > MAX_FILE => return Err(FileError::TooLarge(path.to_owned())),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes)).map_err(io)?;
    Ok(Some(bytes))
}

/// Hands each value of a file, with its reputation and its context, to `put`.
pub(super) fn read(
    bytes: &[u8],
    kind: Kind,
    layout: &Layout,
    mut put: impl FnMut(&[u8], u16, &str) -> Result<(), Full>,
) -> Result<(), FileError> {
    let mut put = |value: &[u8], reputation, context: &str| {
        let full = |Full| "the set is full: it holds 4 GiB".to_owned();
        put(value, reputation, context).map_err(full)
    };
    match layout {
        Layout::Csv => read_csv(bytes, kind, put),
        Layout::Json { lines: true, value: key, remove, .. } => {
            let mut found = false;
            for (line, text) in lines(bytes) {
                let bad = |reason| FileError::Line { line, reason };
                let object =
                    serde_json::from_slice(text).map_err(|error| bad(error.to_string()))?;
                found |= element(object, kind, key, *remove, &mut put).map_err(bad)?;
            }
            if found { Ok(()) } else { Err(nowhere(key)) }
        }
        Layout::Json { value: key, array, remove, .. } => {
            let document = serde_json::from_slice::<Value>(bytes)
                .map_err(|error| FileError::Document(error.to_string()))?;
            let mut found = false;
            for (number, object) in elements(document, array.as_deref())?.into_iter().enumerate() {
                let bad = |reason| FileError::Document(format!("element {number}: {reason}"));
                found |= element(object, kind, key, *remove, &mut put).map_err(bad)?;
            }
            if found { Ok(()) } else { Err(nowhere(key)) }
        }
    }
}

fn nowhere(key: &str) -> FileError {
    FileError::Document(format!("no object has the key `{key}`"))
}

/// The lines that are not blank, with their numbers.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    (1..).zip(lines).filter(|(_, line)| !line.is_empty())
}

fn read_csv(
    bytes: &[u8],
    kind: Kind,
    mut put: impl FnMut(&[u8], u16, &str) -> Result<(), String>,
) -> Result<(), FileError> {
    let mut value = Vec::new();
    for (line, text) in lines(bytes) {
        let bad = |reason| FileError::Line { line, reason };
        let text = std::str::from_utf8(text).map_err(|_| bad("not UTF-8".to_owned()))?;
        let (text, reputation) = match text.split_once(',') {
            // As Suricata reads it, further fields are left alone.
            Some((text, rest)) => (text.trim(), rest.split(',').next().map(str::trim)),
            None => (text, None),
        };
        let reputation = match reputation {
            Some(number) => number
                .parse::<u16>()
                .map_err(|_| bad("a reputation is a number from 0 to 65535".to_owned()))?,
            None => 0,
        };
        value.clear();
        kind.read(text, &mut value).ok_or_else(|| bad(no_value(kind)))?;
        put(&value, reputation, "").map_err(bad)?;
    }
    Ok(())
}

fn no_value(kind: Kind) -> String {
    match kind {
        Kind::String => "not a string in base64".to_owned(),
        Kind::Md5 => "not an MD5 digest of 32 hexadecimal digits".to_owned(),
        Kind::Sha256 => "not a SHA-256 digest of 64 hexadecimal digits".to_owned(),
        Kind::Ipv4 => "not an IPv4 address".to_owned(),
        Kind::Ip => "not an IP address".to_owned(),
    }
}

fn elements(mut document: Value, array: Option<&str>) -> Result<Vec<Value>, FileError> {
    let place = match array {
        Some(path) => path.split('.').try_fold(&mut document, |value, key| value.get_mut(key)),
        None => Some(&mut document),
    };
    match place.map(Value::take) {
        Some(Value::Array(elements)) => Ok(elements),
        Some(_) => Err(FileError::Document(match array {
            Some(path) => format!("`{path}` is not an array"),
            None => "not an array: `array_key` says where it is".to_owned(),
        })),
        None => Err(nowhere(array.unwrap_or_default())),
    }
}

/// Whether the object has the key. Others may lie beside those that have.
fn element(
    mut object: Value,
    kind: Kind,
    key: &str,
    remove: bool,
    put: &mut impl FnMut(&[u8], u16, &str) -> Result<(), String>,
) -> Result<bool, String> {
    let mut path = key.rsplitn(2, '.');
    let last = path.next().unwrap_or_default();
    let mut holder = &mut object;
    for part in path.next().into_iter().flat_map(|parents| parents.split('.')) {
        match holder.get_mut(part) {
            Some(inner) => holder = inner,
            None => return Ok(false),
        }
    }
    let Some(place) = holder.get_mut(last) else { return Ok(false) };
    let Value::String(text) = &*place else { return Err(format!("`{key}` is not a string")) };
    let mut value = Vec::new();
    kind.read_plain(text, &mut value).ok_or_else(|| match kind {
        Kind::String => format!("`{key}` is empty"),
        _ => format!("`{key}` is {}", no_value(kind)),
    })?;
    if remove && let Some(map) = holder.as_object_mut() {
        map.remove(last);
    }
    put(&value, 0, &object.to_string())?;
    Ok(true)
}

/// Replaces the file at `path` by these lines. Whoever opens it meanwhile, or after a crash, finds the old
/// lines or the new ones, never a part.
///
/// # Errors
/// The folder or the file cannot be written; the old file is as it was.
pub(super) fn replace(path: &Path, lines: &[String]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(format!(".{}.new", std::process::id()));
    let beside = folder.join(name);
    let written = write(&beside, lines).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write(path: &Path, lines: &[String]) -> io::Result<()> {
    // What a process of this number left behind, if anything; a link put there is not followed.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut writer = BufWriter::new(File::create_new(path)?);
    for line in lines {
        writer.write_all(line.as_bytes())?;
        writer.write_all(b"\n")?;
    }
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}
