//! Chains of steps: generated ones against a naive reading of what they mean, on whole buffers and on streams
//! that are cut into pieces, and against Suricata.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use nids::detect::chain::{Input, Scratch, Verdict};
use nids::detect::{Environment, Ruleset, compile};
use nids::rule::parser::parse_str;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{suricata, world};

/// A number, or the variable of that number.
#[derive(Clone, Copy, Debug)]
enum Number {
    Is(i64),
    Variable(usize),
}

/// Where a content is sought.
#[derive(Clone, Copy, Debug)]
enum Place {
    Anywhere,
    Start,
    Absolute(Option<Number>, Option<Number>),
    Relative(Option<Number>, Option<Number>),
}

/// Where a number stands, and how it is written.
#[derive(Clone, Copy, Debug)]
struct Field {
    bytes: usize,
    offset: i64,
    relative: bool,
    form: &'static str,
}

/// A step, as the rule has it.
#[derive(Clone, Debug)]
enum Step {
    Content { bytes: Vec<u8>, negated: bool, nocase: bool, place: Place, endswith: bool },
    IsDataAt { negated: bool, at: Number, relative: bool },
    Test { field: Field, operator: &'static str, value: Number },
    Jump { field: Field, multiplier: u64, align: bool, from: &'static str, post: i64 },
    Extract { field: Field, multiplier: u64 },
    Math { field: Field, operator: &'static str, value: Number },
    Pcre { pattern: usize, negated: bool, relative: bool },
}

/// Patterns, and the end of the match from a place.
#[expect(clippy::type_complexity, reason = "a table of patterns, each with its plain reading")]
const PATTERNS: [(&str, fn(&[u8], usize) -> Option<usize>); 4] = [
    ("/ab/i", |subject, at| subject.get(at..at + 2)?.eq_ignore_ascii_case(b"ab").then_some(at + 2)),
    ("/a.b/s", |subject, at| match subject.get(at..at + 3)? {
        [b'a', _, b'b'] => Some(at + 3),
        _ => None,
    }),
    ("/^[ab]/", |subject, at| {
        (at == 0 && matches!(subject.first(), Some(b'a' | b'b'))).then_some(1)
    }),
    ("/b[^a]*a/", |subject, at| {
        (*subject.get(at)? == b'b').then_some(())?;
        let rest = subject.get(at + 1..)?;
        Some(at + 2 + rest.iter().position(|byte| *byte == b'a')?)
    }),
];

impl Number {
    fn write(self) -> String {
        match self {
            Self::Is(number) => number.to_string(),
            Self::Variable(number) => format!("v{number}"),
        }
    }
    fn value(self, variables: &[u64]) -> i128 {
        match self {
            Self::Is(number) => number.into(),
            Self::Variable(number) => variables[number].into(),
        }
    }
}

impl Field {
    fn options(self) -> String {
        let relative = if self.relative { ",relative" } else { "" };
        format!("{relative}{}", self.form)
    }

    /// The number, where it ends, and how far the bytes must go.
    fn read(self, bytes: &[u8], base: usize, cursor: usize) -> Option<(u64, usize, usize)> {
        let origin = if self.relative { cursor } else { base };
        let start = usize::try_from(origin as i64 + self.offset).ok()?;
        let reach = start + self.bytes;
        let field = bytes.get(start..reach)?;
        let number = |n, b: &u8| n * 256 + u64::from(*b);
        let base = match self.form {
            "" => return Some((field.iter().fold(0, number), reach, reach)),
            ",little" => return Some((field.iter().rev().fold(0, number), reach, reach)),
            ",string,dec" => 10,
            ",string,hex" => 16,
            other => panic!("{other}"),
        };
        let text: String = field.iter().map(|byte| char::from(*byte)).collect();
        let digits = text.trim_start_matches(' ');
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, digits),
        };
        let end = digits.find(|c: char| !c.is_digit(base)).unwrap_or(digits.len());
        let value = i64::from_str_radix(&digits[..end], base).ok()?;
        let consumed = text.len() - digits.len() + end;
        Some(((sign * value) as u64, start + consumed, reach))
    }
}

impl Step {
    fn write(&self, out: &mut String, variables: &mut usize) {
        let not = |negated: bool| if negated { "!" } else { "" };
        let _ = match self {
            Self::Content { bytes, negated, nocase, place, endswith } => {
                let _ = write!(out, " content:{}\"|", not(*negated));
                bytes.iter().for_each(|byte| _ = write!(out, "{byte:02x} "));
                out.push_str("|\";");
                let mut modifier = |name: &str, number: Option<Number>| {
                    number.map(|number| write!(out, " {name}:{};", number.write()))
                };
                match *place {
                    Place::Anywhere => {}
                    Place::Start => out.push_str(" startswith;"),
                    Place::Absolute(offset, depth) => {
                        modifier("offset", offset);
                        modifier("depth", depth);
                    }
                    Place::Relative(distance, within) => {
                        modifier("distance", distance);
                        modifier("within", within);
                    }
                }
                let nocase = if *nocase { " nocase;" } else { "" };
                write!(out, "{nocase}{}", if *endswith { " endswith;" } else { "" })
            }
            Self::IsDataAt { negated, at, relative } => {
                let relative = if *relative { ",relative" } else { "" };
                write!(out, " isdataat:{}{}{relative};", not(*negated), at.write())
            }
            Self::Test { field, operator, value } => {
                let Field { bytes, offset, .. } = field;
                let options = field.options();
                write!(out, " byte_test:{bytes},{operator},{},{offset}{options};", value.write())
            }
            Self::Jump { field, multiplier, align, from, post } => {
                let Field { bytes, offset, .. } = field;
                let align = if *align { ",align" } else { "" };
                let _ = write!(out, " byte_jump:{bytes},{offset}{}{from}{align}", field.options());
                write!(out, ",multiplier {multiplier},post_offset {post};")
            }
            Self::Extract { field, multiplier } => {
                let Field { bytes, offset, .. } = field;
                let name = *variables;
                *variables += 1;
                let options = field.options();
                write!(
                    out,
                    " byte_extract:{bytes},{offset},v{name}{options},multiplier {multiplier};"
                )
            }
            Self::Math { field, operator, value } => {
                let Field { bytes, offset, relative, form } = field;
                let name = *variables;
                *variables += 1;
                let _ = write!(out, " byte_math:bytes {bytes},offset {offset},oper {operator}");
                let _ = write!(out, ",rvalue {},result v{name}", value.write());
                let form = match *form {
                    ",little" => ",endian little",
                    ",string,dec" => ",string dec",
                    ",string,hex" => ",string hex",
                    form => form,
                };
                write!(out, "{}{form};", if *relative { ",relative" } else { "" })
            }
            Self::Pcre { pattern, negated, relative } => {
                let relative = if *relative { "R" } else { "" };
                write!(out, " pcre:{}\"{}{relative}\";", not(*negated), PATTERNS[*pattern].0)
            }
        };
    }

