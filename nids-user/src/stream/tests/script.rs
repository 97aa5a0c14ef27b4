//! Segments by the line, and a reader of everything that is shown.

use std::net::Ipv4Addr;

use crate::capture::{Frame, LinkType, Timestamp};
use crate::decode::{Ip, Ipv4, Packet, Tcp, Transport};
use crate::flow::FlowDirection::{self, ToClient, ToServer};
use crate::stream::{Config, Event, Events, Mode, Session, State, StreamContext, Verdict};

/// Initial sequence numbers of a session begun with [`Script::handshake`].
pub(super) const CLIENT: u32 = 1000;
pub(super) const SERVER: u32 = 5000;

/// One segment. Numbers are absolute.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub direction: FlowDirection,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub urgent: u16,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
    pub seconds: u64,
    pub checksum_ok: bool,
}

fn line(direction: FlowDirection, flags: &str, seq: u32, ack: u32) -> Line {
    let bit = |c| match c {
        'F' => Tcp::FIN,
        'S' => Tcp::SYN,
        'R' => Tcp::RST,
        'P' => Tcp::PSH,
        'A' => Tcp::ACK,
        'U' => Tcp::URG,
        other => panic!("flag {other}"),
    };
    Line {
        direction,
        seq,
        ack,
        flags: flags.chars().map(bit).sum(),
        window: 8192,
        urgent: 0,
        options: Vec::new(),
        payload: Vec::new(),
        seconds: 100,
        checksum_ok: true,
    }
}

/// A segment of the client.
pub(super) fn c(flags: &str, seq: u32, ack: u32) -> Line {
    line(ToServer, flags, seq, ack)
}

/// A segment of the server.
pub(super) fn s(flags: &str, seq: u32, ack: u32) -> Line {
    line(ToClient, flags, seq, ack)
}

impl Line {
    pub(super) fn data(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }
    pub(super) fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }
    pub(super) fn urgent(mut self, pointer: u16) -> Self {
        self.urgent = pointer;
        self.flags |= Tcp::URG;
        self
    }
    pub(super) fn at(mut self, seconds: u64) -> Self {
        self.seconds = seconds;
        self
    }
    pub(super) fn option(mut self, option: &[u8]) -> Self {
        self.options.extend(option);
        self
    }
    pub(super) fn timestamp(self, value: u32, echo: u32) -> Self {
        let mut option = vec![8, 10];
        option.extend(value.to_be_bytes());
        option.extend(echo.to_be_bytes());
        self.option(&option)
    }
    pub(super) fn bad_checksum(mut self) -> Self {
        self.checksum_ok = false;
        self
    }

    pub(super) fn with_packet<T>(&self, f: impl FnOnce(&Packet) -> T) -> T {
        let mut header = vec![0; 20];
        header.extend(&self.options);
        let (source, destination) = match self.direction {
            ToServer => ([10, 0, 0, 1], [10, 0, 0, 2]),
            ToClient => ([10, 0, 0, 2], [10, 0, 0, 1]),
        };
        let (from, to) = if self.direction == ToServer { (4000, 80) } else { (80, 4000) };
        let frame = Frame {
            time: Timestamp(self.seconds * 1_000_000_000),
            link: LinkType::RawIp,
            data: &[],
            wire_len: 0,
            port: 0,
            direction: Default::default(),
            vlan_offload: None,
            number: 0,
        };
        f(&Packet {
            ether_type: 0x0800,
            ip: Some(Ip::V4(Ipv4 {
                header: &[],
                source: Ipv4Addr::from(source),
                destination: Ipv4Addr::from(destination),
                ttl: 64,
                protocol: 6,
                id: 0,
                tos: 0,
                fragment_offset: 0,
                more_fragments: false,
                dont_fragment: false,
                reserved: false,
            })),
            transport: Transport::Tcp(Tcp {
                header: &header,
                source: from,
                destination: to,
                seq: self.seq,
                ack: self.ack,
                flags: self.flags,
                window: self.window,
                urgent: self.urgent,
            }),
            ..Packet::new(&frame, &self.payload)
        })
    }
}

/// What one direction was shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub raw: Vec<u8>,
    /// Each chunk's offset and bytes.
    pub chunks: Vec<(u64, Vec<u8>)>,
    pub raw_gaps: u64,
    pub app: Vec<u8>,
    pub app_gaps: u64,
    pub ended: (bool, bool),
    /// Chunks are windows: what is repeated is shown again.
    windows: bool,
}

