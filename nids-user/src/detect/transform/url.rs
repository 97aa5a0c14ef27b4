//! `url_decode`: `%` and two hexadecimal digits are a byte, `+` is a blank.
//!
//! A `%` without two digits behind it stays, and what follows is judged on its own, as in Suricata 7:
//! `%%41` is `%A`. Suricata 8 leaves all three as they are then, which hides them. `%u0041` is left.

pub(super) fn decode(mut input: &[u8], out: &mut Vec<u8>) {
    out.reserve(input.len());
    loop {
        input = match input {
            [] => return,
            [b'%', high, low, rest @ ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest
                }
                _ => plain(b'%', input, out),
            },
            [b'+', ..] => plain(b' ', input, out),
            [byte, ..] => plain(*byte, input, out),
        };
    }
}

fn plain<'a>(byte: u8, input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    out.push(byte);
    input.split_first().map_or(&[], |(_, rest)| rest)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