    /// Whether it takes bytes for it to hold.
    fn reaches(&self) -> bool {
        match self {
            Self::Content { negated, .. }
            | Self::IsDataAt { negated, .. }
            | Self::Pcre { negated, .. } => !negated,
            _ => true,
        }
    }

    /// Whether more bytes behind can only make it hold.
    fn grows(&self) -> bool {
        match self {
            Self::Content { endswith, .. } => self.reaches() && !endswith,
            Self::Jump { from, .. } => *from != ",from_end",
            _ => self.reaches(),
        }
    }
}

/// The steps, with `endswith` for what it is short for.
fn with_ends(steps: &[Step]) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    for step in steps {
        match (out.last_mut(), step) {
            (
                Some(Step::Content { endswith, .. }),
                Step::IsDataAt { negated: true, at: Number::Is(1), relative: true },
            ) => *endswith = true,
            _ => out.push(step.clone()),
        }
    }
    out
}

/// Bytes to inspect, and how many of them were before.
#[derive(Clone, Copy)]
struct Piece<'a> {
    bytes: &'a [u8],
    base: usize,
    seen: usize,
}

/// Whether there is a choice of hits that fits, one of them behind what was seen: every one is tried.
fn hold(steps: &[Step], piece: Piece<'_>) -> bool {
    let steps = &with_ends(steps);
    let is_new = piece.seen == 0 || !steps.iter().any(Step::reaches);
    from(steps, piece, piece.base, &[], is_new)
}