/// A session and what came of it.
pub(super) struct Script {
    pub cx: StreamContext,
    pub slot: Option<Box<Session>>,
    pub to_server: Shown,
    pub to_client: Shown,
    pub events: Events,
    /// Bytes the parser takes of each chunk.
    pub appetite: usize,
}

impl Script {
    pub(super) fn new(config: Config) -> Self {
        let shown = Shown { windows: config.mode == Mode::Inline, ..Shown::default() };
        Self {
            cx: StreamContext::new(config),
            slot: None,
            to_server: shown.clone(),
            to_client: shown,
            events: Events::default(),
            appetite: usize::MAX,
        }
    }

    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        Self::new(config)
    }

    pub(super) fn mode(mode: Mode) -> Self {
        Self::with(|config| config.mode = mode)
    }

    /// A session after its handshake.
    pub(super) fn established(mode: Mode) -> Self {
        let mut script = Self::mode(mode);
        script.handshake();
        script
    }

    pub(super) fn handshake(&mut self) {
        self.send(&c("S", CLIENT, 0));
        self.send(&s("SA", SERVER, CLIENT + 1));
        self.send(&c("A", CLIENT + 1, SERVER + 1));
        assert_eq!(self.state(), State::Established);
        assert!(self.events.is_empty(), "{:?}", self.events);
    }

    pub(super) fn state(&self) -> State {
        self.slot.as_ref().map_or(State::None, |session| session.state())
    }

    /// One packet, the whole way.
    pub(super) fn send(&mut self, line: &Line) -> Verdict {
        line.with_packet(|packet| {
            let verdict = self.cx.segment(&mut self.slot, packet, line.direction, line.checksum_ok);
            self.events = self.events.iter().chain(verdict.events.iter()).collect();
            let direction = match (verdict.swapped, line.direction) {
                (true, ToServer) => ToClient,
                (true, ToClient) => ToServer,
                (false, direction) => direction,
            };
            let Some(session) = &mut self.slot else { return verdict };
            let appetite = self.appetite;
            for (way, news) in
                [(ToServer, verdict.app.to_server), (ToClient, verdict.app.to_client)]
            {
                let payload = if way == direction { packet.payload } else { &[] };
                let shown = match way {
                    ToServer => &mut self.to_server,
                    ToClient => &mut self.to_client,
                };
                if news {
                    session.app(&mut self.cx, way, payload, &mut |chunk| {
                        shown.take_app(&chunk, appetite)
                    });
                }
            }
            let shown = match direction {
                ToServer => &mut self.to_server,
                ToClient => &mut self.to_client,
            };
            session.raw(&mut self.cx, direction, packet.payload, &mut |chunk| {
                shown.take_raw(&chunk);
            });
            session.settle(&mut self.cx, direction, packet.payload);
            verdict
        })
    }

    /// Raises events of one packet only.
    pub(super) fn raises(&mut self, line: &Line) -> Vec<Event> {
        self.send(line).events.iter().collect()
    }

    pub(super) fn finish(&mut self) {
        let Some(mut session) = self.slot.take() else { return };
        for way in [ToServer, ToClient] {
            let shown = match way {
                ToServer => &mut self.to_server,
                ToClient => &mut self.to_client,
            };
            let shown = std::cell::RefCell::new(shown);
            session.finish(
                &mut self.cx,
                way,
                &mut |chunk| shown.borrow_mut().take_app(&chunk, usize::MAX),
                &mut |chunk| shown.borrow_mut().take_raw(&chunk),
            );
        }
        self.cx.close(session);
        assert_eq!(self.cx.open_sessions(), 0);
        assert_eq!(self.cx.pool.in_use(), 0, "buffers are given back");
    }
}

impl Shown {
    fn take_raw(&mut self, chunk: &crate::stream::Chunk) {
        self.raw_gaps += chunk.gap_before;
        self.ended.0 |= chunk.end;
        if chunk.data.is_empty() {
            assert!(chunk.end);
            return;
        }
        let mut before = Vec::new();
        chunk.copy_before(100, &mut before);
        if self.raw_gaps == 0 && !self.windows {
            assert!(self.raw.ends_with(&before));
            assert_eq!(chunk.offset, self.raw.len() as u64);
        }
        self.raw.extend(&chunk.data[chunk.seen..]);
        self.chunks.push((chunk.offset, chunk.data.to_vec()));
    }

    fn take_app(&mut self, chunk: &crate::stream::Chunk, appetite: usize) -> usize {
        self.app_gaps += chunk.gap_before;
        self.ended.1 |= chunk.end;
        let taken =
            if chunk.gap_behind { chunk.data.len() } else { chunk.data.len().min(appetite) };
        self.app.extend(&chunk.data[..taken]);
        taken
    }
}
