//! `decode-event`, `stream-event` and `engine-event`: what the decoder and the stream engine found wrong
//! (Suricata user guide, "Decode Layer Keywords" and "Stream Keywords"; the names are those of its
//! rules/decoder-events.rules and rules/stream-events.rules).
//!
//! `engine-event` takes the names of both, as logs have them: `decoder.ipv4.trunc_pkt`,
//! `stream.pkt_invalid_ack`. An event that is never raised here, nor in Suricata, can be named; one that
//! only Suricata raises refuses the rule.

use super::value::{Fault, Use, Word};
use super::{Draft, Keyword};
use crate::decode;
use crate::detect::check::Check;
use crate::stream;
use crate::suggest::nearest;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "decode-event", apply: decoder },
    Keyword { name: "stream-event", apply: stream },
    Keyword { name: "engine-event", apply: engine },
];

fn decoder(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(of_decoder(keyword.value()?.trim())?);
    Ok(())
}

fn stream(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(of_stream(keyword.value()?.trim())?);
    Ok(())
}

fn engine(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?.trim();
    draft.checks.push(if let Some(name) = value.strip_prefix("decoder.") {
        of_decoder(name)?
    } else if let Some(name) = value.strip_prefix("stream.") {
        of_stream(name)?
    } else {
        return Err(value.bad("an engine event begins with `decoder.` or `stream.`"));
    });
    Ok(())
}

fn of_decoder(name: Word<'_>) -> Result<Check, Fault> {
    decode::Event::from_name(name.text)
        .map(Check::DecodeEvent)
        .ok_or_else(|| unknown(name, decode::Event::ALL.iter().map(|event| event.name())))
}

fn of_stream(name: Word<'_>) -> Result<Check, Fault> {
    let lower = name.text.to_ascii_lowercase();
    Some(lower.as_str())
        .filter(|name| !name.starts_with("stream."))
        .and_then(stream::Event::from_name)
        .map(Check::StreamEvent)
        .ok_or_else(|| unknown(name, stream::Event::ALL.iter().map(|event| event.name())))
}

fn unknown(name: Word<'_>, names: impl Iterator<Item = &'static str>) -> Fault {
    let fault = name.bad(format!("`{}` is not an event that is raised here", name.text));
    match nearest(name.text, names) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_name() {
        fn word(text: &str) -> Word<'_> {
            Word { text, start: 0 }
        }
        for event in decode::Event::ALL {
            assert_eq!(of_decoder(word(event.name())), Ok(Check::DecodeEvent(*event)));
            let shouted = event.name().to_ascii_uppercase();
            assert_eq!(of_decoder(word(&shouted)), Ok(Check::DecodeEvent(*event)));
        }
        for event in stream::Event::ALL {
            assert_eq!(of_stream(word(event.name())), Ok(Check::StreamEvent(*event)));
        }
        for text in
            ["decoder.ipv4.trunc_pkt", "!ipv4.trunc_pkt", "ipv4.trunc", "\"ipv4.trunc_pkt\""]
        {
            assert!(of_decoder(word(text)).is_err(), "{text}");
        }
        assert_eq!(
            of_decoder(word("ipv4.trunk_pkt")).unwrap_err().help.as_deref(),
            Some("did you mean `ipv4.trunc_pkt`?")
        );
        assert!(of_stream(word("stream.pkt_invalid_ack")).is_err());
    }
}
