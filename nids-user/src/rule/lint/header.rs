//! `port-never-matches`, `protocol-never-matches`, `sameip-never-matches`, `flow-never-matches`: headers and
//! keywords that exclude each other.

use super::{Context, Lint, Report, value, value_span};
use crate::rule::address::AddressSet;
use crate::rule::ast::{GroupExpr, Rule};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Tcp,
    Udp,
    Icmp,
}

pub(super) fn check(rule: &Rule, context: Context<'_>, report: &mut Report) {
    let transport = transport(&rule.header.protocol.node);
    ports(rule, transport, report);
    for option in &rule.options {
        let name = option.name.node.as_str();
        let needed = needed(name);
        if let (Some(transport), Some(needed)) = (transport, needed)
            && transport != needed
        {
            let protocol = &rule.header.protocol.node;
            let reason = format!("`{name}` never matches packets of {protocol}");
            report.add(rule, Lint::ProtocolNeverMatches, option.name.span, reason);
        }
        if name == "flow" {
            let words: Vec<&str> = value(option).split(',').map(str::trim_ascii).collect();
            if let Some((a, b)) = exclusive(&words) {
                let reason = format!("`{a}` and `{b}` exclude each other");
                report.add(rule, Lint::FlowNeverMatches, value_span(option), reason);
            }
        }
    }
    sameip(rule, context, report);
}

/// The one transport of a header protocol; `None`: several, or it is not known.
fn transport(protocol: &str) -> Option<Transport> {
    match protocol {
        "tcp" | "tcp-pkt" | "tcp-stream" | "http" | "http1" | "http2" | "tls" | "ssl" | "ssh"
        | "smtp" | "ftp" | "ftp-data" | "smb" | "imap" | "pop3" => Some(Transport::Tcp),
        "udp" | "dhcp" | "ntp" | "tftp" | "quic" => Some(Transport::Udp),
        "icmp" | "icmpv4" | "icmpv6" => Some(Transport::Icmp),
        _ => None,
    }
}

/// The transport that a keyword is about.
fn needed(keyword: &str) -> Option<Transport> {
    match keyword {
        "ack" | "flags" | "seq" | "stream_size" | "window" | "tcpv4-csum" | "tcpv6-csum" => {
            Some(Transport::Tcp)
        }
        "icmp_id" | "icmp_seq" | "icode" | "itype" | "icmpv4-csum" | "icmpv6-csum" => {
            Some(Transport::Icmp)
        }
        "udpv4-csum" | "udpv6-csum" => Some(Transport::Udp),
        _ => match keyword.split_once('.')?.0 {
            "tcp" => Some(Transport::Tcp),
            "udp" => Some(Transport::Udp),
            "icmpv4" | "icmpv6" => Some(Transport::Icmp),
            _ => None,
        },
    }
}

/// ICMP has no ports.
fn ports(rule: &Rule, transport: Option<Transport>, report: &mut Report) {
    let Some(ends) = rule.header.endpoints.as_ref().filter(|_| transport == Some(Transport::Icmp))
    else {
        return;
    };
    for port in [&ends.source_port, &ends.destination_port] {
        if port.node != GroupExpr::Any {
            let reason = format!("packets of {} have no ports", rule.header.protocol.node);
            report.add(rule, Lint::PortNeverMatches, port.span, reason);
            report.help("write `any`");
        }
    }
}

/// Two words of `flow` that exclude each other.
fn exclusive<'a>(words: &[&'a str]) -> Option<(&'a str, &'a str)> {
    const SIDES: [[&[&str]; 2]; 5] = [
        [&["to_server", "from_client"], &["to_client", "from_server"]],
        [&["established"], &["not_established", "stateless"]],
        [&["not_established"], &["stateless"]],
        [&["only_stream"], &["no_stream"]],
        [&["only_frag"], &["no_frag"]],
    ];
    SIDES.iter().find_map(|[left, right]| {
        let find = |side: &[&str]| words.iter().copied().find(|word| side.contains(word));
        find(left).zip(find(right))
    })
}

/// `sameip` between groups without a common address.
fn sameip(rule: &Rule, context: Context<'_>, report: &mut Report) {
    let (Some(option), Some(ends)) = (rule.option("sameip"), &rule.header.endpoints) else {
        return;
    };
    let resolve = |group| context.variables.addresses(rule, group).ok();
    let (Some(source), Some(destination)) = (resolve(&ends.source), resolve(&ends.destination))
    else {
        return;
    };
    if disjoint(&source, &destination) {
        let reason = "no address is on both sides of the header";
        report.add(rule, Lint::SameipNeverMatches, option.name.span, reason);
    }
}

fn disjoint(a: &AddressSet, b: &AddressSet) -> bool {
    apart(a.v4(), b.v4()) && apart(a.v6(), b.v6())
}

/// Whether no ranges of two ascending lists overlap.
fn apart<T: Ord + Copy>(a: impl Iterator<Item = (T, T)>, b: impl Iterator<Item = (T, T)>) -> bool {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    while let (Some(x), Some(y)) = (a.peek().copied(), b.peek().copied()) {
        if x.1 < y.0 {
            a.next();
        } else if y.1 < x.0 {
            b.next();
        } else {
            return false;
        }
    }
    true
}
