//! What the kernel half must forward for these rules.
//!
//! Sound: a packet that any rule could match is wanted, and so is every packet without which the flow
//! table would judge such a packet differently. As tight as that lets it be:
//!
//! * A TCP or UDP rule asks for its ports on one side, the destination's or the source's, whichever
//!   names fewer: the kernel takes the higher level of both ports of a frame.
//! * It asks for [`LEVEL_CONTROL`] where its `flags` hold for segments with SYN, FIN or RST only, for
//!   [`LEVEL_PAYLOAD`] where it cannot match without payload, else for [`LEVEL_ALL`].
//! * A rule on an application protocol needs the payload of both sides of its ports: its parser does. Of
//!   transactions of TCP the handshake tells who is the client.
//! * A rule that asks about the flow needs the other direction too. Whether a connection is established
//!   shows from SYN, FIN and RST of both sides to a rule that matches payload (see `stream`). Every
//!   packet of both sides is needed by rules that can match without payload, by those that name a
//!   direction but not `established` (the first packet of a connection already under way decides which
//!   side is the client), and by all that are not TCP.
//!
//! * What can carry other packets is wanted by any rule: it may match inside.
//! * A rule on what went through the flow so far needs every packet of both sides; one on decoder events
//!   that takes packets without IP headers, every frame without.
//!
//! One limit: a connection on which nothing but what is not forwarded passes for longer than the flow
//! timeout is forgotten, and its next packet counts as not established.

use nids_abi::{
    FilterTable, LEVEL_ALL, LEVEL_CONTROL, LEVEL_PAYLOAD, TCP_DST, TCP_SRC, UDP_DST, UDP_SRC,
};

use crate::decode::tunnel::Carriers;
use crate::decode::{IPV6_ONLY_BY_AGENT, Tcp};
use crate::rule::port::PortSet;

use super::Ruleset;
use super::check::Check;
use super::protocol::{ESP, ICMP, ICMPV6, SCTP, TCP, UDP};
use super::signature::Signature;

impl Ruleset {
    /// What the kernel half must forward, so that alerts are the same as if it forwarded everything.
    /// What can carry packets is wanted by any rule, as it may match inside.
    pub fn filter(&self, carriers: &Carriers) -> Box<FilterTable> {
        let mut filter = Filter::default();
        for signature in &self.signatures {
            filter.add(signature);
        }
        filter.tunnels(carriers);
        filter.finish()
    }
}

#[derive(Default)]
struct Filter {
    table: Option<Box<FilterTable>>,
    /// Levels of rules with any port, by shift: kept apart so that 65,536 entries are written once.
    every_port: u8,
}

/// Levels on the rule's own side and on the other one.
#[derive(Clone, Copy)]
struct Levels {
    own: u8,
    other: u8,
}

impl Filter {
    fn add(&mut self, signature: &Signature) {
        let numbers = &signature.protocol.numbers;
        let table = self.table.get_or_insert_with(|| Box::new(FilterTable::EMPTY));
        // A fragment, or a frame the kernel could not judge, may be a packet of any rule.
        table.fragments = 1;
        table.unjudged = 1;
        if signature.takes_broken() {
            table.non_ip = 1;
        }

        let has_ports = signature.source_port.is_some() || signature.destination_port.is_some();
        if numbers.contains(TCP) && signature.can_be(TCP) {
            self.ports(signature, tcp_levels(signature), TCP_SRC, TCP_DST);
        }
        if numbers.contains(UDP) && signature.can_be(UDP) {
            self.ports(signature, udp_levels(signature), UDP_SRC, UDP_DST);
        }
        let Some(table) = &mut self.table else { return };
        for (number, class) in [(SCTP, true), (ESP, !has_ports)] {
            if class && numbers.contains(number) && signature.can_be(number) {
                want(&mut table.ip_proto, number);
            }
        }
        if has_ports {
            return;
        }
        for (number, v6, types) in
            [(ICMP, false, &mut table.icmp4), (ICMPV6, true, &mut table.icmp6)]
        {
            let version = if v6 { signature.protocol.v6 } else { signature.protocol.v4 };
            if !version || !numbers.contains(number) || !signature.can_be(number) {
                continue;
            }
            for (kind, wanted) in (0..=u8::MAX).zip(types) {
                if signature.asks_of_flow() || signature.takes_icmp_type(kind) {
                    *wanted = 1;
                }
            }
        }
        // Of these `decode` knows no payload, flags or type. ICMP is here too: over the other IP
        // version it is a protocol like others.
        if signature.payload.is_none() && signature.can_be_other() {
            for (number, wanted) in (0..=u8::MAX).zip(&mut table.ip_proto) {
                if number != TCP && number != UDP && numbers.contains(number) {
                    *wanted = 1;
                }
            }
        }
    }

