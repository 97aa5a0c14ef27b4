//! A walk over elements in the Basic Encoding Rules (ITU-T X.690, section 8): each before those it holds.
//!
//! It ends at the first that is damaged or does not fit into the one that holds it. A step takes at least
//! two bytes, and there is a fixed number of levels: it allocates nothing and its time is linear.

/// Elements that may hold one another (what Suricata's `asn1-max-frames` is when it is not set).
const MOST_LEVELS: usize = 30;
/// Elements that are followed at the top (what its suricata.yaml sets it to).
const MOST_AT_TOP: usize = 256;

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// It is of the universal class.
    pub(super) is_universal: bool,
    /// It holds elements.
    pub(super) is_constructed: bool,
    /// Number of its tag.
    pub(super) tag: u32,
    /// Its bytes, without the header. Of an indefinite length, it is empty: its end is not known yet.
    pub(super) content: &'a [u8],
}

/// Elements that follow one another.
#[derive(Clone, Copy, Default)]
struct Level<'a> {
    rest: &'a [u8],
    /// Ends at two zero bytes instead of at the end of `rest`.
    indefinite: bool,
}

/// The walk.
pub(super) struct Walk<'a> {
    levels: [Level<'a>; MOST_LEVELS],
    /// Number of levels that are open; 0: the end.
    depth: usize,
    at_top: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        let mut levels = [Level::default(); MOST_LEVELS];
        if let Some(level) = levels.first_mut() {
            level.rest = input;
        }
        Self { levels, depth: 1, at_top: 0 }
    }

    fn close(&mut self) -> Option<()> {
        let level = *self.levels.get(self.depth.checked_sub(1)?)?;
        self.depth -= 1;
        if level.indefinite {
            // The level above did not know where this one would end.
            self.levels.get_mut(self.depth.checked_sub(1)?)?.rest = level.rest;
        }
        Some(())
    }

    fn step(&mut self) -> Option<Element<'a>> {
        loop {
            let level = self.levels.get_mut(self.depth.checked_sub(1)?)?;
            match level.rest {
                [0, 0, rest @ ..] if level.indefinite => {
                    level.rest = rest;
                    self.close()?;
                }
                // Without its two zero bytes an indefinite one is damaged.
                [] if level.indefinite => return None,
                [] => self.close()?,
                _ => break,
            }
        }
        if self.depth == 1 {
            self.at_top += 1;
            if self.at_top > MOST_AT_TOP {
                return None;
            }
        }
        let level = self.levels.get_mut(self.depth.checked_sub(1)?)?;
        let (header, rest) = Header::read(level.rest)?;
        let mut element = Element {
            is_universal: header.is_universal,
            is_constructed: header.is_constructed,
            tag: header.tag,
            content: &[],
        };
        let inside = match header.length {
            Some(length) => {
                (element.content, level.rest) = rest.split_at_checked(length)?;
                Level { rest: element.content, indefinite: false }
            }
            None if header.is_constructed => Level { rest, indefinite: true },
            None => return None,
        };
        if header.is_constructed {
            // One level too many is not entered; the element itself is told still.
            match self.levels.get_mut(self.depth) {
                Some(level) => {
                    *level = inside;
                    self.depth += 1;
                }
                None => self.depth = 0,
            }
        }
        Some(element)
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let element = self.step();
        if element.is_none() {
            self.depth = 0;
        }
        element
    }
}

/// Tag and length.
struct Header {
    is_universal: bool,
    is_constructed: bool,
    tag: u32,
    /// `None`: indefinite.
    length: Option<usize>,
}

impl Header {
    fn read(input: &[u8]) -> Option<(Self, &[u8])> {
        let (first, mut rest) = input.split_first()?;
        let mut tag = u32::from(first & 0x1f);
        if tag == 0x1f {
            // Seven bits a byte, the last without the highest bit.
            tag = 0;
            loop {
                let (byte, behind) = rest.split_first()?;
                rest = behind;
                if tag >> 25 != 0 {
                    return None;
                }
                tag = tag << 7 | u32::from(byte & 0x7f);
                if byte & 0x80 == 0 {
                    break;
                }
            }
        }
        let (byte, mut rest) = rest.split_first()?;
        let length = match byte {
            0x80 => None,
            0..=0x7f => Some(usize::from(*byte)),
            _ => {
                let (bytes, behind) = rest.split_at_checked(usize::from(byte & 0x7f))?;
                rest = behind;
                if bytes.len() > size_of::<usize>() {
                    return None;
                }
                Some(bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
            }
        };
        let header = Self {
            is_universal: first & 0xc0 == 0,
            is_constructed: first & 0x20 != 0,
            tag,
            length,
        };
        Some((header, rest))
    }
}
