//! The EVE object `dns`, version 3, and `mdns` (Suricata user guide, "EVE JSON Format", "Event type: DNS").

use super::parser::{Message, Question, Record, RecordData, kind};
use super::state::Transaction;
use crate::app::AppProtocol;
use crate::app::log::Object;
use crate::flow::FlowDirection;
use crate::output::field::{address, bytes, put};

/// Appends `,"dns":{...}`.
pub(super) fn write(transaction: &Transaction, id: u64, out: &mut Vec<u8>) {
    let Message { header, questions, answers, authorities, additionals, .. } = &transaction.message;
    let name = match transaction.protocol {
        AppProtocol::Mdns => "mdns",
        _ => "dns",
    };
    let mut object = Object::begin(out, name);
    object.number("version", 3);
    object.text(
        "type",
        match transaction.direction {
            FlowDirection::ToServer => "request",
            FlowDirection::ToClient => "response",
        },
    );
    object.number("tx_id", id);
    object.number("id", u64::from(header.id));
    object.key("flags");
    put(object.out, format_args!("\"{:x}\"", header.flags));
    for (flag, bit) in [("qr", 15), ("aa", 10), ("tc", 9), ("rd", 8), ("ra", 7), ("z", 6)] {
        if header.flags >> bit & 1 == 1 {
            object.truth(flag, true);
        }
    }
    object.number("opcode", u64::from(header.opcode()));
    object.text("rcode", &response_code(header.rcode()));
    if !questions.is_empty() {
        list(&mut object, "queries", questions, question);
    }
    if !answers.is_empty() {
        list(&mut object, "answers", answers, record);
        grouped(&mut object, answers);
    }
    for (name, records) in [("authorities", authorities), ("additionals", additionals)] {
        if !records.is_empty() {
            list(&mut object, name, records, record);
        }
    }
    object.end();
}

fn list<T>(object: &mut Object<'_>, name: &str, items: &[T], each: fn(&mut Object<'_>, &T)) {
    object.key(name);
    object.out.push(b'[');
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            object.out.push(b',');
        }
        let mut inner = Object::open(object.out);
        each(&mut inner, item);
        inner.end();
    }
    object.out.push(b']');
}

fn question(object: &mut Object<'_>, question: &Question) {
    object.bytes("rrname", &question.name);
    object.text("rrtype", &kind_name(question.kind));
}

fn record(object: &mut Object<'_>, record: &Record) {
    object.bytes("rrname", &record.name);
    object.text("rrtype", &kind_name(record.kind));
    object.number("ttl", u64::from(record.ttl));
    match &record.data {
        RecordData::Authority(soa) => {
            object.key("soa");
            let mut inner = Object::open(object.out);
            inner.bytes("mname", &soa.server);
            inner.bytes("rname", &soa.mailbox);
            for (name, number) in
                ["serial", "refresh", "retry", "expire", "minimum"].iter().zip(soa.numbers)
            {
                inner.number(name, u64::from(number));
            }
            inner.end();
        }
        RecordData::Fingerprint { algorithm, kind, bytes } => {
            object.key("sshfp");
            let mut inner = Object::open(object.out);
            inner.key("fingerprint");
            inner.out.push(b'"');
            for (number, byte) in bytes.iter().enumerate() {
                put(inner.out, format_args!("{}{byte:02x}", if number > 0 { ":" } else { "" }));
            }
            inner.out.push(b'"');
            inner.number("algo", u64::from(*algorithm));
            inner.number("type", u64::from(*kind));
            inner.end();
        }
        RecordData::Service { priority, weight, port, target } => {
            object.key("srv");
            let mut inner = Object::open(object.out);
            inner.number("priority", u64::from(*priority));
            inner.number("weight", u64::from(*weight));
            inner.number("port", u64::from(*port));
            inner.bytes("name", target);
            inner.end();
        }
        RecordData::Options(options) => {
            object.key("opt");
            object.out.push(b'[');
            for (number, (code, value)) in options.iter().enumerate() {
                if number > 0 {
                    object.out.push(b',');
                }
                let mut inner = Object::open(object.out);
                inner.number("code", u64::from(*code));
                inner.key("data");
                inner.out.push(b'"');
                for byte in value {
                    put(inner.out, format_args!("{byte:02x}"));
                }
                inner.out.push(b'"');
                inner.end();
            }
            object.out.push(b']');
        }
        data => {
            let before = object.out.len();
            object.key("rdata");
            if !value(object.out, data) {
                object.out.truncate(before);
            }
        }
    }
}