fn from(steps: &[Step], piece: Piece<'_>, cursor: usize, variables: &[u64], is_new: bool) -> bool {
    let Some((step, rest)) = steps.split_first() else { return is_new };
    let Piece { bytes, base, seen } = piece;
    let go = |cursor: usize, reach: usize, set: Option<u64>| {
        let variables: Vec<u64> = variables.iter().copied().chain(set).collect();
        from(rest, piece, cursor, &variables, is_new || reach > seen)
    };
    match step {
        Step::Content { bytes: sought, negated, nocase, place, endswith } => {
            let value = |number: Number| number.value(variables);
            let (start, length) = match *place {
                Place::Anywhere => (0, None),
                Place::Start => (base as i128, Some(sought.len() as i128)),
                Place::Absolute(offset, depth) => {
                    (base as i128 + offset.map_or(0, value), depth.map(value))
                }
                Place::Relative(distance, within) => {
                    (cursor as i128 + distance.map_or(0, value), within.map(value))
                }
            };
            let fits = |at: &usize| {
                let end = at + sought.len();
                *at as i128 >= start
                    && length.is_none_or(|length| end as i128 <= start + length)
                    && (!endswith || end == bytes.len())
                    && bytes.get(*at..end).is_some_and(|found| match nocase {
                        true => found.eq_ignore_ascii_case(sought),
                        false => found == sought,
                    })
            };
            let hits: Vec<usize> = (0..bytes.len()).filter(fits).collect();
            match negated {
                true => hits.is_empty() && go(cursor, 0, None),
                false => hits.into_iter().any(|at| go(at + sought.len(), at + sought.len(), None)),
            }
        }
        Step::IsDataAt { negated, at, relative } => {
            let origin = if *relative { cursor } else { base };
            let place = origin as i128 + at.value(variables);
            let reach = if *relative { place } else { place + 1 };
            let there = reach <= bytes.len() as i128;
            let reach = if *negated { 0 } else { usize::try_from(reach).unwrap_or(0) };
            there != *negated && go(cursor, reach, None)
        }
        Step::Test { field, operator, value } => {
            let Some((number, _, reach)) = field.read(bytes, base, cursor) else { return false };
            let value = value.value(variables) as u64;
            let holds = match operator.trim_start_matches('!') {
                "=" => number == value,
                "<" => number < value,
                ">" => number > value,
                "<=" => number <= value,
                ">=" => number >= value,
                "&" => number & value != 0,
                "^" => number ^ value != 0,
                other => panic!("{other}"),
            };
            holds != operator.starts_with('!') && go(cursor, reach, None)
        }
        Step::Jump { field, multiplier, align, from, post } => {
            let Some((number, end, reach)) = field.read(bytes, base, cursor) else { return false };
            let mut by = i128::from(number as i64) * i128::from(*multiplier);
            while *align && by % 4 != 0 {
                by += 1;
            }
            let by = by + i128::from(*post);
            let target = match *from {
                ",from_beginning" => (base as i128 + by).max(base as i128),
                ",from_end" => bytes.len() as i128 + by,
                _ => end as i128 + by,
            };
            let target = usize::try_from(target).unwrap_or(0);
            target <= bytes.len() && go(target, reach.max(target), None)
        }
        Step::Extract { field, multiplier } => {
            let Some((number, end, reach)) = field.read(bytes, base, cursor) else { return false };
            go(end, reach, Some(number.wrapping_mul(*multiplier)))
        }
        Step::Math { field, operator, value } => {
            let Some((number, end, reach)) = field.read(bytes, base, cursor) else { return false };
            let value = value.value(variables) as u64;
            let result = match *operator {
                "+" => number.wrapping_add(value),
                "-" => number.wrapping_sub(value),
                "*" => number.wrapping_mul(value),
                "/" if value == 0 => return false,
                "/" => number / value,
                "<<" if value < 64 => number << value,
                ">>" if value < 64 => number >> value,
                _ => 0,
            };
            go(end, reach, Some(result))
        }
        Step::Pcre { pattern, negated, relative } => {
            let origin = if *relative { cursor } else { base };
            let subject = &bytes[origin..];
            let find = PATTERNS[*pattern].1;
            let ends: Vec<usize> = (0..subject.len()).filter_map(|at| find(subject, at)).collect();
            match negated {
                true => ends.is_empty() && go(cursor, 0, None),
                false => ends.into_iter().any(|end| go(origin + end, origin + end, None)),
            }
        }
    }
}

fn text(steps: &[Step]) -> String {
    let mut out = String::new();
    let mut variables = 0;
    steps.iter().for_each(|step| step.write(&mut out, &mut variables));
    out
}

