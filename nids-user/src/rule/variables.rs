//! Variables such as `$HOME_NET`, and the resolution of groups of addresses and ports.
//!
//! Suricata's semantics (user guide, "Rules Format"; detect-engine-address.c): a group is the union of
//! its members less the union of its negated members, through nested groups and variables. `[!x]`
//! alone is everything but x; for addresses this holds for each family by itself, so `!10.0.0.0/8`
//! names no IPv6 address. A negated group, `![...]` or `!$VAR`, is resolved first and then taken off as
//! one. A group that matches nothing is refused.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use super::address::{AddressSet, Families};
use super::ast::{GroupExpr, Rule, Span, Spanned};
use super::diagnostic::{ReasonKind, Refusal};
use super::interval::{self, Ranges};
use super::parser;
use super::port::PortSet;
use crate::suggest::nearest;

/// Variables that may stand inside one another.
const MAX_DEPTH: usize = 32;
/// Members one group may come to, through all its variables: stops `$A = [$B,$B]`, `$B = [$C,$C]`, ...
const MAX_MEMBERS: usize = 1 << 20;

/// Suricata's defaults (suricata.yaml), and Snort 3's further server groups.
const DEFAULTS: [(&str, &str); 31] = [
    ("HOME_NET", "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]"),
    ("EXTERNAL_NET", "!$HOME_NET"),
    ("HTTP_SERVERS", "$HOME_NET"),
    ("SMTP_SERVERS", "$HOME_NET"),
    ("SQL_SERVERS", "$HOME_NET"),
    ("DNS_SERVERS", "$HOME_NET"),
    ("TELNET_SERVERS", "$HOME_NET"),
    ("AIM_SERVERS", "$EXTERNAL_NET"),
    ("DC_SERVERS", "$HOME_NET"),
    ("DNP3_SERVER", "$HOME_NET"),
    ("DNP3_CLIENT", "$HOME_NET"),
    ("MODBUS_CLIENT", "$HOME_NET"),
    ("MODBUS_SERVER", "$HOME_NET"),
    ("ENIP_CLIENT", "$HOME_NET"),
    ("ENIP_SERVER", "$HOME_NET"),
    ("FTP_SERVERS", "$HOME_NET"),
    ("SIP_SERVERS", "$HOME_NET"),
    ("SSH_SERVERS", "$HOME_NET"),
    ("SNMP_SERVERS", "$HOME_NET"),
    ("HTTP_PORTS", "80"),
    ("SHELLCODE_PORTS", "!80"),
    ("ORACLE_PORTS", "1521"),
    ("SSH_PORTS", "22"),
    ("DNP3_PORTS", "20000"),
    ("MODBUS_PORTS", "502"),
    ("FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"),
    ("FTP_PORTS", "21"),
    ("GENEVE_PORTS", "6081"),
    ("VXLAN_PORTS", "4789"),
    ("TEREDO_PORTS", "3544"),
    ("SIP_PORTS", "[5060,5061]"),
];

/// Values of variables. Resolved groups are kept, so that equal groups of many rules are one set.
#[derive(Debug)]
pub struct Variables {
    values: HashMap<String, Spanned<GroupExpr>>,
    addresses: Mutex<HashMap<String, AddressSet>>,
    ports: Mutex<HashMap<String, PortSet>>,
}

impl Default for Variables {
    fn default() -> Self {
        let mut variables =
            Self { values: HashMap::new(), addresses: Mutex::default(), ports: Mutex::default() };
        for (name, value) in DEFAULTS {
            let parsed = variables.set(name, value);
            debug_assert!(parsed.is_ok(), "{name} = {value}");
        }
        variables
    }
}

impl Clone for Variables {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), addresses: Mutex::default(), ports: Mutex::default() }
    }
}

