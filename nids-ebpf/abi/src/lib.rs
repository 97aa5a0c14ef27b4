//! The contract between the kernel half (`nids-ebpf`) and the agent (`nids-user`).
//!
//! Everything that crosses the kernel border is declared here and nowhere else: map names, the record
//! header, the filter tables, the flow table, the counters. Only integers cross: the agent checks each value when it
//! reads it and never transmutes bytes into an enum. All types are `repr(C)` with explicit padding;
//! the size asserts below fail the build of both halves when a layout drifts.
//!
//! What it leaves to others: how the kernel fills these (`nids-ebpf`), how the agent reads them
//! (`nids::capture`).
#![no_std]

/// Changes whenever a layout or meaning in this file changes. The object carries it in the global
/// [`GLOBAL_ABI`], and the agent refuses an object with another number.
pub const ABI_VERSION: u32 = 4;

// ------------------------------------------------------------------------------------------ names

/// `Array` with one [`Control`]. It lies in a data section of the object, which names the map.
pub const MAP_CONTROL: &str = ".data.CONTROL";
/// `Array` with two [`FilterTable`]s, indexed by the lowest bit of [`Control::generation`].
pub const MAP_FILTER: &str = "FILTER";
/// `Array` with [`PORT_SLOTS`] [`PortSlot`]s: interface index to capture port.
pub const MAP_PORTS: &str = "PORTS";
/// `PerCpuArray` with [`MAX_CAPTURE_PORTS`] `[u64; `[`COUNTERS`]`]`, indexed by capture port.
pub const MAP_COUNTERS: &str = "COUNTERS";
/// `ArrayOfMaps` with [`MAX_RINGS`] ring buffers, indexed by `cpu * workers + `[`worker_of`]`(..)`.
pub const MAP_RINGS: &str = "RINGS";
/// `Array` with [`MAX_RINGS`] `u32`: 1 asks for one wake-up at the ring's next record.
pub const MAP_WANT: &str = "WANT";
/// `Array` that may be mapped into the agent's memory, with [`GLOBAL_SHUNT_SLOTS`] [`ShuntEntry`]s for
/// each worker, indexed by [`shunt_slot`].
pub const MAP_SHUNT: &str = "SHUNT";
/// `Array` that may be mapped into the agent's memory, with one `u64`: the last moment (`CLOCK_MONOTONIC`,
/// ns) at which the agent was seen at work, all of it. See [`GLOBAL_SILENCE`].
pub const MAP_BEAT: &str = "BEAT";

/// XDP program for drivers without multi-buffer support. Kernel names are cut at 15 bytes.
pub const PROG_XDP: &str = "nids_xdp";
/// XDP program that also takes frames in several buffers (jumbo, GRO).
pub const PROG_XDP_FRAGS: &str = "nids_xdp_frags";
/// tcx classifier on ingress.
pub const PROG_TC_INGRESS: &str = "nids_ingress";
/// tcx classifier on egress.
pub const PROG_TC_EGRESS: &str = "nids_egress";
/// Every program of ours starts with this in the kernel's list of programs.
pub const PROG_PREFIX: &str = "nids_";