    /// Asks for what may carry packets, where there is any rule; and for the protocols that the kernel
    /// half takes for the last, but the agent looks behind.
    fn tunnels(&mut self, carriers: &Carriers) {
        let Some(table) = &mut self.table else { return };
        for number in carriers.protocols.iter().chain(&IPV6_ONLY_BY_AGENT) {
            want(&mut table.ip_proto, *number);
        }
        match &carriers.udp_ports {
            Some(ports) => {
                for port in ports {
                    if let Some(entry) = table.ports.get_mut(usize::from(*port)) {
                        raise(entry, UDP_SRC, LEVEL_PAYLOAD);
                        raise(entry, UDP_DST, LEVEL_PAYLOAD);
                    }
                }
            }
            None => {
                raise(&mut self.every_port, UDP_SRC, LEVEL_PAYLOAD);
                raise(&mut self.every_port, UDP_DST, LEVEL_PAYLOAD);
            }
        }
    }

    /// Asks for TCP or UDP ports.
    fn ports(&mut self, signature: &Signature, levels: Levels, source: u8, destination: u8) {
        let count = |set: &Option<PortSet>| set.as_ref().map_or(usize::MAX, PortSet::len);
        let by_destination = count(&signature.destination_port) <= count(&signature.source_port);
        let (ports, own, other) = match by_destination {
            true => (&signature.destination_port, destination, source),
            false => (&signature.source_port, source, destination),
        };
        match ports {
            Some(ports) => {
                let Some(table) = &mut self.table else { return };
                for port in ports.iter() {
                    if let Some(entry) = table.ports.get_mut(usize::from(port)) {
                        raise(entry, own, levels.own);
                        raise(entry, other, levels.other);
                    }
                }
            }
            None => {
                raise(&mut self.every_port, own, levels.own);
                raise(&mut self.every_port, other, levels.other);
            }
        }
    }

    fn finish(self) -> Box<FilterTable> {
        let mut table = self.table.unwrap_or_else(|| Box::new(FilterTable::EMPTY));
        if self.every_port != 0 {
            for entry in &mut table.ports {
                for shift in [TCP_SRC, TCP_DST, UDP_SRC, UDP_DST] {
                    raise(entry, shift, self.every_port >> shift & 3);
                }
            }
        }
        table
    }
}

fn raise(entry: &mut u8, shift: u8, level: u8) {
    let level = level.max(*entry >> shift & 3);
    *entry = *entry & !(3 << shift) | level << shift;
}

fn want(table: &mut [u8; 256], number: u8) {
    if let Some(entry) = table.get_mut(usize::from(number)) {
        *entry = 1;
    }
}