impl Variables {
    /// Gives the variable `name`, without the dollar sign, a new value. Whether the value holds
    /// addresses or ports shows only where it is used; fails when it is no group at all.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(format!("`{name}` cannot be the name of a variable"));
        }
        let group = parser::parse_group(value)
            .map_err(|fault| format!("in `{value}`: {}", fault.reason))?;
        self.values.insert(name.to_owned(), group);
        self.addresses = Mutex::default();
        self.ports = Mutex::default();
        Ok(())
    }

    /// The addresses that `group`, in the header of `rule`, stands for.
    pub fn addresses(
        &self,
        rule: &Rule,
        group: &Spanned<GroupExpr>,
    ) -> Result<AddressSet, Refusal> {
        self.cached::<Families, _>(rule, group, &self.addresses, AddressSet::from)
    }

    /// The ports that `group`, in the header of `rule`, stands for.
    pub fn ports(&self, rule: &Rule, group: &Spanned<GroupExpr>) -> Result<PortSet, Refusal> {
        self.cached::<Ranges<u16>, _>(rule, group, &self.ports, PortSet::from_iter)
    }

    /// Whether `group`, with the variables in it, names addresses by what they are not.
    pub fn negates(&self, group: &GroupExpr) -> bool {
        self.negates_within(group, MAX_DEPTH)
    }

    fn negates_within(&self, group: &GroupExpr, depth: usize) -> bool {
        match group {
            GroupExpr::Not(_) => true,
            GroupExpr::Any | GroupExpr::Item(_) => false,
            GroupExpr::List(members) => {
                members.iter().any(|member| self.negates_within(&member.node, depth))
            }
            GroupExpr::Variable(name) => self.values.get(&name.node).is_some_and(|value| {
                depth.checked_sub(1).is_some_and(|depth| self.negates_within(&value.node, depth))
            }),
        }
    }

    fn cached<M: Members, S: Clone>(
        &self,
        rule: &Rule,
        group: &Spanned<GroupExpr>,
        cache: &Mutex<HashMap<String, S>>,
        finish: impl Fn(M) -> S,
    ) -> Result<S, Refusal> {
        let key = match rule.text.get(group.span.start..group.span.end) {
            Some(text) if !text.is_empty() => text,
            _ => "any",
        };
        let locked = || cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = locked().get(key) {
            return Ok(known.clone());
        }
        let mut walk = Walk { variables: self, trail: Vec::new(), members: 0 };
        match walk.resolve::<M>(group) {
            Ok(members) => {
                let set = finish(members);
                locked().insert(key.to_owned(), set.clone());
                Ok(set)
            }
            Err(problem) => {
                let mut refusal = Refusal::new(rule, problem.span, problem.kind, problem.reason);
                refusal.help = problem.help;
                Err(refusal)
            }
        }
    }
}

/// Why a group cannot be resolved.
struct Problem {
    span: Span,
    kind: ReasonKind,
    reason: String,
    help: Option<String>,
}

impl Problem {
    fn new(span: Span, kind: ReasonKind, reason: impl Into<String>) -> Self {
        Self { span, kind, reason: reason.into(), help: None }
    }
}

/// One resolution: where it is, and how much it has seen.
struct Walk<'a> {
    variables: &'a Variables,
    /// Variables it is inside of.
    trail: Vec<&'a str>,
    members: usize,
}

impl<'a> Walk<'a> {
    /// The members of `group`, its negated members taken off.
    fn resolve<M: Members>(&mut self, group: &'a Spanned<GroupExpr>) -> Result<M, Problem> {
        let (mut wanted, mut negated) = (M::default(), M::default());
        self.collect(group, &mut wanted, &mut negated)?;
        wanted.normalize();
        negated.normalize();
        if negated.is_everything() {
            return Err(Problem::new(group.span, M::KIND, "the group negates everything"));
        }
        wanted.complete(&negated);
        wanted.subtract(&negated);
        if wanted.is_empty() {
            return Err(Problem::new(group.span, M::KIND, "the group matches nothing"));
        }
        Ok(wanted)
    }