/// Read-only global, `u32`: [`ABI_VERSION`] of the object.
pub const GLOBAL_ABI: &str = "NIDS_ABI";
/// Read-only global, `u32`: number of workers, at least 1.
pub const GLOBAL_WORKERS: &str = "NIDS_WORKERS";
/// Read-only global, `u64`: secret that seeds [`pair_word`].
pub const GLOBAL_SEED: &str = "NIDS_SEED";
/// Read-only global, `u32`: bytes of a frame handed over at most, 1 to [`MAX_CAPTURE`].
pub const GLOBAL_SNAPLEN: &str = "NIDS_SNAPLEN";
/// Read-only global, `u8`: 1 makes the XDP programs drop what they have handled (a tap or SPAN port).
pub const GLOBAL_TAP: &str = "NIDS_TAP";
/// Read-only global, `u32`: slots of [`MAP_SHUNT`] that each worker has; together at most
/// [`MAX_SHUNT_SLOTS`]. 0: no flow is ever shunted, and the programs have no code for it.
pub const GLOBAL_SHUNT_SLOTS: &str = "NIDS_SHUNT_SLOTS";
/// Read-only global, `u64`: nanoseconds without a beat after which the programs take the agent for gone,
/// and count what they would hand over as [`Reason::LostSilent`]. 0: never, and no code for it.
pub const GLOBAL_SILENCE: &str = "NIDS_SILENCE";
/// Read-only global, `u8`: 1 lets the programs log each decision through aya-log.
pub const GLOBAL_DEBUG: &str = "NIDS_DEBUG";

// ----------------------------------------------------------------------------------------- limits

/// Attachments (interface and direction) one sensor can hold.
pub const MAX_CAPTURE_PORTS: usize = 64;
/// Slots of the open-addressed table behind [`MAP_PORTS`].
pub const PORT_SLOTS: usize = 256;
/// Slots looked at for one interface before the kernel calls it unknown.
pub const PORT_PROBES: usize = 4;
/// Rings one sensor can hold: processors times workers.
pub const MAX_RINGS: usize = 256;
/// Slots of the flow table at most: 128 MiB.
pub const MAX_SHUNT_SLOTS: usize = 1 << 20;
/// Bytes of one frame that fit into a record. GSO frames in generic mode and tcx reach 64 KiB.
pub const MAX_CAPTURE: usize = 65_536;
/// Payload capacity of a record, by size class. A record takes the smallest class that holds it.
pub const SIZE_CLASSES: [usize; 8] = [96, 256, 512, 1024, 1536, 4096, 16_384, MAX_CAPTURE];
/// VLAN tags the kernel half looks behind.
pub const MAX_VLAN_TAGS: usize = 2;
/// IPv6 extension headers the kernel half looks behind; a longer chain is [`Reason::Unjudged`].
pub const MAX_EXTENSION_HEADERS: usize = 6;

// ----------------------------------------------------------------------------------------- record

/// Stands before the bytes of each frame in a ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHeader {
    /// `CLOCK_MONOTONIC` in nanoseconds when the program saw the frame.
    pub time_ns: u64,
    /// [`pair_hash`] of the two addresses. 0 where no IP header was found.
    pub pair_hash: u32,
    /// Bytes on the wire (of the GSO frame, where the kernel hands over such).
    pub wire_len: u32,
    /// Bytes that follow this header and are valid. Less than `wire_len` where cut.
    pub captured_len: u32,
    /// Capture port, an index below [`MAX_CAPTURE_PORTS`].
    pub port: u16,
    /// VLAN tag that the NIC or the kernel took off the frame, valid with [`FLAG_VLAN_OFFLOAD`].
    pub vlan_tci: u16,
    /// Offset of the IP header. 0 where none was found.
    pub l3_offset: u16,
    /// Offset of the transport header. 0 where none was found, in fragments, and where the headers could
    /// not be followed.
    pub l4_offset: u16,
    /// IP protocol behind the extension headers; in a fragment what it says of itself; where the headers
    /// could not be followed, the last that was read.
    pub ip_proto: u8,
    /// `FLAG_*`.
    pub flags: u8,
    /// Why the frame was forwarded: a [`Reason`] at or above [`Reason::Wanted`].
    pub reason: u8,
    /// Lowest bit of the generation of the tables that decided.
    pub generation: u8,
}

/// The frame was leaving the host.
pub const FLAG_EGRESS: u8 = 1 << 0;
/// `l3_offset` points at an IPv6 header.
pub const FLAG_V6: u8 = 1 << 1;
/// `vlan_tci` is valid.
pub const FLAG_VLAN_OFFLOAD: u8 = 1 << 2;
/// The frame is an IP fragment.
pub const FLAG_FRAGMENT: u8 = 1 << 3;

