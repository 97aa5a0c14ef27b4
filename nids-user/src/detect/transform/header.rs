//! `header_lowercase` and `strip_pseudo_headers`: one form for the headers of HTTP/1 and HTTP/2.

/// In each line, up to its colon, letters become lower case. A line without a colon goes on in the next.
pub(super) fn lower_names(input: &[u8], out: &mut Vec<u8>) {
    let mut in_name = true;
    out.extend(input.iter().map(|byte| match (in_name, byte) {
        (true, b':') => {
            in_name = false;
            b':'
        }
        (true, byte) => byte.to_ascii_lowercase(),
        (false, byte) => {
            in_name = *byte == b'\n';
            *byte
        }
    }));
}

/// Lines that begin with a colon are left out, with their line feed.
pub(super) fn strip_pseudo(input: &[u8], out: &mut Vec<u8>) {
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        if line.first() != Some(&b':') {
            out.extend_from_slice(line);
        }
    }
}
