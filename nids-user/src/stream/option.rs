//! The TCP options that the stream engine acts on (RFC 9293, 3.2). Malformed ones end the list: to
//! report them is the decoder's work.

/// What the options of one segment say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Window scale as sent (RFC 7323, 2.2), not cut to 14.
    pub window_scale: Option<u8>,
    /// Timestamp value and echo reply (RFC 7323, 3.2).
    pub timestamp: Option<(u32, u32)>,
    /// SACK permitted (RFC 2018, 2).
    pub sack_permitted: bool,
    /// SACK blocks (RFC 2018, 3), left and right edge; at most 4 fit.
    pub sack: [(u32, u32); 4],
    /// How many of `sack` are there.
    pub sack_len: u8,
    /// TCP fast open, with or without cookie (RFC 7413, 4.1.1, and its experimental form, RFC 6994).
    pub fast_open: bool,
    /// An MD5 signature (RFC 2385) or authentication option (RFC 5925), which nobody in the middle can
    /// check.
    pub signed: bool,
}

const END: u8 = 0;
const NOP: u8 = 1;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMP: u8 = 8;
const MD5: u8 = 19;
const AUTHENTICATION: u8 = 29;
const FAST_OPEN: u8 = 34;
const EXPERIMENT_1: u8 = 253;
const EXPERIMENT_2: u8 = 254;
const FAST_OPEN_MAGIC: [u8; 2] = [0xf9, 0x89];

impl Options {
    /// Reads the bytes behind the fixed header. The first of two equal options counts.
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Self {
        match *bytes {
            [] => Self::default(),
            // By far the most common list (RFC 7323, appendix A).
            [NOP, NOP, TIMESTAMP, 10, a, b, c, d, e, f, g, h] => {
                let (value, echo) = ([a, b, c, d], [e, f, g, h]);
                let timestamp = (u32::from_be_bytes(value), u32::from_be_bytes(echo));
                Self { timestamp: Some(timestamp), ..Self::default() }
            }
            _ => Self::parse_list(bytes),
        }
    }

    fn parse_list(mut bytes: &[u8]) -> Self {
        let mut options = Self::default();
        while let Some((&kind, rest)) = bytes.split_first() {
            match kind {
                END => break,
                NOP => {
                    bytes = rest;
                    continue;
                }
                _ => {}
            }
            let Some(body) =
                rest.first().and_then(|len| rest.get(1..usize::from(*len).checked_sub(1)?))
            else {
                break;
            };
            options.take(kind, body);
            bytes = rest.get(body.len() + 1..).unwrap_or_default();
        }
        options
    }

    fn take(&mut self, kind: u8, body: &[u8]) {
        match (kind, body) {
            (WINDOW_SCALE, [shift]) if self.window_scale.is_none() => {
                self.window_scale = Some(*shift);
            }
            (SACK_PERMITTED, []) => self.sack_permitted = true,
            (TIMESTAMP, [a, b, c, d, e, f, g, h]) if self.timestamp.is_none() => {
                let value = u32::from_be_bytes([*a, *b, *c, *d]);
                let echo = u32::from_be_bytes([*e, *f, *g, *h]);
                self.timestamp = Some((value, echo));
            }
            (SACK, blocks) if self.sack_len == 0 => {
                let pairs = blocks.chunks_exact(8).zip(&mut self.sack);
                for (bytes, slot) in pairs {
                    if let [a, b, c, d, e, f, g, h] = *bytes {
                        *slot =
                            (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
                        self.sack_len += 1;
                    }
                }
            }
            (MD5 | AUTHENTICATION, _) => self.signed = true,
            // A cookie has 4 to 16 bytes and an even length; none is a request for one.
            (FAST_OPEN, cookie) => self.fast_open |= is_cookie(cookie),
            (EXPERIMENT_1 | EXPERIMENT_2, body) => {
                self.fast_open |= body.strip_prefix(&FAST_OPEN_MAGIC).is_some_and(is_cookie);
            }
            _ => {}
        }
    }

    /// The SACK blocks.
    pub(super) fn sack(&self) -> &[(u32, u32)] {
        self.sack.get(..usize::from(self.sack_len)).unwrap_or_default()
    }
}

fn is_cookie(cookie: &[u8]) -> bool {
    cookie.is_empty() || ((4..=16).contains(&cookie.len()) && cookie.len().is_multiple_of(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_syn_s_options() {
        let bytes = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7, 1, 3, 3, 7, 34, 2, 0, 99];
        let options = Options::parse(&bytes);
        assert_eq!(options.window_scale, Some(7));
        assert_eq!(options.timestamp, Some((9, 7)));
        assert!(options.sack_permitted && options.fast_open && !options.signed);
    }

    #[test]
    fn sack_blocks_and_the_experimental_fast_open() {
        let mut bytes = vec![1, 1, 5, 18];
        for n in [1_u32, 2, 3, 4] {
            bytes.extend(n.to_be_bytes());
        }
        bytes.extend([254, 4, 0xf9, 0x89]);
        let options = Options::parse(&bytes);
        assert_eq!(options.sack(), [(1, 2), (3, 4)]);
        assert!(options.fast_open);
    }

    #[test]
    fn a_wrong_length_ends_the_list() {
        assert_eq!(Options::parse(&[3, 0, 3, 3, 7]), Options::default());
        assert_eq!(Options::parse(&[3, 1, 3, 3, 7]), Options::default());
        assert_eq!(Options::parse(&[3, 9, 7]), Options::default());
        assert_eq!(Options::parse(&[3]), Options::default());
    }

    proptest! {
        #[test]
        fn any_bytes_do(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let options = Options::parse(&bytes);
            prop_assert!(options.sack().len() <= 4);
        }
    }
}