    fn collect<M: Members>(
        &mut self,
        group: &'a Spanned<GroupExpr>,
        wanted: &mut M,
        negated: &mut M,
    ) -> Result<(), Problem> {
        self.members += 1;
        if self.members > MAX_MEMBERS {
            let reason = format!("the group has more than {MAX_MEMBERS} members");
            return Err(Problem::new(group.span, M::KIND, reason));
        }
        match &group.node {
            GroupExpr::Any => wanted.add_any(),
            GroupExpr::Item(item) => add_item(item, wanted)?,
            GroupExpr::List(items) => {
                for item in items {
                    self.collect(item, wanted, negated)?;
                }
            }
            GroupExpr::Not(inner) => match &inner.node {
                GroupExpr::Any => negated.add_any(),
                GroupExpr::Item(item) => add_item(item, negated)?,
                _ => negated.add(self.resolve(inner)?),
            },
            GroupExpr::Variable(name) => {
                let value = self.enter::<M>(name, group.span)?;
                self.collect(value, wanted, negated).map_err(|inner| {
                    let reason = match inner.kind {
                        ReasonKind::UndefinedVariable => inner.reason,
                        _ => format!("in the value of `${}`: {}", name.node, inner.reason),
                    };
                    Problem { span: group.span, reason, ..inner }
                })?;
                self.trail.pop();
            }
        }
        Ok(())
    }

    fn enter<M: Members>(
        &mut self,
        name: &'a Spanned<String>,
        at: Span,
    ) -> Result<&'a Spanned<GroupExpr>, Problem> {
        let Some(value) = self.variables.values.get(&name.node) else {
            let reason = format!("the variable `${}` is not defined", name.node);
            let known = self.variables.values.keys().map(String::as_str);
            let help = match nearest(&name.node, known) {
                Some(near) => format!("did you mean `${near}`?"),
                None => format!("define it: --set vars.{}.{}=VALUE", M::SETTING, name.node),
            };
            let problem = Problem::new(at, ReasonKind::UndefinedVariable, reason);
            return Err(Problem { help: Some(help), ..problem });
        };
        if self.trail.contains(&name.node.as_str()) {
            let reason = format!("the variable `${}` refers to itself", name.node);
            return Err(Problem::new(at, M::KIND, reason));
        }
        if self.trail.len() >= MAX_DEPTH {
            let reason = format!("variables nest deeper than {MAX_DEPTH}");
            return Err(Problem::new(at, M::KIND, reason));
        }
        self.trail.push(&name.node);
        Ok(value)
    }
}

fn add_item<M: Members>(item: &Spanned<String>, side: &mut M) -> Result<(), Problem> {
    side.add_item(&item.node).map_err(|reason| Problem::new(item.span, M::KIND, reason))
}

/// Members of a group: ranges of addresses, or of ports.
trait Members: Default {
    /// What a bad group of these is refused as.
    const KIND: ReasonKind;
    /// Where their variables stand among the settings.
    const SETTING: &str;
    fn add_any(&mut self);
    fn add_item(&mut self, item: &str) -> Result<(), String>;
    fn add(&mut self, other: Self);
    fn normalize(&mut self);
    fn is_empty(&self) -> bool;
    fn is_everything(&self) -> bool;
    /// Where only negated members are there, everything is wanted but those.
    fn complete(&mut self, negated: &Self);
    fn subtract(&mut self, negated: &Self);
}

impl Members for Families {
    const KIND: ReasonKind = ReasonKind::Address;
    const SETTING: &str = "address-groups";

    fn add_any(&mut self) {
        self.v4.extend(interval::everything::<u32>());
        self.v6.extend(interval::everything::<u128>());
    }
    fn add_item(&mut self, item: &str) -> Result<(), String> {
        match address_range(item)? {
            (IpAddr::V4(first), IpAddr::V4(last)) => self.v4.push((first.into(), last.into())),
            (IpAddr::V6(first), IpAddr::V6(last)) => self.v6.push((first.into(), last.into())),
            _ => return Err(format!("`{item}` mixes IPv4 and IPv6")),
        }
        Ok(())
    }
    fn add(&mut self, other: Self) {
        self.v4.extend(other.v4);
        self.v6.extend(other.v6);
    }
    fn normalize(&mut self) {
        interval::normalize(&mut self.v4);
        interval::normalize(&mut self.v6);
    }
    fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
    fn is_everything(&self) -> bool {
        self.v4 == interval::everything::<u32>() && self.v6 == interval::everything::<u128>()
    }
    fn complete(&mut self, negated: &Self) {
        self.v4.complete(&negated.v4);
        self.v6.complete(&negated.v6);
    }
    fn subtract(&mut self, negated: &Self) {
        self.v4.subtract(&negated.v4);
        self.v6.subtract(&negated.v6);
    }
}

