//! Generated rules over the keywords that Suricata 7 has too. What the two read differently on purpose is left
//! out by construction, each time with the place in docs/differences.md that tells why.

use std::fmt::Write as _;

use super::dice::Dice;
use super::traffic::WORDS;
use crate::cases::detect::world;

/// A rule, and how its alerts are compared.
pub struct Rule {
    pub text: String,
    /// It may match in a stream, which Suricata looks at later than we do: then which packet the alert falls
    /// on is not compared.
    pub of_stream: bool,
}

/// What a rule is made of.
struct Draft<'a> {
    dice: &'a mut Dice,
    options: String,
    protocol: &'static str,
    /// A keyword that makes it one of packets.
    of_packets: bool,
    variables: usize,
    /// Behind `base64_data` no other buffer can come.
    decodes: bool,
    /// Something is sought in a header.
    has_buffer: bool,
}

pub fn rule(dice: &mut Dice, sid: usize) -> Rule {
    let protocols = [
        "tcp",
        "tcp",
        "tcp",
        "tcp-pkt",
        "tcp-pkt",
        "tcp-stream",
        "udp",
        "udp",
        "udp",
        "icmp",
        "ip",
        "ip",
    ];
    let protocol = dice.pick(&protocols);
    let is_of = |name: &[&str]| name.contains(&protocol);
    let mut address = || if dice.chance(40) { "any" } else { dice.pick(&world::ADDRESSES).0 };
    let (source, destination) = (address(), address());
    let mut port = || if dice.chance(40) { "any" } else { dice.pick(&world::PORTS).0 };
    let (mut from, mut to) = (port(), port());
    if is_of(&["icmp", "ip"]) {
        (from, to) = ("any", "any");
    }
    let arrow = if dice.chance(10) { "<>" } else { "->" };
    let mut draft = Draft {
        dice,
        options: String::new(),
        protocol,
        of_packets: protocol == "tcp-pkt",
        variables: 0,
        decodes: false,
        has_buffer: false,
    };
    let has_payload = protocol == "tcp-stream" || draft.dice.chance(75);
    draft.header(has_payload);
    if has_payload {
        draft.payload();
    }
    draft.buffers(has_payload && is_of(&["tcp", "ip"]) && !draft.of_packets);
    let of_stream = has_payload && is_of(&["tcp", "tcp-stream", "ip"]) && !draft.of_packets;
    if !of_stream {
        draft.memory(arrow == "<>");
    }
    let options = draft.options;
    let priority = dice.between(1, 3);
    let text = format!(
        "alert {protocol} {source} {from} {arrow} {destination} {to} \
         (msg:\"{sid}\";{options} priority:{priority}; sid:{sid};)"
    );
    Rule { text, of_stream }
}

