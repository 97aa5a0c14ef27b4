//! Multi-pattern matchers, and inspection as a whole: `cargo bench -p nids --bench mpm`.
//!
//! First each kind of matcher over 2 to 30,000 patterns, short and long ones: time on text that has none of
//! them, and memory. `mpm::build` chooses by these figures. Then a packet through the inspector, by the two rules
//! of the README and by growing sets of rules. Times are of the processor; medians of the rounds are shown.

use std::fmt::Write;
use std::hint::black_box;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nids::capture::{Direction, Frame, LinkType, Timestamp};
use nids::decode::decode;
use nids::detect::memory::Shared;
use nids::detect::mpm::{Hits, Kind, Matcher, Numbered, build, build_kind};
use nids::detect::subject::Subject;
use nids::detect::{Environment, Inspector, Ruleset, compile};
use nids::rule::parser::parse_str;
use nix::time::{ClockId, clock_gettime};

/// Bytes scanned in one measurement.
const BYTES: usize = 4 << 20;

fn main() {
    let rounds = rounds();
    matchers(rounds);
    inspection(rounds);
}

/// The number behind `--rounds`; cargo adds flags of its own.
fn rounds() -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--rounds");
    arguments.nth(1).and_then(|count| count.parse().ok()).unwrap_or(5)
}

/// A small generator with a fixed seed, so that all runs measure the same.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }

    /// Words as they stand in requests.
    fn text(&mut self, length: usize) -> Vec<u8> {
        const WORDS: [&str; 24] = [
            "GET ",
            "/index",
            ".html",
            " HTTP/1.1\r\n",
            "Host: ",
            "www.",
            "example",
            ".org\r\n",
            "User-Agent: ",
            "Mozilla/5.0 ",
            "(X11; Linux x86_64)",
            "Accept: ",
            "text/html,",
            "*/*",
            "\r\n",
            "Cookie: ",
            "session=",
            "id=",
            "static/",
            "images/",
            "login",
            ".php?",
            "q=",
            "&page=",
        ];
        let mut out = Vec::new();
        while out.len() < length {
            match self.below(4) {
                0 => out.extend(self.below(1 << 30).to_string().bytes()),
                _ => out.extend(WORDS[self.below(WORDS.len())].bytes()),
            }
        }
        out.truncate(length);
        out
    }

    /// Patterns like those of rules: a third binary, the rest from words, none of them in the text.
    fn patterns(&mut self, count: usize, lengths: Range<usize>) -> Vec<Box<[u8]>> {
        (0..count)
            .map(|number| {
                let length = lengths.start + self.below(lengths.len());
                let mut pattern: Vec<u8> = match number % 3 {
                    0 => (0..length).map(|_| self.below(256) as u8).collect(),
                    _ => self.text(length),
                };
                // No text holds this.
                let at = self.below(length - 2) + 2;
                pattern[at] |= 0x80;
                pattern.into()
            })
            .collect()
    }
}

/// Time this thread has had on a processor: other work on the machine does not count.
fn busy() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has it").into()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn scan(matchers: &[Box<dyn Matcher>], payloads: &[Vec<u8>], hits: &mut Hits) -> f64 {
    let size: usize = payloads.iter().map(Vec::len).sum();
    let passes = (BYTES / size).max(1);
    let start = busy();
    for _ in 0..passes {
        for payload in payloads {
            matchers.iter().for_each(|matcher| matcher.scan(black_box(payload), hits));
            hits.clear();
        }
    }
    (busy() - start).as_nanos() as f64 / (passes * payloads.len()) as f64
}