fn byte() -> impl Strategy<Value = u8> {
    prop::sample::select(b"aaabbbABz12- \0\x01\x01\x02\x02\x03".to_vec())
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(byte(), 1..20)
}

fn number(least: i64, most: i64) -> impl Strategy<Value = Number> {
    prop_oneof![
        3 => (least..=most).prop_map(Number::Is),
        1 => (0_usize..2).prop_map(Number::Variable),
    ]
}

fn field() -> impl Strategy<Value = Field> {
    let form = prop::sample::select(vec!["", "", "", ",little", ",string,dec", ",string,hex"]);
    (1_usize..4, -3_i64..6, any::<bool>(), form).prop_map(|(bytes, offset, relative, form)| Field {
        bytes,
        offset,
        relative,
        form,
    })
}

fn content() -> impl Strategy<Value = Step> {
    let bytes = prop::collection::vec(prop::sample::select(b"aaabbbAB1\x01\x02".to_vec()), 1..3);
    let negated = prop::bool::weighted(0.25);
    (bytes, negated, any::<bool>(), prop::bool::weighted(0.1)).prop_flat_map(
        |(bytes, negated, nocase, endswith)| {
            let length = bytes.len() as i64;
            let window = || prop::option::of(number(length, length + 6));
            let place = prop_oneof![
                2 => Just(Place::Anywhere),
                1 => Just(Place::Start),
                2 => (prop::option::of(number(0, 8)), window())
                    .prop_map(|(offset, depth)| Place::Absolute(offset, depth)),
                5 => (prop::option::of(number(-4, 5)), window())
                    .prop_map(|(distance, within)| Place::Relative(distance, within)),
            ];
            place.prop_map(move |place| Step::Content {
                bytes: bytes.clone(),
                negated,
                nocase,
                place,
                endswith,
            })
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let operator = ["=", "!=", "<", ">", "<=", ">=", "&", "!&", "^"];
    let from = prop::sample::select(vec!["", "", "", ",from_beginning", ",from_end"]);
    let math = prop::sample::select(vec!["+", "-", "*", "/", "<<", ">>"]);
    prop_oneof![
        12 => content(),
        2 => (prop::bool::weighted(0.3), number(0, 12), any::<bool>())
            .prop_map(|(negated, at, relative)| Step::IsDataAt { negated, at, relative }),
        2 => (field(), prop::sample::select(operator.to_vec()), number(0, 4))
            .prop_map(|(field, operator, value)| Step::Test { field, operator, value }),
        2 => (field(), 1_u64..3, prop::bool::weighted(0.2), from, -5_i64..4).prop_map(
            |(field, multiplier, align, from, post)| Step::Jump { field, multiplier, align, from, post }
        ),
        2 => (field(), 1_u64..3)
            .prop_map(|(field, multiplier)| Step::Extract { field, multiplier }),
        1 => (field(), math, number(1, 3))
            .prop_map(|(field, operator, value)| Step::Math { field, operator, value }),
        1 => (0..PATTERNS.len(), prop::bool::weighted(0.25), any::<bool>())
            .prop_map(|(pattern, negated, relative)| Step::Pcre { pattern, negated, relative }),
    ]
}

/// Steps of which each looks at variables that are set before it.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..6).prop_map(|mut steps| {
        let mut set = 0;
        // A relative pattern needs a match before it.
        let mut matched = false;
        for step in &mut steps {
            if let Step::Pcre { relative, .. } = step {
                *relative &= matched;
            }
            matched |= matches!(step, Step::Content { .. } | Step::Pcre { .. });
            let bound = |number: &mut Number, least: i64| {
                if matches!(*number, Number::Variable(other) if other >= set) {
                    *number = Number::Is(least);
                }
            };
            match step {
                Step::Content {
                    place: place @ (Place::Absolute(None, None) | Place::Relative(None, None)),
                    ..
                } => *place = Place::Anywhere,
                Step::Content {
                    bytes,
                    place: Place::Absolute(a, b) | Place::Relative(a, b),
                    ..
                } => {
                    a.iter_mut().for_each(|number| bound(number, 1));
                    b.iter_mut().for_each(|number| bound(number, bytes.len() as i64));
                }
                Step::Content { .. } | Step::Jump { .. } | Step::Pcre { .. } => {}
                Step::IsDataAt { at: number, .. }
                | Step::Test { value: number, .. }
                | Step::Math { value: number, .. } => bound(number, 1),
                Step::Extract { .. } => {}
            }
            set += usize::from(matches!(step, Step::Extract { .. } | Step::Math { .. }));
        }
        steps
    })
}