const _: () = assert!(core::mem::size_of::<RecordHeader>() == 32);
const _: () = assert!(core::mem::align_of::<RecordHeader>() == 8);

// ---------------------------------------------------------------------------------------- control

/// What the agent may change while the programs run.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Generation of the rules in force; its lowest bit picks the [`FilterTable`].
    pub generation: u32,
    /// 0: let everything by and forward nothing. Set once the workers are ready to drain.
    pub running: u32,
}

/// One slot of the interface table. `port` is valid when `ifindex` and `egress` are those looked for.
/// The probe sequence begins at slot `(ifindex * 2 + egress) % PORT_SLOTS` and goes up by one; empty
/// slots do not end it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortSlot {
    /// Interface index of the kernel; 0: the slot is empty.
    pub ifindex: u32,
    /// Capture port.
    pub port: u16,
    /// 1: the egress side of the interface.
    pub egress: u16,
}

const _: () = assert!(core::mem::size_of::<Control>() == 8);
const _: () = assert!(core::mem::size_of::<PortSlot>() == 8);

// ----------------------------------------------------------------------------------------- filter

/// Nothing is wanted.
pub const LEVEL_NONE: u8 = 0;
/// TCP segments with SYN, FIN or RST (for UDP: nothing).
pub const LEVEL_CONTROL: u8 = 1;
/// The above, and every segment or datagram with at least one byte of payload: the IP header's length
/// goes beyond the transport header. Padding behind the datagram is none. An IP length of 0, as the
/// kernel leaves in large GSO frames, stands for the rest of the frame.
pub const LEVEL_PAYLOAD: u8 = 2;
/// Everything.
pub const LEVEL_ALL: u8 = 3;

/// Shift of the level for TCP frames that come from this port.
pub const TCP_SRC: u8 = 0;
/// Shift of the level for TCP frames that go to this port.
pub const TCP_DST: u8 = 2;
/// Shift of the level for UDP datagrams that come from this port.
pub const UDP_SRC: u8 = 4;
/// Shift of the level for UDP datagrams that go to this port.
pub const UDP_DST: u8 = 6;

/// What the loaded rules want. The level of a TCP or UDP frame is the higher of those of its ports.
/// In all other tables 0 means "not wanted", anything else "wanted".
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterTable {
    /// Four levels of two bits for each port, at [`TCP_SRC`], [`TCP_DST`], [`UDP_SRC`], [`UDP_DST`].
    pub ports: [u8; 65_536],
    /// ICMP in IPv4, by type.
    pub icmp4: [u8; 256],
    /// ICMPv6 in IPv6, by type.
    pub icmp6: [u8; 256],
    /// Other protocols by IP protocol number, behind IPv6's extension headers. ICMP in IPv6 (1) and
    /// ICMPv6 in IPv4 (58) count as such. Entries 6 and 17 count for nothing.
    pub ip_proto: [u8; 256],
    /// IP fragments, first ones too: their ports cannot be judged apart from the rest. An IPv6 fragment
    /// header on a whole datagram makes no fragment.
    pub fragments: u8,
    /// Frames whose headers the program cannot follow to the end of the transport's: more than
    /// [`MAX_VLAN_TAGS`] tags; 802.3 length instead of an EtherType (LLC); tunnels below IP (MPLS, PPPoE
    /// sessions, provider backbone, MACsec, NSH and the like); a version or header length that cannot
    /// be; more than [`MAX_EXTENSION_HEADERS`]; and any header that ends behind the frame or behind the
    /// length that the IP header gives. A frame that ends in its payload is judged as if whole.
    pub unjudged: u8,
    /// Frames that carry no IP at all: ARP, LLDP and so on.
    pub non_ip: u8,
    /// Keeps the size a multiple of eight.
    pub padding: [u8; 5],
}

