//! `nids refused`: the rules that the running sensor refused, and why.

use std::ops::ControlFlow;

use serde::Deserialize;

use super::exit::{Code, Failure};
use super::interrupt;
use super::socket::{SocketArgs, body};
use super::stdout::Lines;
use crate::control::{Request, client};
use crate::rule::diagnostic::printable;
use crate::rule::report::Summary;

/// Shows the rules that are not in force in the running sensor, with place and reason.
///
/// They are those of its last load, whatever the files hold by now. `nids check` shows the same with the text
/// of each rule and a caret.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print what `nids check --json` prints: one JSON object for each rule, and last the summary.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: SocketArgs,
}

/// One line of the list.
#[derive(Deserialize)]
struct Line {
    file: String,
    line: u32,
    column: u32,
    sid: Option<u32>,
    kind: String,
    reason: String,
    help: Option<String>,
}

/// Prints the list.
pub fn run(args: Args) -> Result<(), Failure> {
    interrupt::install();
    let mut out = Lines::stdout();
    let last = client::ask_line(&args.socket.socket, Request::Refused, |line| {
        match args.json {
            true => out.buffer.extend_from_slice(line),
            false => out.buffer.extend_from_slice(text(line)?.as_bytes()),
        }
        out.buffer.push(b'\n');
        match interrupt::asked() {
            true => Ok(ControlFlow::Break(())),
            false => out.line(),
        }
    })?;
    let Some(last) = last else { return Ok(()) };
    if args.json {
        out.buffer.extend_from_slice(body(&last).as_bytes());
    } else {
        let Summary { loaded, refused, disabled, .. } = client::read(&last)?;
        let text = format!("{loaded} loaded, {refused} refused, {disabled} disabled\n");
        out.buffer.extend_from_slice(text.as_bytes());
    }
    out.flush().map(drop)
}

fn text(line: &[u8]) -> Result<String, Failure> {
    let Line { file, line, column, sid, kind, reason, help } = serde_json::from_slice(line)
        .map_err(|error| {
            Failure::new(Code::Data, format!("the sensor's answer cannot be read: {error}."))
        })?;
    let sid = sid.map_or(String::new(), |sid| format!("sid {sid}: "));
    let help = help.map_or(String::new(), |help| format!("; {help}"));
    let text = format!("{file}:{line}:{column}: {sid}{kind}: {reason}{help}");
    Ok(printable(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let json = br#"{"file":"a.rules","line":3,"column":9,"end_column":12,"sid":7,"kind":"unknown-keyword","reason":"no keyword is called `nocas`","help":"did you mean `nocase`?"}"#;
        assert_eq!(
            text(json).unwrap(),
            "a.rules:3:9: sid 7: unknown-keyword: no keyword is called `nocas`; did you mean `nocase`?"
        );
        assert!(text(b"{}").is_err());
    }
}