/// Completion and difference of one family.
trait OneFamily {
    fn complete(&mut self, negated: &Self);
    fn subtract(&mut self, negated: &Self);
}

impl<T: interval::Bound> OneFamily for Ranges<T> {
    fn complete(&mut self, negated: &Self) {
        if self.is_empty() && !negated.is_empty() {
            *self = interval::everything();
        }
    }
    fn subtract(&mut self, negated: &Self) {
        *self = interval::subtract(self, negated);
    }
}

impl Members for Ranges<u16> {
    const KIND: ReasonKind = ReasonKind::Port;
    const SETTING: &str = "port-groups";

    fn add_any(&mut self) {
        self.push((0, u16::MAX));
    }
    fn add_item(&mut self, item: &str) -> Result<(), String> {
        self.push(port_range(item)?);
        Ok(())
    }
    fn add(&mut self, other: Self) {
        self.extend(other);
    }
    fn normalize(&mut self) {
        interval::normalize(self);
    }
    fn is_empty(&self) -> bool {
        Vec::is_empty(self)
    }
    fn is_everything(&self) -> bool {
        *self == interval::everything::<u16>()
    }
    fn complete(&mut self, negated: &Self) {
        OneFamily::complete(self, negated);
    }
    fn subtract(&mut self, negated: &Self) {
        OneFamily::subtract(self, negated);
    }
}

/// `ADDRESS`, `ADDRESS/BITS`, `ADDRESS/MASK` (IPv4) or `FIRST-LAST`. Bits behind the prefix are cleared.
fn address_range(item: &str) -> Result<(IpAddr, IpAddr), String> {
    let address = |text: &str| {
        text.parse::<IpAddr>().map_err(|_| format!("`{text}` is not an IPv4 or IPv6 address"))
    };
    if let Some((first, last)) = item.split_once('-') {
        let (first, last) = (address(first)?, address(last)?);
        if first.is_ipv4() == last.is_ipv4() && first > last {
            return Err(format!("the range `{item}` runs backwards"));
        }
        return Ok((first, last));
    }
    let Some((base, prefix)) = item.split_once('/') else {
        let single = address(item)?;
        return Ok((single, single));
    };
    let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
    let length = digits.then(|| prefix.parse::<u32>().ok()).flatten();
    match address(base)? {
        IpAddr::V4(base) => {
            let mask = match (length, prefix.parse::<Ipv4Addr>()) {
                (Some(bits @ 0..=32), _) => u32::MAX.checked_shl(32 - bits).unwrap_or(0),
                (None, Ok(mask))
                    if u32::from(mask).leading_ones() == u32::from(mask).count_ones() =>
                {
                    mask.into()
                }
                _ => return Err(format!("`/{prefix}` is not a length from 0 to 32, nor a mask")),
            };
            let first = u32::from(base) & mask;
            Ok((Ipv4Addr::from(first).into(), Ipv4Addr::from(first | !mask).into()))
        }
        IpAddr::V6(base) => {
            let Some(bits @ 0..=128) = length else {
                return Err(format!("`/{prefix}` is not a length from 0 to 128"));
            };
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            let first = u128::from(base) & mask;
            Ok((Ipv6Addr::from(first).into(), Ipv6Addr::from(first | !mask).into()))
        }
    }
}