const _: () = assert!(core::mem::size_of::<FilterTable>() == 65_536 + 3 * 256 + 8);

impl FilterTable {
    /// Wants nothing.
    pub const EMPTY: Self = Self {
        ports: [0; 65_536],
        icmp4: [0; 256],
        icmp6: [0; 256],
        ip_proto: [0; 256],
        fragments: 0,
        unjudged: 0,
        non_ip: 0,
        padding: [0; 5],
    };
    /// Wants everything: the filter is off.
    pub const FULL: Self = Self {
        ports: [0xff; 65_536],
        icmp4: [1; 256],
        icmp6: [1; 256],
        ip_proto: [1; 256],
        fragments: 1,
        unjudged: 1,
        non_ip: 1,
        padding: [0; 5],
    };
}

// --------------------------------------------------------------------------------------- counters

/// `u64` counters of one capture port on one processor.
pub const COUNTERS: usize = 32;

/// Index into the counters. Each frame adds one to `Seen` and to exactly one other below
/// [`Reason::FIRST_SIZE`], so that seen = filtered + shunted + forwarded + lost at rest.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Every frame the program was run for.
    Seen = 0,

    /// Filtered: TCP, and the level of its ports does not ask for this segment.
    TcpLevel = 1,
    /// Filtered: UDP, and the level of its ports does not ask for this datagram.
    UdpLevel = 2,
    /// Filtered: ICMP or ICMPv6 of a type no rule names.
    IcmpType = 3,
    /// Filtered: an IP protocol no rule names.
    IpProto = 4,
    /// Filtered: a fragment, and no rule is loaded that could want it.
    FragmentUnwanted = 5,
    /// Filtered: it could not be judged, and no rule is loaded that could want it.
    UnjudgedUnwanted = 6,
    /// Filtered: no IP.
    NonIp = 7,
    /// Filtered: the agent was not ready yet, or has stopped draining.
    NotRunning = 8,

    /// Let by: of a flow that the agent needs no more of, see [`ShuntEntry`].
    Shunted = 9,

    /// Lost: the ring was full.
    LostRingFull = 10,
    /// Lost: the bytes could not be read, or the ring does not exist.
    LostCopy = 11,
    /// Lost: the agent has not been seen at work for [`GLOBAL_SILENCE`].
    LostSilent = 12,

    /// Forwarded: ports, type or protocol are wanted.
    Wanted = 13,
    /// Forwarded: a fragment.
    Fragment = 14,
    /// Forwarded: the program could not judge it.
    Unjudged = 15,
    /// Forwarded: no IP, and that is wanted.
    WantedNonIp = 16,

    /// Bytes on the wire of all frames seen.
    SeenBytes = 20,
    /// Bytes on the wire of the frames forwarded.
    ForwardedBytes = 21,
    /// Forwarded frames that were cut to the snap length or to [`MAX_CAPTURE`].
    Truncated = 22,
    /// Bytes on the wire of the frames shunted.
    ShuntedBytes = 23,
}

impl Reason {
    /// Counters from here on are sizes and notes, not part of the sum.
    pub const FIRST_SIZE: usize = 20;
    /// Frames that no rule could care about.
    pub const FILTERED: [Self; 8] = [
        Self::TcpLevel,
        Self::UdpLevel,
        Self::IcmpType,
        Self::IpProto,
        Self::FragmentUnwanted,
        Self::UnjudgedUnwanted,
        Self::NonIp,
        Self::NotRunning,
    ];
    /// Frames of flows that the agent asked to be spared.
    pub const SHUNTED: [Self; 1] = [Self::Shunted];
    /// Frames that a rule could have cared about and that did not reach the agent.
    pub const LOST: [Self; 3] = [Self::LostRingFull, Self::LostCopy, Self::LostSilent];
    /// Frames that were put into a ring.
    pub const FORWARDED: [Self; 4] =
        [Self::Wanted, Self::Fragment, Self::Unjudged, Self::WantedNonIp];
}