fn compiled(text: &str) -> Ruleset {
    let file: Arc<Path> = Path::new("generated.rules").into();
    let parsed = parse_str(&file, text);
    let compiled = compile(&parsed.rules, &Environment::default());
    let refusals: Vec<_> = parsed.refusals.iter().chain(&compiled.refusals).collect();
    assert!(refusals.is_empty(), "{refusals:?}");
    compiled.ruleset
}

fn rule(steps: &[Step], sid: u32) -> String {
    format!("alert udp any any -> any any (msg:\"x\";{} sid:{sid};)\n", text(steps))
}

fn verdict(ruleset: &Ruleset, piece: Piece<'_>) -> Verdict {
    let chain = ruleset.signatures()[0].payload.as_ref().unwrap();
    let mut folded = Vec::new();
    let mut input = Input::new(piece.bytes, &mut folded).of_stream(piece.base as i64, piece.seen);
    chain.matches(&mut input, &mut Scratch::default())
}

/// What is expected where it is told, as an answer.
fn told(holds: bool) -> Verdict {
    if holds { Verdict::Match } else { Verdict::NoMatch }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, max_global_rejects: 40_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Buffers as a whole.
    #[test]
    fn chains_mean_what_they_say(
        steps in steps(),
        payloads in prop::collection::vec(payload(), 8),
    ) {
        let ruleset = compiled(&rule(&steps, 1));
        for bytes in &payloads {
            let piece = Piece { bytes, base: 0, seen: 0 };
            prop_assert_eq!(verdict(&ruleset, piece), told(hold(&steps, piece)), "{} on {:?}",
                text(&steps), bytes);
        }
    }

    /// A unit of a stream that grows: each choice of hits is told with the piece that completes it.
    #[test]
    fn pieces_tell_each_choice_once(
        steps in steps(),
        bytes in payload(),
        mut cuts in prop::collection::vec(1_usize..20, 0..4),
    ) {
        let ruleset = compiled(&rule(&steps, 1));
        cuts.retain(|cut| *cut < bytes.len());
        cuts.push(bytes.len());
        cuts.sort_unstable();
        cuts.dedup();
        let mut seen = 0;
        let mut matched = false;
        for cut in cuts {
            let piece = Piece { bytes: &bytes[..cut], base: 0, seen };
            let expected = hold(&steps, piece);
            prop_assert_eq!(verdict(&ruleset, piece), told(expected), "{} on {:?} behind {}",
                text(&steps), piece.bytes, seen);
            matched |= expected;
            seen = cut;
        }
        if steps.iter().all(Step::grows) {
            let whole = Piece { bytes: &bytes, base: 0, seen: 0 };
            prop_assert_eq!(matched, hold(&steps, whole), "{} on {:?}", text(&steps), bytes);
        }
    }

    /// With bytes of the unit before.
    #[test]
    fn absolute_places_count_from_the_unit(
        steps in steps(),
        bytes in payload(),
        base in 0_usize..6,
        more in 0_usize..6,
    ) {
        // A pattern without `R` sees more than the unit: that is its own.
        prop_assume!(!steps.iter().any(|step| matches!(step, Step::Pcre { relative: false, .. })));
        prop_assume!(base < bytes.len());
        let ruleset = compiled(&rule(&steps, 1));
        let seen = (base + more).min(bytes.len() - 1);
        let piece = Piece { bytes: &bytes, base, seen };
        prop_assert_eq!(verdict(&ruleset, piece), told(hold(&steps, piece)), "{} on {:?} from {}, behind {}",
            text(&steps), bytes, base, seen);
    }
}

const RULES: usize = 300;
const PACKETS: usize = 400;
const ROUNDS: usize = 4;

