//! Writing the EVE objects of protocols: JSON, member by member, into a buffer.

use crate::output::field::{bytes, put, string};

/// A JSON object that is being written.
pub struct Object<'o> {
    /// What it is written to: a value goes here behind its key.
    pub out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Object<'o> {
    /// Appends `,"name":{`.
    pub fn begin(out: &'o mut Vec<u8>, name: &str) -> Self {
        out.push(b',');
        string(out, name);
        out.push(b':');
        Self::open(out)
    }
    /// Appends `{`, for an object that is a value.
    pub fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }
    /// A member; its value must follow.
    pub fn key(&mut self, name: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        string(self.out, name);
        self.out.push(b':');
    }
    /// A number.
    pub fn number(&mut self, name: &str, number: u64) {
        self.key(name);
        put(self.out, format_args!("{number}"));
    }
    /// A string.
    pub fn text(&mut self, name: &str, text: &str) {
        self.key(name);
        string(self.out, text);
    }
    /// Bytes of the wire as a string.
    pub fn bytes(&mut self, name: &str, value: &[u8]) {
        self.key(name);
        bytes(self.out, value);
    }
    /// `true` or `false`.
    pub fn truth(&mut self, name: &str, value: bool) {
        self.key(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }
    /// Appends `}`.
    pub fn end(self) {
        self.out.push(b'}');
    }
}