fn matchers(rounds: usize) {
    println!("Matchers: ns for 1,460 bytes (KiB); chosen: by `mpm::build`");
    print!("| patterns | bytes |");
    for kind in Kind::ALL {
        print!(" {kind:?} |");
    }
    println!(" chosen |");
    for count in [2, 8, 30, 64, 100, 300, 1000, 3000, 10_000, 30_000] {
        for lengths in [4..7, 7..17] {
            let mut random = Random(0x5eed_5eed_5eed);
            let patterns = random.patterns(count, lengths.clone());
            let payloads: Vec<Vec<u8>> = (0..200).map(|_| random.text(1460)).collect();
            let mut hits = Hits::default();
            hits.reserve(count);
            let mut measure = |matchers: &[Box<dyn Matcher>]| {
                let times = (0..rounds).map(|_| scan(matchers, &payloads, &mut hits)).collect();
                let memory: usize = matchers.iter().map(|matcher| matcher.memory()).sum();
                format!("{:.0} ({})", median(times), memory >> 10)
            };
            print!("| {count} | {}-{} |", lengths.start, lengths.end - 1);
            for kind in Kind::ALL {
                let too_slow = kind == Kind::Substring && count > 64;
                let too_large = kind == Kind::Dfa && count > 3000;
                let numbered: Vec<Numbered<'_>> = (0..)
                    .zip(&patterns)
                    .map(|(number, bytes)| Numbered { number, bytes })
                    .collect();
                match build_kind(kind, &numbered) {
                    Ok(matcher) if !too_slow && !too_large => print!(" {} |", measure(&[matcher])),
                    _ => print!(" |"),
                }
            }
            println!(" {} |", measure(&build(&patterns).expect("few enough")));
        }
    }
}

fn ruleset(text: &str) -> Ruleset {
    let file: Arc<Path> = Path::new("bench.rules").into();
    let compiled = compile(&parse_str(&file, text).rules, &Environment::default());
    assert!(compiled.refusals.is_empty(), "{:?}", compiled.refusals);
    compiled.ruleset
}

fn inspection(rounds: usize) {
    let mut random = Random(0xfeed_5eed);
    let mut sets = vec![(
        "the two rules".to_owned(),
        "alert tcp any any -> any 80 (content:\"/etc/passwd\"; sid:1;)\n\
         alert tcp any any -> any 22 (content:\"USER root\"; sid:2;)\n"
            .to_owned(),
    )];
    for count in [100, 1000, 10_000, 40_000] {
        let mut text = String::new();
        for (sid, pattern) in random.patterns(count, 4..20).iter().enumerate() {
            let hex: String = pattern.iter().map(|byte| format!("{byte:02x} ")).collect();
            let port = match sid % 4 {
                0 => "any".to_owned(),
                1 => "80".to_owned(),
                2 => "1024:".to_owned(),
                _ => random.below(65_536).to_string(),
            };
            let nocase = if sid % 2 == 0 { "nocase;" } else { "" };
            let _ = writeln!(
                text,
                "alert tcp any any -> any {port} (content:\"|{hex}|\"; {nocase} sid:{};)",
                sid + 1
            );
        }
        sets.push((format!("{count} rules"), text));
    }
    println!(
        "\nInspection of a TCP packet to port 80 that matches nothing: ns (64, 512, 1460 bytes)"
    );
    for (name, text) in sets {
        let start = Instant::now();
        let ruleset = ruleset(&text);
        let built = start.elapsed();
        let mut inspector = Inspector::new(&ruleset, Shared::new(0));
        let mut line = format!("{name:>16}:");
        for length in [64, 512, 1460] {
            let packets: Vec<Vec<u8>> = (0..200).map(|_| segment(&random.text(length))).collect();
            let times = (0..rounds).map(|_| inspect(&ruleset, &mut inspector, &packets)).collect();
            let _ = write!(line, " {:>7.0}", median(times));
        }
        println!("{line}   (parsed and compiled in {built:.1?})");
    }
}

fn inspect(ruleset: &Ruleset, inspector: &mut Inspector, packets: &[Vec<u8>]) -> f64 {
    let frames: Vec<Frame<'_>> = packets.iter().map(|data| frame(data)).collect();
    let packets: Vec<_> = frames.iter().map(decode).collect();
    let passes = 50;
    let start = busy();
    for _ in 0..passes {
        for packet in &packets {
            inspector.inspect(ruleset, &Subject::new(black_box(packet), None), &mut |info| {
                black_box(info);
            });
        }
    }
    (busy() - start).as_nanos() as f64 / (passes * packets.len()) as f64
}

fn frame(data: &[u8]) -> Frame<'_> {
    Frame {
        time: Timestamp(0),
        link: LinkType::RawIp,
        data,
        wire_len: data.len() as u32,
        port: 0,
        direction: Direction::Ingress,
        vlan_offload: None,
        number: 1,
    }
}

fn segment(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    etherparse::PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(40_000, 80, 1, 1000)
        .ack(1)
        .psh()
        .write(&mut out, payload)
        .expect("a vector takes all");
    out
}
