//! The EVE object `tls` (Suricata user guide, "EVE JSON Format", "Event type: TLS").

use super::certificate::Certificate;
use super::hello::Hello;
use super::state::Transaction;
use crate::app::log::Object;
use crate::flow::FlowDirection;
use crate::output::field::bytes;

/// Appends `,"tls":{...}`.
pub(super) fn write(transaction: &Transaction, out: &mut Vec<u8>) {
    let mut object = Object::begin(out, "tls");
    if let Some(own) = transaction.certificates(FlowDirection::ToClient).first() {
        certificate(&mut object, own);
    }
    if transaction.resumed {
        object.truth("session_resumed", true);
    }
    if let Some(name) = transaction.client.as_ref().and_then(|hello| hello.server_name.as_ref()) {
        object.bytes("sni", name);
    }
    let chosen = transaction.version(FlowDirection::ToClient);
    object.text(
        "version",
        &version_name(match chosen {
            0 => transaction.version(FlowDirection::ToServer),
            chosen => chosen,
        }),
    );
    if let Some(own) = transaction.certificates(FlowDirection::ToClient).first()
        && own.readable
    {
        for (key, time) in [("notbefore", own.not_before), ("notafter", own.not_after)] {
            object.text(key, &date(time));
        }
    }
    for (key, fingerprint) in [("ja3", &transaction.ja3), ("ja3s", &transaction.ja3s)] {
        if let Some((text, digest)) = fingerprint {
            object.key(key);
            let mut inner = Object::open(object.out);
            inner.text("hash", digest);
            inner.text("string", text);
            inner.end();
        }
    }
    if let Some(ja4) = &transaction.ja4 {
        object.text("ja4", ja4);
    }
    let offered = transaction.client.as_ref().map_or(&[][..], |hello: &Hello| &hello.alpn);
    if !offered.is_empty() {
        object.key("client_alpns");
        list(object.out, offered.iter().map(Vec::as_slice));
    }
    if let Some(chosen) = transaction.server.as_ref().and_then(|hello| hello.alpn.first()) {
        object.bytes("server_alpn", chosen);
    }
    object.end();
}

fn certificate(object: &mut Object<'_>, own: &Certificate) {
    for (key, value) in [
        ("subject", &own.subject),
        ("issuerdn", &own.issuer),
        ("serial", &own.serial),
        ("fingerprint", &own.fingerprint),
    ] {
        if !value.is_empty() {
            object.text(key, value);
        }
    }
    if !own.names.is_empty() {
        object.key("subjectaltname");
        list(object.out, own.names.iter().map(String::as_bytes));
    }
}

fn list<'a>(out: &mut Vec<u8>, items: impl Iterator<Item = &'a [u8]>) {
    out.push(b'[');
    for (number, item) in items.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        bytes(out, item);
    }
    out.push(b']');
}

/// The name of a version, as Suricata writes it.
fn version_name(version: u16) -> String {
    match version {
        0 => "UNDETERMINED".to_owned(),
        0x0002 | 0x0200 => "SSLv2".to_owned(),
        0x0300 => "SSLv3".to_owned(),
        0x0301 => "TLSv1".to_owned(),
        0x0302 => "TLS 1.1".to_owned(),
        0x0303 => "TLS 1.2".to_owned(),
        0x0304 => "TLS 1.3".to_owned(),
        0x7f01..=0x7fff => format!("TLS 1.3 draft-{}", version & 0xff),
        other => format!("0x{other:04x}"),
    }
}

/// Seconds since 1970 as `2012-10-30T00:00:00`, in UTC.
fn date(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of a number of days since 1970-01-01: the calendar goes round in 146,097 days, from March to March
/// so that the leap day is the last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_351_555_200, "2012-10-30T00:00:00"),
            (-1, "1969-12-31T23:59:59"),
            (4_102_444_800, "2100-01-01T00:00:00"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn versions() {
        for (version, name) in [
            (0x0002, "SSLv2"),
            (0x0301, "TLSv1"),
            (0x0304, "TLS 1.3"),
            (0x7f1c, "TLS 1.3 draft-28"),
            (0, "UNDETERMINED"),
            (0x1234, "0x1234"),
        ] {
            assert_eq!(version_name(version), name);
        }
    }
}