// --------------------------------------------------------------------------------- choice of worker

/// Finalizer with full avalanche (two rounds of xor-shift and multiply).
#[inline(always)]
const fn mix(mut x: u64) -> u64 {
    x ^= x >> 32;
    x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ (x >> 32)
}

/// An address, folded into a word: the four words of an IPv6 address as they lie in the header, or the
/// IPv4 address and three zeros.
#[inline(always)]
const fn address_word(seed: u64, address: [u32; 4]) -> u64 {
    let high = ((address[0] as u64) << 32) | address[1] as u64;
    let low = ((address[2] as u64) << 32) | address[3] as u64;
    mix(mix(high ^ seed).wrapping_add(low))
}

/// Two hosts, whichever of them sends. Of them alone depends which worker a frame goes to: not of ports,
/// which a fragment does not have (nor, in each direction, a tunnel the same), and not of the
/// protocol, which fragments of IPv6 need not agree on. So whole datagrams and fragments of a flow meet,
/// both directions of what a tunnel carries do, and so does what could not be judged behind its addresses.
/// Without the seed nobody can aim many hosts at one worker.
#[inline(always)]
pub const fn pair_word(seed: u64, [a, b]: [[u32; 4]; 2]) -> u64 {
    mix(address_word(seed, a).wrapping_add(address_word(seed, b)) ^ seed.rotate_left(32))
}

/// The word, short enough for a record. 0 is kept for "no IP header".
#[inline(always)]
pub const fn pair_hash(pair_word: u64) -> u32 {
    let hash = pair_word as u32;
    if hash == 0 { 1 } else { hash }
}

/// The worker that gets frames of this hash; below `workers`.
#[inline(always)]
pub const fn worker_of(pair_hash: u32, workers: u32) -> u32 {
    scale(pair_hash, workers)
}

/// A hash, brought below `n` without a division.
#[inline(always)]
const fn scale(hash: u32, n: u32) -> u32 {
    ((hash as u64 * n as u64) >> 32) as u32
}

// ------------------------------------------------------------------------------------- flow table

/// Nothing in force.
pub const VERDICT_NONE: u32 = 0;
/// Count the flow's frames and let them by.
pub const VERDICT_SHUNT: u32 = 1;

/// Where the version lies in a word of [`ShuntEntry::packets`]; below it are the packets.
pub const SHUNT_VERSION_SHIFT: u32 = 48;
/// The bit of the version that is set while the entry is in force.
pub const SHUNT_IN_FORCE: u64 = 1 << SHUNT_VERSION_SHIFT;

/// One slot of the flow table: the agent's verdict on one flow, and what the programs let by for it.
///
/// It is looked up only for frames the filter wants, only for whole TCP and UDP datagrams whose headers
/// were followed to the end, and never for TCP segments with SYN, FIN or RST. A wanted
/// segment with SYN ends the verdict on its flow, by setting `expires_ns` to 0: addresses and ports begin
/// a new connection.
///
/// **No frame of another flow.** The slot is found by a hash, which flows share. The verdict
/// is given by comparing all that makes up a flow ([`ShuntKey`]), so flows that share a slot cannot be
/// mistaken for each other, whatever anybody knows of the seed; the one written last has the slot.
///
/// **No torn entry.** The entry is shared by all processors, and one worker alone writes it. Each word
/// of `packets` carries a version, odd while the entry is in force. To write, the agent takes the
/// entry out of force (exchanging both words, which gives it the final counts), writes the rest, and puts
/// it in force under the next version. A program reads the version, compares, and counts the frame
/// by a compare-and-exchange on the same word: where that succeeds, the entry was in force under one
/// version from before the comparison until after. Where it does not, the frame is not let by. So every
/// frame let by is counted for the flow it belongs to, once.
///
/// **At once for all.** An entry holds for the generation it was decided under and no other, so that a
/// change of rules ends all verdicts with the one write that puts it in force.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShuntEntry {
    /// Of the key.
    pub addresses: [[u64; 2]; 2],
    /// Of the key.
    pub identity: u64,
    /// Of the key.
    pub ports: u32,
    /// [`Control::generation`], whole, that it was decided under.
    pub generation: u32,
    /// `CLOCK_MONOTONIC` in nanoseconds from when on it holds no more; the programs see that with the
    /// kernel's tick (1 to 10 ms).
    pub expires_ns: u64,
    /// `VERDICT_*`.
    pub verdict: u32,
    /// Fills the first cache line, which only the agent writes.
    pub padding: u32,
    /// Frames let by, from the first end to the second and back; above [`SHUNT_VERSION_SHIFT`] the version.
    pub packets: [u64; 2],
    /// Their bytes on the wire.
    pub bytes: [u64; 2],
    /// Fills the second cache line.
    pub reserved: [u64; 4],
}