fn tcp_levels(signature: &Signature) -> Levels {
    let holding = || (0..=u8::MAX).filter(|flags| signature.takes_flags(*flags));
    let own = if signature.takes_control_only() {
        LEVEL_CONTROL
    } else if signature.needs_payload() {
        LEVEL_PAYLOAD
    } else {
        LEVEL_ALL
    };
    let all = Levels { own: LEVEL_ALL, other: LEVEL_ALL };
    let flow = &signature.flow;
    // A SYN alone begins a connection, or belongs to one whose beginning was seen.
    let only_begins = holding().all(|flags| flags & (Tcp::SYN | Tcp::ACK | Tcp::RST) == Tcp::SYN);
    if flow.direction.is_some()
        && flow.established != Some(true)
        && signature.transaction.is_none()
        && !only_begins
    {
        return all;
    }
    if flow.established.is_some() && !signature.needs_payload() {
        return all;
    }
    if signature.checks.iter().any(Check::is_of_history) {
        return all;
    }
    if signature.app.is_some() {
        // What a request means shows from its response, and the other way around.
        return Levels { own: own.max(LEVEL_PAYLOAD), other: LEVEL_PAYLOAD };
    }
    // A stream is put together from its handshake on.
    if signature.asks_of_flow()
        || (signature.payload.is_some() && signature.payload_in.is_in_stream())
    {
        Levels { own, other: LEVEL_CONTROL }
    } else {
        Levels { own, other: 0 }
    }
}

fn udp_levels(signature: &Signature) -> Levels {
    if signature.transaction.is_some() {
        return Levels { own: LEVEL_PAYLOAD, other: LEVEL_PAYLOAD };
    }
    if signature.asks_of_flow() {
        return Levels { own: LEVEL_ALL, other: LEVEL_ALL };
    }
    let own = if signature.needs_payload() { LEVEL_PAYLOAD } else { LEVEL_ALL };
    Levels { own, other: 0 }
}

impl Signature {
    /// Whether it matches packets with payload only.
    fn needs_payload(&self) -> bool {
        let size = |check: &Check| matches!(check, Check::PayloadSize(size) if !size.allows_none());
        self.payload.is_some() || self.transaction.is_some() || self.checks.iter().any(size)
    }

    /// Whether a match depends on more of the flow than this packet.
    fn asks_of_flow(&self) -> bool {
        self.once
            || self.flow.established.is_some()
            || self.flow.direction.is_some()
            || self.checks.iter().any(Check::is_of_history)
    }

    /// Whether it matches segments with SYN, FIN or RST only.
    pub(super) fn takes_control_only(&self) -> bool {
        let control = Tcp::SYN | Tcp::FIN | Tcp::RST;
        (0..=u8::MAX).filter(|flags| self.takes_flags(*flags)).all(|flags| flags & control != 0)
    }

    fn takes_flags(&self, flags: u8) -> bool {
        self.checks.iter().all(|check| match check {
            Check::Flags(check) => check.holds(flags),
            _ => true,
        })
    }

    fn takes_icmp_type(&self, kind: u8) -> bool {
        self.checks.iter().all(|check| match check {
            Check::IcmpType(check) => check.0.holds(kind),
            _ => true,
        })
    }

    /// Whether its checks can hold for this protocol at all.
    fn can_be(&self, number: u8) -> bool {
        self.checks.iter().all(|check| match check {
            Check::Flags(_)
            | Check::Seq(_)
            | Check::Ack(_)
            | Check::Window(_)
            | Check::Mss(_)
            | Check::WindowScale(_)
            | Check::StreamSize(_)
            | Check::StreamEvent(_) => number == TCP,
            Check::IcmpType(_) | Check::IcmpCode(_) | Check::IcmpId(_) | Check::IcmpSequence(_) => {
                number == ICMP || number == ICMPV6
            }
            Check::IcmpMtu(_) => number == ICMPV6,
            _ => true,
        })
    }

    /// Whether its checks can hold for a protocol of which only the number is known.
    fn can_be_other(&self) -> bool {
        self.checks.iter().all(|check| match check {
            Check::PayloadSize(size) => size.allows_none(),
            Check::SameAddress
            | Check::IpId(_)
            | Check::FragmentBits(_)
            | Check::FragmentOffset(_)
            | Check::Tos(_)
            | Check::Ttl(_)
            | Check::VlanLayers(_)
            | Check::VlanId(_)
            | Check::IpOption(_)
            | Check::DecodeEvent(_) => true,
            // What only TCP and ICMP have, and flows, which rules do not know of these.
            _ => false,
        })
    }
}
