//! What the sessions of one worker share: settings, memory and its caps, counters.

use super::buffer::Pool;
use super::config::Config;
use super::session::Session;

/// What the engine did, and what it did not. Everything that was not inspected as part of a stream is
/// in one of the `uninspected_*` counters or was left to packet inspection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sessions opened.
    pub sessions: u64,
    /// Of these, picked up without their handshake.
    pub midstream_pickups: u64,
    /// Packets whose session could not be opened for `stream.memcap`.
    pub session_memcap: u64,
    /// Packets with a bad checksum, kept out of their stream.
    pub invalid_checksum: u64,
    /// Packets that their session's state does not allow.
    pub invalid: u64,
    /// Packets with data that no session takes: they were inspected each for itself.
    pub untracked_data: u64,
    /// Packets that acknowledge data nobody saw.
    pub ack_unseen_data: u64,
    /// Holes given up.
    pub gaps: u64,
    /// Bytes in these holes.
    pub gap_bytes: u64,
    /// Segments that overlap earlier ones.
    pub overlaps: u64,
    /// Of these, with other content.
    pub overlaps_different_data: u64,
    /// Directions that reached `stream.reassembly.depth`.
    pub depth_reached: u64,
    /// Urgent bytes taken out of their stream.
    pub urgent: u64,
    /// Segments that could not be buffered for `stream.reassembly.memcap`.
    pub segment_memcap: u64,
    /// Segments that could not be buffered for the number of segments.
    pub segment_limit: u64,
    /// Bytes behind the depth.
    pub uninspected_depth: u64,
    /// Bytes lost to the memory cap.
    pub uninspected_memcap: u64,
    /// Bytes lost to the number of segments.
    pub uninspected_limit: u64,
    /// Buffered bytes thrown away unread: their direction was shut off before they came up.
    pub uninspected_stopped: u64,
}

/// One worker's part of the stream engine.
pub struct StreamContext {
    pub(super) config: Config,
    pub(super) counters: Counters,
    pub(super) pool: Pool,
    /// Chunks that lie in more than one block are put together here.
    pub(super) scratch: Vec<u8>,
    /// In boxes, as flows hold them: taking one allocates nothing and moves nothing.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Session>>,
    open: usize,
}

/// Closed sessions kept for the next ones, at most.
const SPARE_SESSIONS: usize = 4096;

impl StreamContext {
    /// An empty context.
    pub fn new(config: Config) -> Self {
        Self {
            pool: Pool::new(config.reassembly_memcap),
            scratch: Vec::new(),
            spare: Vec::new(),
            open: 0,
            counters: Counters::default(),
            config,
        }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What was done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bytes held for sessions, the spare ones included.
    pub fn session_memory(&self) -> usize {
        (self.open + self.spare.len()) * size_of::<Session>()
    }

    /// Bytes held for buffered data, the spare blocks included.
    pub fn reassembly_memory(&self) -> usize {
        self.pool.memory()
    }

    /// Sessions open now.
    pub fn open_sessions(&self) -> usize {
        self.open
    }

    /// A fresh session, or none where the cap does not allow it; that is counted.
    pub(super) fn open(&mut self, session: Session) -> Option<Box<Session>> {
        let cap = self.config.session_memcap;
        if cap != 0 && (self.open + 1).saturating_mul(size_of::<Session>()) > cap {
            self.counters.session_memcap += 1;
            return None;
        }
        self.open += 1;
        self.counters.sessions += 1;
        Some(match self.spare.pop() {
            Some(mut old) => {
                *old = session;
                old
            }
            None => Box::new(session),
        })
    }

    /// Takes a session back when its flow ends. What it still holds is released uninspected and
    /// counted so: deliver the end ([`Session::finish`]) first.
    pub fn close(&mut self, mut session: Box<Session>) {
        session.release(self);
        self.open = self.open.saturating_sub(1);
        if self.spare.len() < SPARE_SESSIONS {
            self.spare.push(session);
        }
    }
}