const _: () = assert!(core::mem::size_of::<ShuntEntry>() == 128);
const _: () = assert!(core::mem::offset_of!(ShuntEntry, packets) == 64);

/// All that makes up a flow, in the words of [`ShuntEntry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShuntKey {
    /// Addresses of the first and the second end, their bytes in the order of the header; behind an
    /// IPv4 address zeros.
    pub addresses: [[u64; 2]; 2],
    /// VLAN ids, IP protocol, IP version.
    pub identity: u64,
    /// Ports of the first and (in the upper half) the second end.
    pub ports: u32,
}

impl ShuntKey {
    /// `addresses` as for [`endpoint_hash`]; `vlan`: [`vlan_word`] of each tag, outermost first, then
    /// zeros; `version`: 4 or 6.
    #[inline(always)]
    pub const fn new(
        addresses: [[u32; 4]; 2],
        ports: [u16; 2],
        vlan: u64,
        ip_proto: u8,
        version: u8,
    ) -> Self {
        Self {
            addresses: [wide(addresses[0]), wide(addresses[1])],
            identity: vlan | (ip_proto as u64) << 48 | (version as u64) << 56,
            ports: ports_word(ports),
        }
    }

    /// The same flow from its other end.
    #[inline(always)]
    pub const fn reversed(self) -> Self {
        let [first, second] = self.addresses;
        Self { addresses: [second, first], ports: self.ports.rotate_left(16), ..self }
    }
}

/// Words of memory as they lie there: the low half first on the little-endian machines this is for.
#[inline(always)]
const fn wide(address: [u32; 4]) -> [u64; 2] {
    [address[0] as u64 | (address[1] as u64) << 32, address[2] as u64 | (address[3] as u64) << 32]
}

#[inline(always)]
const fn ports_word(ports: [u16; 2]) -> u32 {
    ports[0] as u32 | (ports[1] as u32) << 16
}

/// A VLAN tag as it counts in a [`ShuntKey`]: its id, and that there is one. The outermost of up to
/// three lies in the lowest 16 bits, the next in the 16 above.
#[inline(always)]
pub const fn vlan_word(tci: u16) -> u64 {
    0x8000 | (tci & 0x0fff) as u64
}

/// The slot of a flow: among the `slots` that each worker has, one of its own worker's. Both directions
/// have the same.
#[inline(always)]
pub const fn shunt_slot(
    pair_word: u64,
    [source, destination]: [u16; 2],
    ip_proto: u8,
    workers: u32,
    slots: u32,
) -> u32 {
    let ports = (source as u64 + destination as u64) | ((source ^ destination) as u64) << 32;
    let flow = mix(pair_word ^ ports ^ (ip_proto as u64) << 48);
    worker_of(pair_hash(pair_word), workers) * slots + scale((flow >> 32) as u32, slots)
}
