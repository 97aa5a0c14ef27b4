//! `nids monitor`: one line a packet, live or from a file, with a filter in tcpdump's language.
//!
//! Live, the filter's protocols and ports are pushed down into the kernel's filter table, and what that
//! lets by is judged here exactly. One thread does it all.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nids_abi::Reason;

use super::exit::{Code, Failure};
use super::stdout::Lines;
use super::{interrupt, say};
use crate::capture::Frame;
use crate::capture::interface;
use crate::capture::pcap::{PcapError, PcapSource};
use crate::capture::ring::Until;
use crate::capture::xdp::{Capture, DirectionChoice, ModeChoice, Settings};
use crate::decode::decode;
use crate::monitor::filter::{self, Expr};
use crate::monitor::summary::{Summary, hex};

/// How often to look whether the interfaces are still there.
const CHECK: Duration = Duration::from_secs(1);

/// Shows packets, one line each.
///
/// The filter is written as for tcpdump: `tcp and port 80`, `host 10.0.0.1 and not icmp`,
/// `net 10.0.0.0/8`, `portrange 6000-6008`, `vlan 10`, `less 64`, `tcp[tcpflags] & tcp-syn != 0`.
/// Unlike there, it looks behind VLAN tags and IPv6 extension headers by itself.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Interface to listen on; may be given several times or as a list. Default: that of the default route.
    #[arg(long, short, value_name = "IF", value_delimiter = ',')]
    iface: Vec<String>,
    /// Read a capture file (pcap or pcapng, also gz or zstd; - is standard input) instead.
    #[arg(long, short = 'r', value_name = "PCAP", conflicts_with_all = ["iface", "direction", "mode"])]
    file: Option<PathBuf>,
    /// End after N packets.
    #[arg(long, short, value_name = "N")]
    count: Option<u64>,
    /// Show the bytes of each packet.
    #[arg(long, short = 'x', conflicts_with = "json")]
    hex: bool,
    /// Print JSON objects.
    #[arg(long)]
    json: bool,
    /// Which way packets go through the interface.
    #[arg(long, value_enum, default_value = "auto")]
    direction: DirectionChoice,
    /// How to attach.
    #[arg(long, value_enum, default_value = "auto")]
    mode: ModeChoice,
    /// Take the place of programs of others.
    #[arg(long, conflicts_with = "file")]
    force: bool,
    /// What to show; everything where left out.
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

/// Shows packets until the file ends, the count is reached, a signal comes, or nobody reads any more.
pub fn run(args: Args) -> Result<(), Failure> {
    let filter = filter::parse(&args.filter.join(" "))
        .map_err(|error| Failure::new(Code::Usage, error.to_string()))?;
    interrupt::install();
    let mut show = Show {
        out: Lines::stdout(),
        summary: Summary::default(),
        filter,
        hex: args.hex,
        json: args.json,
        left: args.count.unwrap_or(u64::MAX),
        looked_at: 0,
        shown: 0,
        failed: None,
        over: args.count == Some(0),
        names_interfaces: false,
    };
    match &args.file {
        Some(path) => read(path, &mut show)?,
        None => listen(&args, &mut show)?,
    }
    show.failed.map_or(Ok(()), Err)
}

/// What is done with each frame.
struct Show {
    out: Lines,
    summary: Summary,
    filter: Expr,
    hex: bool,
    json: bool,
    left: u64,
    /// Frames that came here.
    looked_at: u64,
    shown: u64,
    failed: Option<Failure>,
    /// Nothing more is to be shown.
    over: bool,
    /// Lines name the interface: there are several.
    names_interfaces: bool,
}

impl Show {
    fn frame(&mut self, frame: &Frame<'_>, interface: Option<&str>) {
        if self.over {
            return;
        }
        self.looked_at += 1;
        let packet = decode(frame);
        if !self.filter.matches(&packet) {
            return;
        }
        let out = &mut self.out.buffer;
        if self.json {
            self.summary.json(out, &packet, interface);
        } else {
            self.summary.line(out, &packet, interface.filter(|_| self.names_interfaces));
        }
        if self.hex {
            hex(out, frame.data);
        }
        self.shown += 1;
        self.left -= 1;
        let written = self.out.line();
        self.note(written);
        self.over |= self.left == 0;
    }