/// What Suricata finds we find. What it does not and we do is what the steps mean.
#[test]
fn suricata_finds_nothing_more() {
    let Some(version) = suricata::version() else {
        let _ = writeln!(std::io::stderr(), "skipped: Suricata 7 is not installed");
        return;
    };
    let mut runner = TestRunner::deterministic();
    let (mut both, mut ours_alone) = (0, 0);
    for round in 0..ROUNDS {
        let rules: Vec<Vec<Step>> =
            std::iter::repeat_with(|| steps().new_tree(&mut runner).unwrap().current())
                .filter(|steps| means_the_same(steps))
                .take(RULES)
                .collect();
        let payloads: Vec<Vec<u8>> =
            std::iter::repeat_with(|| payload().new_tree(&mut runner).unwrap().current())
                .take(PACKETS)
                .collect();
        let text: String = (1..).zip(&rules).map(|(sid, steps)| rule(steps, sid)).collect();
        let frames: Vec<Vec<u8>> = (0..).zip(&payloads).map(|(n, bytes)| frame(n, bytes)).collect();
        let theirs: BTreeSet<(u64, u32)> = suricata::alerts(&text, &frames).into_keys().collect();
        let ours: BTreeSet<(u64, u32)> =
            world::alerts(&compiled(&text), &frames).into_iter().collect();
        let show = |(packet, sid): &(u64, u32)| {
            let bytes = &payloads[*packet as usize - 1];
            let _ = writeln!(
                std::io::stderr(),
                "{:?}: {}",
                String::from_utf8_lossy(bytes),
                rule(&rules[*sid as usize - 1], *sid)
            );
        };
        let missed: Vec<_> = theirs.difference(&ours).collect();
        missed.iter().take(10).for_each(|alert| show(alert));
        assert!(missed.is_empty(), "round {round}: {} alerts of {version} missed", missed.len());
        for alert @ (packet, sid) in ours.difference(&theirs) {
            let piece = Piece { bytes: &payloads[*packet as usize - 1], base: 0, seen: 0 };
            if !hold(&rules[*sid as usize - 1], piece) {
                show(alert);
                panic!("round {round}: an alert of ours is wrong");
            }
            if std::env::var_os("NIDS_SHOW_DIFFERENCES").is_some() {
                show(alert);
            }
            ours_alone += 1;
        }
        both += ours.intersection(&theirs).count();
    }
    assert!(both > 10_000, "only {both} alerts compared");
    // It gives up where a step does not know that the one before depends on it.
    assert!(ours_alone * 20 < both, "{ours_alone} alerts are ours alone, {both} of both");
    let _ = writeln!(std::io::stderr(), "{both} alerts of both, {ours_alone} of ours alone");
}

/// Rules that Suricata 7.0.10 reads as its manual says: it looks at the first hit of a negated content for
/// its `endswith`, gives the first variables of `byte_extract` and of `byte_math` the same place, and takes a
/// window that ends before the buffer begins for the whole of it.
fn means_the_same(steps: &[Step]) -> bool {
    let wraps = |step: &Step| match step {
        Step::Content {
            place: Place::Relative(Some(Number::Is(distance)), Some(within)), ..
        } => {
            let Number::Is(within) = within else { return *distance < 0 };
            distance + within < 0
        }
        _ => false,
    };
    // And it cuts variables that are places to 32 bits, so that large ones are negative.
    let places = |step: &Step| match step {
        Step::Content { place: Place::Absolute(a, b) | Place::Relative(a, b), .. } => {
            [a, b].iter().any(|number| matches!(number, Some(Number::Variable(_))))
        }
        _ => false,
    };
    let large = |step: &Step| match step {
        Step::Extract { field, .. } => field.form.starts_with(",string"),
        Step::Math { field, operator, .. } => field.form.starts_with(",string") || *operator == "-",
        _ => false,
    };
    if steps.iter().any(wraps) || steps.iter().any(places) && steps.iter().any(large) {
        return false;
    }
    let steps = &with_ends(steps);
    let any = |which: fn(&Step) -> bool| steps.iter().any(which);
    let extracts_and_computes = any(|step| matches!(step, Step::Extract { .. }))
        && any(|step| matches!(step, Step::Math { .. }));
    let ends_negated =
        any(|step| matches!(step, Step::Content { negated: true, endswith: true, .. }));
    !(ends_negated || extracts_and_computes)
}

fn frame(number: u16, payload: &[u8]) -> Vec<u8> {
    let [c, d] = number.to_be_bytes();
    let mut out = Vec::new();
    etherparse::PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4([10, 0, c, d], [10, 1, c, d], 64)
        .udp(40_000, 50_000)
        .write(&mut out, payload)
        .unwrap();
    out
}