/// The answers by type.
fn grouped(object: &mut Object<'_>, answers: &[Record]) {
    const GROUPED: [u16; 8] =
        [kind::A, kind::AAAA, kind::CNAME, kind::MX, kind::NULL, kind::NS, kind::TXT, kind::PTR];
    object.key("grouped");
    let mut inner = Object::open(object.out);
    for wanted in GROUPED {
        let mut first = true;
        for answer in answers.iter().filter(|answer| answer.kind == wanted) {
            if first {
                inner.key(&kind_name(wanted));
                inner.out.push(b'[');
            } else {
                inner.out.push(b',');
            }
            first = false;
            if !value(inner.out, &answer.data) {
                inner.out.extend_from_slice(b"\"\"");
            }
        }
        if !first {
            inner.out.push(b']');
        }
    }
    inner.end();
}

/// The data of a record as one string; false where it is not told.
fn value(out: &mut Vec<u8>, data: &RecordData) -> bool {
    match data {
        RecordData::Address(octets) => {
            let four = <[u8; 4]>::try_from(octets.as_slice()).map(std::net::IpAddr::from);
            let sixteen = <[u8; 16]>::try_from(octets.as_slice()).map(std::net::IpAddr::from);
            let Ok(ip) = four.or(sixteen) else {
                out.extend_from_slice(b"\"\"");
                return true;
            };
            out.push(b'"');
            address(out, ip);
            out.push(b'"');
        }
        RecordData::Name(name) | RecordData::Mail(name) | RecordData::Text(name) => {
            bytes(out, name);
        }
        RecordData::Other(data) if !data.is_empty() => bytes(out, data),
        _ => return false,
    }
    true
}

/// What the header says of how it went (IANA, DNS RCODEs).
fn response_code(code: u8) -> String {
    const NAMES: [&str; 11] = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
        "NXRRSET", "NOTAUTH", "NOTZONE",
    ];
    NAMES.get(usize::from(code)).map_or_else(|| code.to_string(), |name| (*name).to_owned())
}

/// The name of a type of record (IANA, DNS Resource Record Types); its number where it has none.
fn kind_name(kind: u16) -> String {
    let name = match kind {
        1 => "A",
        2 => "NS",
        3 => "MD",
        4 => "MF",
        5 => "CNAME",
        6 => "SOA",
        7 => "MB",
        8 => "MG",
        9 => "MR",
        10 => "NULL",
        11 => "WKS",
        12 => "PTR",
        13 => "HINFO",
        14 => "MINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        19 => "X25",
        20 => "ISDN",
        21 => "RT",
        22 => "NSAP",
        23 => "NSAPPTR",
        24 => "SIG",
        25 => "KEY",
        26 => "PX",
        27 => "GPOS",
        28 => "AAAA",
        29 => "LOC",
        30 => "NXT",
        33 => "SRV",
        34 => "ATMA",
        35 => "NAPTR",
        36 => "KX",
        37 => "CERT",
        38 => "A6",
        39 => "DNAME",
        41 => "OPT",
        42 => "APL",
        43 => "DS",
        44 => "SSHFP",
        45 => "IPSECKEY",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        49 => "DHCID",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        55 => "HIP",
        59 => "CDS",
        60 => "CDNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        249 => "TKEY",
        250 => "TSIG",
        252 => "AXFR",
        254 => "MAILA",
        255 => "ANY",
        256 => "URI",
        other => return other.to_string(),
    };
    name.to_owned()
}
