//! Any line is a request or told in a short line of its own; a request has one line, which means it.

use nids::control::{Request, RequestError};

/// Panics where a promise of the control socket is broken.
pub fn check(line: &[u8]) {
    match Request::parse(line) {
        Ok(request) => {
            assert_eq!(Request::parse(request.to_line().as_bytes()), Ok(request));
            // One object with one short text in it: nothing else was said.
            let braces = line.iter().filter(|byte| matches!(byte, b'{' | b'}')).count();
            assert_eq!(braces, 2);
            assert!(!line.contains(&b','));
        }
        Err(error) => {
            let text = error.to_string();
            // It goes back to the client within a line, and from there to a terminal.
            assert!(text.len() < 400 && !text.chars().any(char::is_control), "{text:?}");
            if let RequestError::Unknown { command, .. } = &error {
                assert!(Request::ALL.iter().all(|known| known.as_str() != command));
            }
        }
    }
}
