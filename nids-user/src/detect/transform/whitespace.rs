//! `strip_whitespace` and `compress_whitespace`. White space is what C's `isspace` says in the C locale.

/// Blank, tab, line feed, vertical tab, form feed, carriage return.
#[inline]
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

pub(super) fn strip(input: &[u8], out: &mut Vec<u8>) {
    out.extend(input.iter().copied().filter(|byte| !is_space(*byte)));
}

/// Of each run the first byte stays as it is: Suricata's user guide says "a single space", its code does
/// not put one.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) {
    let mut in_run = false;
    out.extend(input.iter().copied().filter(|byte| {
        let goes_on = in_run;
        in_run = is_space(*byte);
        !(goes_on && in_run)
    }));
}
