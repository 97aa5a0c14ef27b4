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

    /// The addresses that `text`, outside of a rule, stands for. Places in it are bytes of `text`.
    pub fn addresses_of(&self, text: &str) -> Result<AddressSet, Problem> {
        let group = parser::parse_group(text).map_err(|fault| Problem {
            span: fault.span,
            kind: fault.kind,
            reason: fault.reason,
            help: fault.help,
        })?;
        let mut walk = Walk { variables: self, trail: Vec::new(), members: 0 };
        walk.resolve::<Families>(&group).map(AddressSet::from)
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Place in the text of the group.
    pub span: Span,
    /// Kind of reason.
    pub kind: ReasonKind,
    /// The reason in words: lower case, no full stop.
    pub reason: String,
    /// A way out.
    pub help: Option<String>,
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
mod tests;