    /// To be called when no frame is at hand.
    fn flush(&mut self) {
        let written = self.out.flush();
        self.note(written);
        self.over |= interrupt::asked();
    }

    fn note(&mut self, written: Result<ControlFlow<()>, Failure>) {
        match written {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => self.over = true,
            Err(failure) => {
                self.over = true;
                self.failed = Some(failure);
            }
        }
    }
}

fn read(path: &Path, show: &mut Show) -> Result<(), Failure> {
    let failure = |error: PcapError| {
        let code = match error {
            PcapError::Open(_) => Code::NoInput,
            PcapError::Read { .. } => Code::Io,
            _ => Code::Data,
        };
        Failure::new(code, format!("{}: {error}.", path.display()))
    };
    let mut source = PcapSource::open(path).map_err(failure)?;
    let mut frames = 0_u64;
    let mut result = Ok(());
    while !show.over && !interrupt::asked() {
        match source.next() {
            Ok(Some(frame)) => {
                frames += 1;
                show.frame(&frame, None);
            }
            Ok(None) => break,
            Err(error) => {
                result = Err(failure(error));
                break;
            }
        }
    }
    show.flush();
    say(format_args!("{frames} packets read, {} shown", show.shown));
    if let Some(offset) = source.cut_at() {
        say(format_args!("{} is cut off at byte {offset}", path.display()));
    }
    result
}

fn listen(args: &Args, show: &mut Show) -> Result<(), Failure> {
    let interfaces =
        if args.iface.is_empty() { vec![interface::default_route()?] } else { args.iface.clone() };
    let settings = Settings {
        mode: args.mode,
        direction: args.direction,
        workers: Some(1),
        force: args.force,
        ..Settings::new(interfaces)
    };
    let (mut capture, mut rings) = Capture::open(&settings)?;
    for note in capture.notes() {
        say(format_args!("{note}"));
    }
    capture.set_filter(capture.generation(), &show.filter.kernel())?;
    capture.start()?;
    let ports: Vec<_> = capture.ports().to_vec();
    let names: Vec<String> = ports.iter().map(ToString::to_string).collect();
    say(format_args!("listening on {}; Ctrl-C ends it", names.join(", ")));
    show.names_interfaces = ports.len() > 1;

    let mut checked = Instant::now();
    while !show.over {
        let mut drained = 0;
        for rings in &mut rings {
            drained += rings.drain(Until::Batch, &mut |frame, _| {
                let port = ports.get(usize::from(frame.port));
                show.frame(frame, port.map(|port| port.interface.as_str()));
            });
        }
        show.flush();
        if show.over {
            break;
        }
        for rings in &mut rings {
            rings.rest(drained);
        }
        if checked.elapsed() >= CHECK {
            checked = Instant::now();
            if ports.iter().all(|port| interface::find(&port.interface).is_err()) {
                show.over = true;
                let text = "there is no interface left to listen on.";
                show.failed = Some(Failure::new(Code::Unavailable, text));
            }
        }
    }
    capture.stop()?;
    say(format_args!("{}", books(&capture, show)?));
    Ok(())
}

/// Where the packets went, by the kernel's counters; the parts add up to those seen.
fn books(capture: &Capture, show: &Show) -> Result<String, Failure> {
    let (mut seen, mut filtered, mut lost, mut forwarded) = (0, 0, 0, 0);
    for port in 0..capture.ports().len() {
        let counters = capture.counters(port)?;
        let sum = |reasons: &[Reason]| -> u64 {
            reasons.iter().filter_map(|reason| counters.get(*reason as usize)).sum()
        };
        seen += sum(&[Reason::Seen]);
        filtered += sum(&Reason::FILTERED);
        lost += sum(&Reason::LOST);
        forwarded += sum(&Reason::FORWARDED);
    }
    let (shown, refused) = (show.shown, show.looked_at - show.shown);
    let left = forwarded.saturating_sub(show.looked_at);
    Ok(format!(
        "{seen} packets seen: {shown} shown, {filtered} filtered in the kernel, {refused} filtered \
         here, {lost} lost, {left} not looked at any more"
    ))
}