impl Draft<'_> {
    fn push(&mut self, text: &str) {
        self.options.push(' ');
        self.options.push_str(text);
    }

    /// Keywords of headers and flows.
    fn header(&mut self, has_payload: bool) {
        let of_protocol: &[world::Test] = match self.protocol {
            "tcp" | "tcp-pkt" => &world::TCP,
            "udp" => &world::UDP,
            "icmp" => &world::ICMP,
            "ip" => &world::IP,
            _ => &[],
        };
        let is_buffer = |test: &&world::Test| test.text.contains("content:");
        let plain = |tests: &'static [world::Test]| -> Vec<&'static str> {
            tests.iter().filter(|test| !is_buffer(test)).map(|test| test.text).collect()
        };
        for (percent, tests) in [(35, plain(&world::COMMON)), (30, plain_of(of_protocol))] {
            if self.protocol == "tcp-stream" || tests.is_empty() || !self.dice.chance(percent) {
                continue;
            }
            let test = self.dice.pick(&tests);
            // On purpose: Suricata takes the size of a rule with contents for an upper bound, and a packet at
            // which it looks at the stream for one with payload.
            let sized = test.starts_with("dsize:");
            let counts_none = ["dsize:0;", "dsize:!6;"].contains(&test);
            let misread = sized && (has_payload || counts_none && self.protocol != "udp");
            if !misread {
                self.of_packets |= test != "sameip;" && !test.starts_with("decode-event");
                self.push(test);
            }
        }
        if self.dice.chance(40) {
            let flow = match self.protocol {
                // On purpose: Suricata tries a direction alone both ways in some groups of rules.
                "icmp" | "ip" => self.dice.pick(&["flow:established;", "flow:stateless;"]),
                _ => self.dice.pick(&[
                    "flow:to_server,stateless;",
                    "flow:to_client,stateless;",
                    "flow:established;",
                    "flow:not_established;",
                    "flow:stateless;",
                    "flow:established,to_server;",
                    "flow:from_server,established;",
                    "flow:no_frag;",
                ]),
            };
            self.push(flow);
        }
    }

    /// What is sought in the payload: runs of steps of which each depends on the one before.
    fn payload(&mut self) {
        for _ in 0..self.dice.pick(&[1, 1, 2]) {
            self.content(false, false);
            for _ in 0..self.dice.pick(&[0, 1, 1, 2]) {
                match self.dice.below(8) {
                    0..=3 => self.content(true, false),
                    4 => self.pcre(true),
                    5 => self.byte_test(true),
                    6 => self.byte_jump(true),
                    _ => self.is_data_at(true),
                }
            }
        }
        match self.dice.below(12) {
            0 => self.content(false, true),
            1 => self.pcre(false),
            2 => self.byte_test(false),
            3 => self.is_data_at(false),
            4 => {
                self.decodes = true;
                self.push("base64_decode:bytes 8, offset 0; base64_data; content:\"aba\";");
            }
            _ => {}
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let words = if self.dice.chance(70) { 1 } else { 2 };
        (0..words).flat_map(|_| self.dice.pick(&WORDS)).copied().collect()
    }

    fn content(&mut self, relative: bool, negated: bool) {
        let bytes = self.bytes();
        let length = bytes.len() as i64;
        let mut text = format!("content:{}\"|", if negated { "!" } else { "" });
        for byte in &bytes {
            let _ = write!(text, "{byte:02x} ");
        }
        text.push_str("|\";");
        let variable = self.variable();
        let number = |dice: &mut Dice, least: i64, most: i64| match &variable {
            Some(name) if dice.chance(50) => name.clone(),
            _ => dice.between(least, most).to_string(),
        };
        let dice = &mut *self.dice;
        if relative {
            let _ = match dice.below(3) {
                0 => write!(text, " distance:{};", number(dice, 0, 4)),
                1 => write!(text, " within:{};", dice.between(length, length + 8)),
                _ => write!(
                    text,
                    " distance:{}; within:{};",
                    number(dice, 0, 4),
                    dice.between(length, length + 8)
                ),
            };
        } else {
            let _ = match dice.below(10) {
                0 => write!(text, " offset:{};", number(dice, 0, 6)),
                1 => write!(text, " depth:{};", dice.between(length, length + 9)),
                2 => write!(
                    text,
                    " offset:{}; depth:{};",
                    number(dice, 0, 6),
                    dice.between(length, length + 9)
                ),
                3 => write!(text, " startswith;"),
                _ => Ok(()),
            };
        }
        if dice.chance(30) {
            text.push_str(" nocase;");
        }
        if dice.chance(5) && !negated {
            text.push_str(" endswith;");
        }
        self.push(&text);
    }

    /// One that is set before.
    fn variable(&mut self) -> Option<String> {
        (self.variables > 0).then(|| format!("v{}", self.dice.below(self.variables)))
    }

    fn pcre(&mut self, relative: bool) {
        let pattern =
            self.dice.pick(&["ab", "a.b", "[ab]+c", "b[^a]*a", "^a", "c$", "(a|b)\\x00", "(?i)AB"]);
        let flags = self.dice.pick(&["", "i", "s", "m"]);
        let relative = if relative { "R" } else { "" };
        let negated = if relative.is_empty() && self.dice.chance(20) { "!" } else { "" };
        self.push(&format!("pcre:{negated}\"/{pattern}/{flags}{relative}\";"));
    }

    fn byte_test(&mut self, relative: bool) {
        let operator = self.dice.pick(&["=", "!=", "<", ">", "<=", ">=", "&", "!&"]);
        let (bytes, form) = self.form();
        let (value, offset) = (self.dice.between(0, 100), self.dice.between(0, 5));
        let relative = if relative { ",relative" } else { "" };
        self.push(&format!("byte_test:{bytes},{operator},{value},{offset}{relative}{form};"));
    }

    fn byte_jump(&mut self, relative: bool) {
        let (bytes, form) = self.form();
        let offset = self.dice.between(0, 3);
        let relative = if relative { ",relative" } else { "" };
        let from = self.dice.pick(&["", "", "", ",from_beginning", ",align"]);
        self.push(&format!("byte_jump:{bytes},{offset}{relative}{form}{from};"));
    }

    fn is_data_at(&mut self, relative: bool) {
        let at = self.dice.between(0, 20);
        let negated = if self.dice.chance(40) && (at, relative) != (1, true) { "!" } else { "" };
        let relative = if relative { ",relative" } else { "" };
        self.push(&format!("isdataat:{negated}{at}{relative};"));
    }

    fn form(&mut self) -> (i64, &'static str) {
        match self.dice.below(5) {
            0 => (self.dice.between(1, 3), ",string,dec"),
            1 => (self.dice.between(1, 3), ",string,hex"),
            2 => (2, ",little"),
            _ => (self.dice.pick(&[1, 1, 2, 4]), ""),
        }
    }

    /// What is sought in headers, behind what is sought in the payload.
    fn buffers(&mut self, of_stream: bool) {
        if self.protocol == "tcp-stream" || self.decodes || !self.dice.chance(15) {
            return;
        }
        self.has_buffer = true;
        // Where Suricata looks at the end of a stream it has no addresses.
        let choices = if of_stream { 1 } else { 3 };
        let text = match (self.protocol, self.dice.below(choices)) {
            ("tcp" | "tcp-pkt", 0) => self.dice.pick(&[
                "tcp.hdr; content:\"|02 04|\"; offset:20; depth:2;",
                "tcp.hdr; bsize:>20;",
                "tcp.hdr; to_md5; bsize:16;",
                "tcp.hdr; xor:\"0102\"; content:\"|01|\"; depth:4;",
            ]),
            ("tcp" | "tcp-pkt" | "udp" | "icmp", 1) if !of_stream && self.dice.chance(30) => {
                self.dice.pick(&[
                    // No `strip_whitespace`: beside it Suricata misses negated contents of the same header.
                    "ipv4.hdr; to_md5; bsize:16;",
                    "ipv4.hdr; to_sha1; bsize:20;",
                    "ipv4.hdr; url_decode; content:\"|45|\"; depth:1;",
                    "ipv4.hdr; pcrexform:\"^(..)\"; bsize:2;",
                ])
            }
            ("udp", 0) => self
                .dice
                .pick(&["udp.hdr; content:\"|00|\"; offset:4; depth:1;", "udp.hdr; bsize:8;"]),
            ("icmp", 0) => self.dice.pick(&["icmpv4.hdr; content:\"|00 07|\"; offset:4; depth:2;"]),
            (_, 1) => {
                let text = self.dice.pick(&[
                    "ip.src; content:\"|0a|\"; startswith;",
                    "ip.dst; content:\"|0a|\"; startswith;",
                    "ip.dst; bsize:4;",
                ]);
                return self.push(text);
            }
            _ => self.dice.pick(&[
                "ipv4.hdr; content:\"|01 01 01|\";",
                "ipv4.hdr; content:!\"|01 01 01|\";",
                "ipv4.hdr; to_sha256; bsize:32;",
                "ipv6.hdr; content:\"|60|\"; startswith;",
            ]),
        };
        self.of_packets = true;
        self.push(text);
    }

    /// What rules keep across packets.
    fn memory(&mut self, both: bool) {
        if !self.dice.chance(35) {
            return;
        }
        let bit = self.dice.below(3);
        let track = self.dice.pick(&["ip_src", "ip_dst", "ip_pair"]);
        // On purpose: Suricata tries rules of addresses before all others, so that changes come in another
        // order. Such rules test nothing, and what they change is set and no more.
        let of_addresses = !self.options.contains("content:")
            && !self.options.contains("flow:")
            && !self.of_packets;
        let (name, change) = match self.dice.chance(50) {
            _ if of_addresses => ("once", "set"),
            true => ("once", self.dice.pick(&["set", "set", "isset", "isnotset"])),
            false => ("often", self.dice.pick(&["set", "set", "isset", "isnotset", "unset"])),
        };
        // On purpose: where some rule that looks at a header buffer sets a bit, Suricata is late with all that
        // ask for it.
        let flowbits = if self.has_buffer { 3 } else { 0 };
        let text = match self.dice.between(flowbits, 8) {
            0..=2 if name == "often" && self.dice.chance(20) => {
                format!("flowbits:toggle,often{bit};")
            }
            0..=2 => format!("flowbits:{change},{name}{bit};"),
            3 => self
                .dice
                .pick(&["flowint:num,+,1;", "flowint:num,>,1;", "flowint:num,notset;"])
                .to_owned(),
            4 => {
                // On purpose: Suricata tests xbits before it sets those of the same packet, but for what rules of
                // addresses set.
                let change = match of_addresses {
                    true => "set",
                    false => self.dice.pick(&["isset", "isnotset"]),
                };
                format!("xbits:{change},x{bit},track {track},expire 100000;")
            }
            5 => format!("hostbits:{change},host_{name}{bit},{};", self.dice.pick(&["src", "dst"])),
            6 => "noalert;".to_owned(),
            7 => {
                let track = self.dice.pick(&["by_src", "by_dst"]);
                let count = self.dice.between(1, 3);
                format!("detection_filter:track {track}, count {count}, seconds 60;")
            }
            _ => {
                let kind = self.dice.pick(&["limit", "threshold", "both"]);
                // On purpose: `by_rule` counts each way of `<>` by itself in Suricata 7.
                let tracks = ["by_src", "by_dst", "by_both", "by_rule"];
                let track = self.dice.pick(&tracks[..if both { 3 } else { 4 }]);
                let count = self.dice.between(1, 3);
                format!("threshold:type {kind}, track {track}, count {count}, seconds 60;")
            }
        };
        self.push(&text);
    }
}

fn plain_of(tests: &[world::Test]) -> Vec<&'static str> {
    tests.iter().filter(|test| !test.text.contains("content:")).map(|test| test.text).collect()
}