/// `80`, `80:90`, `1024:` or `:1023`.
fn port_range(item: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u16>().map_err(|_| format!("`{text}` is not a port from 0 to 65535")),
        false => Err(format!("`{text}` is not a port")),
    };
    let (first, last) = match item.split_once(':') {
        None => {
            let single = port(item)?;
            return Ok((single, single));
        }
        Some(("", "")) => return Err("a range needs a port on one side of the colon".to_owned()),
        Some(("", last)) => (0, port(last)?),
        Some((first, "")) => (port(first)?, u16::MAX),
        Some((first, last)) => (port(first)?, port(last)?),
    };
    if first > last {
        return Err(format!("the range `{item}` runs backwards"));
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::ast::Endpoints;
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::Arc;

    fn rule(address: &str, port: &str) -> Rule {
        let text = format!("alert tcp {address} {port} -> any any (sid:1;)");
        let mut parsed = parser::parse_str(&Arc::from(Path::new("x")), &text);
        assert_eq!(parsed.refusals, []);
        parsed.rules.remove(0)
    }

    fn ends(rule: &Rule) -> &Endpoints {
        rule.header.endpoints.as_ref().unwrap()
    }

    fn addresses(variables: &Variables, group: &str) -> Result<AddressSet, Refusal> {
        let rule = rule(group, "any");
        variables.addresses(&rule, &ends(&rule).source)
    }

    fn ports(variables: &Variables, group: &str) -> Result<PortSet, Refusal> {
        let rule = rule("any", group);
        variables.ports(&rule, &ends(&rule).source_port)
    }

    /// The ranges as text.
    fn shown(set: &AddressSet) -> String {
        let v4 = set.v4().map(|(a, b)| format!("{a}-{b}"));
        let v6 = set.v6().map(|(a, b)| format!("{a}-{b}"));
        v4.chain(v6).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn address_groups() {
        let variables = Variables::default();
        for (group, expected) in [
            ("1.2.3.4", "1.2.3.4-1.2.3.4"),
            ("1.2.3.4/24", "1.2.3.0-1.2.3.255"),
            ("1.2.3.4/255.255.0.0", "1.2.0.0-1.2.255.255"),
            ("0.0.0.0/0", "0.0.0.0-255.255.255.255"),
            ("1.2.3.4-1.2.3.9", "1.2.3.4-1.2.3.9"),
            ("[1.2.3.4,1.2.3.5]", "1.2.3.4-1.2.3.5"),
            ("[10.0.0.0/30,!10.0.0.1]", "10.0.0.0-10.0.0.0 10.0.0.2-10.0.0.3"),
            ("!10.0.0.0/8", "0.0.0.0-9.255.255.255 11.0.0.0-255.255.255.255"),
            ("[!1.0.0.0/8,!2.0.0.0/7]", "0.0.0.0-0.255.255.255 4.0.0.0-255.255.255.255"),
            (
                "!$EXTERNAL_NET",
                "10.0.0.0-10.255.255.255 172.16.0.0-172.31.255.255 192.168.0.0-192.168.255.255",
            ),
            ("[$HOME_NET,!10.0.0.0/8,!172.16.0.0/12]", "192.168.0.0-192.168.255.255"),
            // The inner group is resolved first: 10/8 less (10.1/16 less 10.1.1/24).
            (
                "[10.0.0.0/8,![10.1.0.0/16,!10.1.1.0/24]]",
                "10.0.0.0-10.0.255.255 10.1.1.0-10.1.1.255 10.2.0.0-10.255.255.255",
            ),
            ("2001:db8::/32", "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("[1.2.3.4,::1]", "1.2.3.4-1.2.3.4 ::1-::1"),
            ("::1-::3", "::1-::3"),
            // Each family by itself.
            ("[1.2.3.4,!::/1]", "1.2.3.4-1.2.3.4 8000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert_eq!(shown(&addresses(&variables, group).unwrap()), expected, "{group}");
        }
        assert!(addresses(&variables, "any").unwrap().is_any());
        let external = addresses(&variables, "$EXTERNAL_NET").unwrap();
        assert!(external.contains([8, 8, 8, 8].into()) && !external.contains([10, 1, 1, 1].into()));
        assert_eq!(external.v6().len(), 0);
    }

    #[test]
    fn port_groups() {
        let variables = Variables::default();
        for (group, expected) in [
            ("80", vec![(80, 80)]),
            ("80:90", vec![(80, 90)]),
            ("1024:", vec![(1024, 65535)]),
            (":1023", vec![(0, 1023)]),
            ("!80", vec![(0, 79), (81, 65535)]),
            ("[80:100,!99]", vec![(80, 98), (100, 100)]),
            ("[!80,!443]", vec![(0, 79), (81, 442), (444, 65535)]),
            ("$FILE_DATA_PORTS", vec![(80, 80), (110, 110), (143, 143)]),
            ("!$SHELLCODE_PORTS", vec![(80, 80)]),
        ] {
            let expected: PortSet = expected.into_iter().collect();
            assert_eq!(ports(&variables, group).unwrap(), expected, "{group}");
        }
        assert!(ports(&variables, "any").unwrap().is_any());
    }

    #[test]
    fn bad_groups() {
        let variables = Variables::default();
        for (group, kind, reason) in [
            ("$HOM_NET", ReasonKind::UndefinedVariable, "the variable `$HOM_NET` is not defined"),
            ("!any", ReasonKind::Address, "the group negates everything"),
            ("[10.0.0.0/8,!10.0.0.0/7]", ReasonKind::Address, "the group matches nothing"),
            // Suricata refuses this one too: the only positive member is $HOME_NET.
            ("[$HOME_NET,$EXTERNAL_NET]", ReasonKind::Address, "the group matches nothing"),
            ("1.2.3", ReasonKind::Address, "`1.2.3` is not an IPv4 or IPv6 address"),
            ("1.2.3.4/33", ReasonKind::Address, "`/33` is not a length from 0 to 32, nor a mask"),
            ("1.2.3.4/+3", ReasonKind::Address, "`/+3` is not a length from 0 to 32, nor a mask"),
            (
                "1.2.3.4/255.0.255.0",
                ReasonKind::Address,
                "`/255.0.255.0` is not a length from 0 to 32, nor a mask",
            ),
            ("::1/129", ReasonKind::Address, "`/129` is not a length from 0 to 128"),
            ("1.2.3.4-1.2.3.3", ReasonKind::Address, "the range `1.2.3.4-1.2.3.3` runs backwards"),
            ("1.2.3.4-::1", ReasonKind::Address, "`1.2.3.4-::1` mixes IPv4 and IPv6"),
            (
                "$HTTP_PORTS",
                ReasonKind::Address,
                "in the value of `$HTTP_PORTS`: `80` is not an IPv4 or IPv6 address",
            ),
        ] {
            let refusal = addresses(&variables, group).unwrap_err();
            assert_eq!((refusal.kind, refusal.reason.as_str()), (kind, reason), "{group}");
            assert_eq!(refusal.sid, Some(1));
        }
        for (group, reason) in [
            ("!any", "the group negates everything"),
            ("[80,!80]", "the group matches nothing"),
            ("90:80", "the range `90:80` runs backwards"),
            (":", "a range needs a port on one side of the colon"),
            ("65536", "`65536` is not a port from 0 to 65535"),
            ("80-90", "`80-90` is not a port"),
            ("+80", "`+80` is not a port"),
        ] {
            assert_eq!(ports(&variables, group).unwrap_err().reason, reason, "{group}");
        }
        let help = addresses(&variables, "$HOM_NET").unwrap_err().help;
        assert_eq!(help.as_deref(), Some("did you mean `$HOME_NET`?"));
    }

    #[test]
    fn own_variables() {
        let mut variables = Variables::default();
        assert!(addresses(&variables, "$HOME_NET").unwrap().contains([10, 0, 0, 1].into()));
        variables.set("HOME_NET", "[2001:db8::/32, 192.0.2.1]").unwrap();
        variables.set("MY_PORTS", "[1,$HTTP_PORTS]").unwrap();
        variables.set("HTTP_PORTS", "8080").unwrap();
        assert!(variables.set("X", "[1").is_err());
        assert!(variables.set("", "1").is_err());
        let home = addresses(&variables, "$HOME_NET").unwrap();
        assert!(!home.contains([10, 0, 0, 1].into()) && home.contains([192, 0, 2, 1].into()));
        assert_eq!(
            ports(&variables, "$MY_PORTS").unwrap(),
            [(1, 1), (8080, 8080)].into_iter().collect()
        );
    }

    #[test]
    fn circles_and_blow_ups_are_found() {
        let mut variables = Variables::default();
        variables.set("A", "[1.2.3.4,$B]").unwrap();
        variables.set("B", "!$A").unwrap();
        let refusal = addresses(&variables, "$A").unwrap_err();
        assert!(refusal.reason.ends_with("the variable `$A` refers to itself"), "{refusal:?}");
        assert_eq!(&refusal.text[refusal.span.start..refusal.span.end], "$A");
        for n in 0..30 {
            let next = format!("[$N{0},$N{0}]", n + 1);
            variables.set(&format!("N{n}"), &next).unwrap();
        }
        variables.set("N30", "1.2.3.4").unwrap();
        let refusal = addresses(&variables, "$N0").unwrap_err();
        assert!(refusal.reason.ends_with(" members"), "{refusal:?}");
    }

    #[test]
    fn equal_groups_share_one_set() {
        let variables = Variables::default();
        let (one, two) =
            (ports(&variables, "[80,443]").unwrap(), ports(&variables, "[80,443]").unwrap());
        assert!(one.is_same(&two));
    }

    /// A group over a few ports, as text.
    fn group() -> impl Strategy<Value = String> {
        let port = 0u16..8;
        let leaf = prop_oneof![
            port.clone().prop_map(|p| p.to_string()),
            (port, 0u16..3).prop_map(|(p, n)| format!("{p}:{}", p + n)),
            Just("4:".to_owned()),
            Just(":2".to_owned()),
            Just("any".to_owned()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let member = (any::<bool>(), inner)
                .prop_map(|(not, g)| format!("{}{g}", if not { "!" } else { "" }));
            prop::collection::vec(member, 1..4)
                .prop_map(|members| format!("[{}]", members.join(",")))
        })
    }

    /// The same semantics, by a set of numbers; `None`: refused.
    fn model(group: &GroupExpr) -> Option<Vec<bool>> {
        let item = |text: &str| {
            let (a, b) = port_range(text).unwrap();
            (0..=u16::MAX).map(|p| (a..=b).contains(&p)).collect::<Vec<bool>>()
        };
        fn sides(
            group: &GroupExpr,
            item: &impl Fn(&str) -> Vec<bool>,
            wanted: &mut Vec<Vec<bool>>,
            negated: &mut Vec<Vec<bool>>,
        ) -> Option<()> {
            match group {
                GroupExpr::Any => wanted.push(vec![true; 65_536]),
                GroupExpr::Item(i) => wanted.push(item(&i.node)),
                GroupExpr::List(items) => {
                    for i in items {
                        sides(&i.node, item, wanted, negated)?;
                    }
                }
                GroupExpr::Not(inner) => match &inner.node {
                    GroupExpr::Any => negated.push(vec![true; 65_536]),
                    GroupExpr::Item(i) => negated.push(item(&i.node)),
                    inner => negated.push(model(inner)?),
                },
                GroupExpr::Variable(_) => unreachable!(),
            }
            Some(())
        }
        let (mut wanted, mut negated) = (Vec::new(), Vec::new());
        sides(group, &item, &mut wanted, &mut negated)?;
        if wanted.is_empty() {
            wanted.push(vec![true; 65_536]);
        }
        let out: Vec<bool> = (0..65_536)
            .map(|p| wanted.iter().any(|w| w[p]) && !negated.iter().any(|n| n[p]))
            .collect();
        out.contains(&true).then_some(out)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn like_the_model(group in group()) {
            let rule = rule("any", &group);
            let expr = &ends(&rule).source_port;
            let found = Variables::default().ports(&rule, expr).ok();
            let found = found.map(|set| (0..=u16::MAX).map(|p| set.contains(p)).collect::<Vec<_>>());
            prop_assert_eq!(found, model(&expr.node), "{}", group);
        }
    }
}
