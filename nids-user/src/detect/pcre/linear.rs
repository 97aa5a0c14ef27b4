//! The engine for patterns that back-track too much: lazily built automata, linear in the subject.
//!
//! Only patterns that need no back-tracking have one: no references, looks, atomic groups, conditions. The
//! pattern goes over as a tree, not as text, so that no syntax is read in two ways; what the automaton would
//! match in another way is left out. An automaton that grows too much gives up.

use std::sync::atomic::{AtomicUsize, Ordering};

use regex_automata::hybrid::regex::{Builder, Cache, Regex};
use regex_automata::nfa::thompson;
use regex_automata::util::pool::Pool;
use regex_automata::{Anchored, Input, hybrid};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, Look, Repetition};

use super::ast::{Assert, Kind, Node};

/// Engines there may be at one time: traffic made for it could have every pattern build its own. With the
/// sizes below they take 128 MiB for each thread at the very most; on real traffic it is a few dozen engines.
const MAX_ENGINES: usize = 1024;
static ENGINES: AtomicUsize = AtomicUsize::new(0);
/// Memory one automaton may take to compile.
const NFA_SIZE: usize = 512 << 10;
/// Memory its states may take, for each thread that uses it.
const CACHE_SIZE: usize = 64 << 10;
/// How often the states may be thrown away before it gives up, unless each has served many bytes.
const CACHE_CLEARS: usize = 3;
/// So many bytes.
const BYTES_A_STATE: usize = 16;

/// Two automata, one for each direction.
pub struct Linear {
    regex: Regex,
    /// Their states, for each thread that has used them.
    caches: Pool<Option<Cache>, fn() -> Option<Cache>>,
    /// The ends are the pattern's.
    exact: bool,
    _permit: Permit,
}

/// One of the engines there may be.
struct Permit;

impl Permit {
    fn take() -> Option<Self> {
        let permit = Self;
        // Given back where there are too many: the permit is dropped.
        (ENGINES.fetch_add(1, Ordering::Relaxed) < MAX_ENGINES).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        ENGINES.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Linear {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Linear").field("exact", &self.exact).finish_non_exhaustive()
    }
}

/// What the automata found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A match; its end is known only from those that are exact.
    Match { start: usize, end: Option<usize> },
    /// There is none.
    NoMatch,
    /// They need too many states.
    GivenUp,
}

impl Linear {
    /// Whether a pattern can be matched so.
    pub fn is_possible(node: &Node) -> bool {
        Translator::translate(node).is_some()
    }

    /// The automata for a pattern; nothing if it cannot be matched so, or would take too much memory.
    pub fn new(node: &Node) -> Option<Self> {
        let permit = Permit::take()?;
        let (hir, exact) = Translator::translate(node)?;
        let config = hybrid::dfa::Config::new()
            .cache_capacity(CACHE_SIZE)
            .skip_cache_capacity_check(false)
            .minimum_cache_clear_count(Some(CACHE_CLEARS))
            .minimum_bytes_per_state(Some(BYTES_A_STATE));
        let nfa = |reverse| {
            let config = thompson::Config::new()
                .utf8(false)
                .reverse(reverse)
                .shrink(false)
                .which_captures(thompson::WhichCaptures::None)
                .nfa_size_limit(Some(NFA_SIZE));
            thompson::Compiler::new().configure(config).build_from_hir(&hir).ok()
        };
        let forward = hybrid::dfa::Builder::new()
            .configure(config.clone())
            .build_from_nfa(nfa(false)?)
            .ok()?;
        let reverse =
            config.match_kind(regex_automata::MatchKind::All).specialize_start_states(false);
        let reverse =
            hybrid::dfa::Builder::new().configure(reverse).build_from_nfa(nfa(true)?).ok()?;
        let regex = Builder::new().build_from_dfas(forward, reverse);
        Some(Self { regex, caches: Pool::new(|| None), exact, _permit: permit })
    }

    /// The first match that begins at `from` or later.
    pub fn find(&self, subject: &[u8], from: usize, anchored: bool) -> Found {
        let anchored = if anchored { Anchored::Yes } else { Anchored::No };
        let input = Input::new(subject).range(from..).anchored(anchored);
        let mut cache = self.caches.get();
        let cache = cache.get_or_insert_with(|| self.regex.create_cache());
        match self.regex.try_search(cache, &input) {
            Ok(Some(found)) => {
                Found::Match { start: found.start(), end: self.exact.then_some(found.end()) }
            }
            Ok(None) => Found::NoMatch,
            Err(_) => Found::GivenUp,
        }
    }
}

struct Translator {
    exact: bool,
}

impl Translator {
    /// The tree the automata are built from, and whether their ends are the pattern's.
    fn translate(node: &Node) -> Option<(Hir, bool)> {
        let mut translator = Self { exact: true };
        let hir = translator.node(node, node.min_len() > 0, true)?;
        Some((hir, translator.exact))
    }

    /// `head`: nothing of the match stands before, and something behind. `tail`: nothing stands behind.
    fn node(&mut self, node: &Node, head: bool, tail: bool) -> Option<Hir> {
        Some(match node {
            Node::Empty => Hir::empty(),
            Node::Byte { byte, fold: false } => Hir::literal([*byte]),
            Node::Byte { byte, fold: true } => {
                let upper = byte.to_ascii_uppercase();
                Self::class([*byte, upper].into_iter())
            }
            Node::Set(set) => Self::class(set.iter()),
            Node::Assert(assert) => Hir::look(match assert {
                Assert::Start => Look::Start,
                Assert::End => Look::End,
                // A line begins behind the last newline too, but is no place to match there.
                Assert::LineStart if head => Look::StartLF,
                Assert::LineEnd => Look::EndLF,
                Assert::LastLineEnd if tail => {
                    self.exact = false;
                    let newline = Hir::concat(vec![Hir::literal(*b"\n"), Hir::look(Look::End)]);
                    return Some(Hir::alternation(vec![Hir::look(Look::End), newline]));
                }
                Assert::Word => Look::WordAscii,
                Assert::NotWord => Look::WordAsciiNegate,
                Assert::LineStart | Assert::LastLineEnd | Assert::SearchStart => return None,
            }),
            Node::Group(_, node) => self.node(node, head, tail)?,
            Node::Concat(nodes) => {
                let last = nodes.len().saturating_sub(1);
                let mut head = head;
                let mut parts = Vec::with_capacity(nodes.len());
                for (at, node) in nodes.iter().enumerate() {
                    parts.push(self.node(node, head, tail && at == last)?);
                    head = false;
                }
                Hir::concat(parts)
            }
            Node::Alternate(nodes) => {
                // Each alternative for itself has to match something behind.
                let parts = nodes.iter().map(|node| self.node(node, head, tail));
                Hir::alternation(parts.collect::<Option<_>>()?)
            }
            Node::Repeat { node, min, max, kind } => {
                // Rounds that match nothing are counted in another way.
                if *kind == Kind::Possessive || node.min_len() == 0 {
                    return None;
                }
                let sub = Box::new(self.node(node, false, false)?);
                let (min, max) = (u32::from(*min), max.map(u32::from));
                Hir::repetition(Repetition { min, max, greedy: *kind == Kind::Greedy, sub })
            }
            Node::KeepOut
            | Node::Reference { .. }
            | Node::Atomic(_)
            | Node::Look(_)
            | Node::Condition(_) => return None,
        })
    }

    fn class(bytes: impl Iterator<Item = u8>) -> Hir {
        let ranges = bytes.map(|byte| ClassBytesRange::new(byte, byte));
        Hir::class(Class::Bytes(ClassBytes::new(ranges)))
    }
}
