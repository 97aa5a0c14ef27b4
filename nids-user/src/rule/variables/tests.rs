//! Groups and variables, against expected ranges and against a model of plain sets.

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
        prop::collection::vec(member, 1..4).prop_map(|members| format!("[{}]", members.join(",")))
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
    let out: Vec<bool> =
        (0..65_536).map(|p| wanted.iter().any(|w| w[p]) && !negated.iter().any(|n| n[p])).collect();
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
