//! Live capture: loads the kernel half, attaches it to interfaces, and holds the maps it is steered by.
//!
//! [`Capture`] is the control side, [`Rings`] the data side, one for each worker. The order of an
//! opening: check rights and interfaces, load the object with its globals, make the rings, fill the
//! table of interfaces, attach, drop the object. From then on the process holds links and maps, but no
//! program that could be attached anywhere else, and needs no capability any more: all later steering
//! (filter tables, generation, stop) are updates of maps by their descriptors.
//!
//! Programs count and pass every frame until [`Capture::start`]. When the process ends, in whatever
//! way, its links close and the kernel takes the programs off.

mod attach;
mod beat;
mod bpf;
mod error;
mod object;
mod occupant;

use std::fmt;
use std::os::fd::AsFd;
use std::time::Duration;

use aya::Ebpf;
use aya::maps::{Array, Map, MapData, RingBuf};
use aya_log::EbpfLogger;
use nids_abi::{
    COUNTERS, Control, FilterTable, MAP_CONTROL, MAP_COUNTERS, MAP_FILTER, MAP_PORTS, MAP_RINGS,
    MAP_WANT, MAX_CAPTURE, MAX_CAPTURE_PORTS, MAX_RINGS, MAX_SHUNT_SLOTS, PORT_PROBES, PORT_SLOTS,
    PortSlot,
};

pub use self::attach::{Mode, ModeChoice};
pub use self::beat::Beat;
pub use self::error::CaptureError;
pub use self::object::secret;

use self::attach::Attachment;
use self::object::{Globals, Maps, Wire, map_error};
use super::Direction;
use super::interface::{self, Interface, InterfaceCounters};
use super::ring::Rings;
use super::shunt::{self, Shunter};

/// Which way frames go that shall be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DirectionChoice {
    /// Both, as long as none is seen twice by it: of several interfaces, of loopback, and with --tap those
    /// that come in. Those too where the kernel has no tcx.
    #[default]
    Auto,
    /// Those that come in.
    Ingress,
    /// Those that leave.
    Egress,
    /// Both.
    Both,
}

impl DirectionChoice {
    fn directions(self, interfaces: &[Interface], tap: bool) -> &'static [Direction] {
        match self {
            Self::Auto => match interfaces {
                [one] if one.hardware != libc::ARPHRD_LOOPBACK && !tap => {
                    Self::Both.directions(interfaces, tap)
                }
                _ => Self::Ingress.directions(interfaces, tap),
            },
            Self::Ingress => &[Direction::Ingress],
            Self::Egress => &[Direction::Egress],
            Self::Both => &[Direction::Ingress, Direction::Egress],
        }
    }
}

/// What to capture, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names of the interfaces.
    pub interfaces: Vec<String>,
    /// Modes that may be used.
    pub mode: ModeChoice,
    /// Directions.
    pub direction: DirectionChoice,
    /// Workers, each with its own rings; `None`: one for each processor this process may run on.
    pub workers: Option<usize>,
    /// Bytes of a frame handed over at most; at most [`MAX_CAPTURE`].
    pub snaplen: u32,
    /// Drop what was seen: nobody is behind a tap or SPAN port.
    pub tap: bool,
    /// Take the place of programs of others.
    pub force: bool,
    /// Let the programs log each decision.
    pub debug: bool,
    /// Bytes of one ring, a power of two and a multiple of the page size; `None`: by the number of rings.
    pub ring_bytes: Option<u32>,
    /// How long a worker rests between two looks at its rings.
    pub nap: Duration,
    /// Flows that the workers together can be spared at a time (see [`shunt`]), rounded up to a multiple
    /// of the workers; 0: none, and no cost.
    pub shunt_slots: u32,
    /// How long the programs wait for a beat ([`Capture::take_beat`]) before they take the agent for gone and
    /// hand nothing over; zero: for ever.
    pub silence: Duration,
}

/// Slots of the flow table where flows are shunted: 8 MiB, which the kernel takes at once.
pub const SHUNT_SLOTS: u32 = 1 << 16;

impl Settings {
    /// The usual settings for these interfaces.
    pub fn new(interfaces: Vec<String>) -> Self {
        Self {
            interfaces,
            mode: ModeChoice::Auto,
            direction: DirectionChoice::Ingress,
            workers: None,
            snaplen: MAX_CAPTURE as u32,
            tap: false,
            force: false,
            debug: false,
            ring_bytes: None,
            nap: Duration::from_micros(200),
            shunt_slots: 0,
            silence: Duration::ZERO,
        }
    }
}

/// One side of one interface, under the number that its frames carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturePort {
    /// Interface.
    pub interface: String,
    /// Its index.
    pub index: u32,
    /// Side.
    pub direction: Direction,
    /// The mode that was got.
    pub mode: Mode,
    /// The interface's own counters just before attaching.
    pub before: InterfaceCounters,
}

impl fmt::Display for CapturePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.direction {
            Direction::Ingress => write!(f, "{} ({} mode)", self.interface, self.mode),
            Direction::Egress => write!(f, "{} egress ({} mode)", self.interface, self.mode),
        }
    }
}

/// How many rings there are, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Rings that each worker drains: one for each processor that may bring frames.
    pub rings_per_worker: usize,
    /// Bytes of one ring.
    pub ring_bytes: u32,
}

/// The control side of a running capture.
pub struct Capture {
    plan: Plan,
    ports: Vec<CapturePort>,
    attachments: Vec<Attachment>,
    maps: Maps,
    /// Ring 0 once more, to put where it is already: see [`Capture::grace`].
    first_ring: MapData,
    control: Control,
    notes: Vec<String>,
    shunters: Vec<Shunter>,
    beat: Option<Beat>,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
}

impl Capture {
    /// Attaches; frames pass and are counted, and none is handed over before [`Capture::start`].
    /// One value of [`Rings`] for each worker.
    ///
    /// # Errors
    /// Each way in which the machine, its kernel or its rights may be short: see [`CaptureError`].
    pub fn open(settings: &Settings) -> Result<(Self, Vec<Rings>), CaptureError> {
        check_rights()?;
        let interfaces = find(&settings.interfaces)?;
        let processors = processors()?;
        let highest = processors.iter().max().map_or(1, |last| *last as usize + 1);
        let workers = match settings.workers {
            Some(workers) => workers.max(1),
            None => default_workers().min(MAX_RINGS / highest).max(1),
        };
        if highest * workers > MAX_RINGS {
            return Err(CaptureError::TooManyRings { workers, processors: highest });
        }

        let shunt_slots = shunt_slots(settings.shunt_slots, workers as u32);
        let globals = Globals {
            workers: workers as u32,
            snaplen: settings.snaplen.clamp(1, MAX_CAPTURE as u32),
            tap: settings.tap,
            debug: settings.debug,
            seed: secret()?,
            shunt_slots: shunt_slots / workers as u32,
            silence: u64::try_from(settings.silence.as_nanos()).unwrap_or(u64::MAX),
        };
        let mut ebpf = object::load(globals)?;
        // Without the logger the log map must still live until the programs are loaded.
        let logger = if settings.debug { EbpfLogger::init(&mut ebpf).ok() } else { None };
        let mut maps = Maps::take(&mut ebpf)?;

        let directions = settings.direction.directions(&interfaces, settings.tap);
        let asked = interfaces.len() * directions.len();
        if asked > MAX_CAPTURE_PORTS {
            return Err(CaptureError::TooManyPorts { asked });
        }
        let ring_bytes = settings.ring_bytes.unwrap_or(ring_bytes(processors.len() * workers));
        let plan = Plan { rings_per_worker: processors.len(), ring_bytes };
        let (rings, first_ring) =
            make_rings(&mut maps, &processors, workers, asked, plan, settings.nap)?;
        let shunters = match shunt_slots {
            0 => Vec::new(),
            slots => {
                let map = maps.shunt.fd().as_fd();
                let shunters = shunt::shunters(map, slots, workers as u32, globals.seed);
                shunters
                    .map_err(|source| CaptureError::System { what: "the flow table", source })?
            }
        };

        let beat = match settings.silence {
            Duration::ZERO => None,
            silence => {
                let beat = Beat::map(maps.beat.fd().as_fd(), silence);
                Some(beat.map_err(|source| CaptureError::System { what: "the heartbeat", source })?)
            }
        };
        let mut capture = Self {
            plan,
            ports: Vec::new(),
            attachments: Vec::new(),
            maps,
            first_ring,
            control: Control::default(),
            notes: Vec::new(),
            shunters,
            beat,
            logger,
        };
        for interface in &interfaces {
            for direction in directions {
                match capture.attach(&mut ebpf, interface, *direction, settings) {
                    Err(error)
                        if settings.direction == DirectionChoice::Auto
                            && *direction == Direction::Egress =>
                    {
                        capture
                            .notes
                            .push(format!("what leaves {} is not seen: {error}", interface.name));
                    }
                    other => other?,
                }
            }
        }
        Ok((capture, rings))
    }

    fn attach(
        &mut self,
        ebpf: &mut Ebpf,
        interface: &Interface,
        direction: Direction,
        settings: &Settings,
    ) -> Result<(), CaptureError> {
        let number = self.ports.len();
        self.name_port(interface.index, direction, number)?;
        let attachment = attach::attach(
            ebpf,
            interface,
            direction,
            settings.mode,
            settings.force,
            &mut self.notes,
        )?;
        self.ports.push(CapturePort {
            interface: interface.name.clone(),
            index: interface.index,
            direction,
            mode: attachment.mode,
            before: interface.counters,
        });
        self.attachments.push(attachment);
        Ok(())
    }

    /// Enters the port into the kernel's table, in the first free slot of its probe sequence.
    fn name_port(
        &mut self,
        index: u32,
        direction: Direction,
        number: usize,
    ) -> Result<(), CaptureError> {
        let egress = u16::from(direction == Direction::Egress);
        let first = index.wrapping_mul(2).wrapping_add(u32::from(egress));
        for probe in 0..PORT_PROBES as u32 {
            let slot = first.wrapping_add(probe) % PORT_SLOTS as u32;
            let Wire(taken) = self.maps.ports.get(&slot, 0).map_err(map_error(MAP_PORTS))?;
            if taken.ifindex == 0 {
                let port = PortSlot { ifindex: index, port: number as u16, egress };
                return self.maps.ports.set(slot, Wire(port), 0).map_err(map_error(MAP_PORTS));
            }
        }
        Err(CaptureError::TooManyPorts { asked: number + 1 })
    }

    /// The capture ports; a frame's port is an index into these.
    pub fn ports(&self) -> &[CapturePort] {
        &self.ports
    }

    /// How many rings there are, and how large.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// What happened on the way that the user may want to know, one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The workers' parts of the flow table, in their order, once; none where [`Settings::shunt_slots`] is 0.
    pub fn take_shunters(&mut self) -> Vec<Shunter> {
        std::mem::take(&mut self.shunters)
    }

    /// Where the agent shows that it is at work, once; nothing where [`Settings::silence`] is zero. Without
    /// a beat no frame is handed over.
    pub fn take_beat(&mut self) -> Option<Beat> {
        self.beat.take()
    }

    /// The programs' own log, where [`Settings::debug`] asked for it.
    pub fn take_logger(&mut self) -> Option<EbpfLogger<&'static dyn log::Log>> {
        self.logger.take()
    }

    /// Writes the tables of a generation. They must not be in force: neither by number, nor (see
    /// [`Capture::grace`]) in a run of a program that has not ended.
    ///
    /// # Errors
    /// The kernel refuses the update.
    pub fn set_filter(&mut self, generation: u32, table: &FilterTable) -> Result<(), CaptureError> {
        self.maps.filter.set(generation & 1, Wire::of(table), 0).map_err(map_error(MAP_FILTER))
    }

    /// Puts the tables of this generation in force, at once for all processors.
    ///
    /// # Errors
    /// The kernel refuses the update.
    pub fn set_generation(&mut self, generation: u32) -> Result<(), CaptureError> {
        self.steer(Control { generation, ..self.control })
    }

    /// The generation in force.
    pub fn generation(&self) -> u32 {
        self.control.generation
    }

    /// Lets the programs judge and hand over frames.
    ///
    /// # Errors
    /// The kernel refuses the update.
    pub fn start(&mut self) -> Result<(), CaptureError> {
        self.steer(Control { running: 1, ..self.control })
    }

    /// Takes the programs off the interfaces. When this returns, no frame will be counted or handed over
    /// any more; what is in the rings stays there.
    ///
    /// # Errors
    /// The kernel refuses an update.
    pub fn stop(&mut self) -> Result<(), CaptureError> {
        self.steer(Control { running: 0, ..self.control })?;
        for attachment in self.attachments.drain(..) {
            attachment.detach();
        }
        self.grace()
    }

    fn steer(&mut self, control: Control) -> Result<(), CaptureError> {
        self.maps.control.set(0, Wire(control), 0).map_err(map_error(MAP_CONTROL))?;
        self.control = control;
        Ok(())
    }

    /// Waits until every run of a program that was under way has ended, and so until every record made
    /// under an earlier [`Control`] stands in its ring.
    ///
    /// An update of a map of maps waits for that in the kernel (`maybe_wait_bpf_programs`: one RCU grace
    /// period, milliseconds), and unlike other ways needs no rights. The ring is put where it already is.
    ///
    /// # Errors
    /// The kernel refuses the update.
    pub fn grace(&mut self) -> Result<(), CaptureError> {
        self.maps.rings.set(0, &self.first_ring, 0).map_err(map_error(MAP_RINGS))
    }

    /// The counters of a port, summed over the processors.
    ///
    /// # Errors
    /// The kernel refuses the look-up.
    pub fn counters(&self, port: usize) -> Result<[u64; COUNTERS], CaptureError> {
        let values = self.maps.counters.get(&(port as u32), 0).map_err(map_error(MAP_COUNTERS))?;
        let mut sum = [0u64; COUNTERS];
        for Wire(processor) in values.iter() {
            for (total, part) in sum.iter_mut().zip(processor) {
                *total = total.wrapping_add(*part);
            }
        }
        Ok(sum)
    }
}

/// A multiple of the workers, within what the programs can have.
fn shunt_slots(asked: u32, workers: u32) -> u32 {
    let most = MAX_SHUNT_SLOTS as u32 / workers;
    asked.div_ceil(workers).min(most) * workers
}

/// The interfaces, each once.
fn find(names: &[String]) -> Result<Vec<Interface>, CaptureError> {
    let mut found: Vec<Interface> = Vec::new();
    for name in names {
        let interface = interface::find(name)?;
        if found.iter().all(|other| other.index != interface.index) {
            found.push(interface);
        }
    }
    Ok(found)
}

/// Processors that may bring frames. One that comes online later has no ring: its frames are counted as
/// lost.
fn processors() -> Result<Vec<u32>, CaptureError> {
    aya::util::online_cpus().map_err(|(what, source)| CaptureError::System { what, source })
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A ring for each processor and worker: one producer each, so no lock is fought for. Gives them by
/// worker, and the first of the kernel's table once more.
fn make_rings(
    maps: &mut Maps,
    processors: &[u32],
    workers: usize,
    ports: usize,
    plan: Plan,
    nap: Duration,
) -> Result<(Vec<Rings>, MapData), CaptureError> {
    let bytes = plan.ring_bytes;
    let mut first = None;
    let mut all = Vec::with_capacity(workers);
    for worker in 0..workers {
        let mut mine = Vec::with_capacity(processors.len());
        for processor in processors {
            let index = *processor * workers as u32 + worker as u32;
            let ring = make_ring(bytes).map_err(map_error(MAP_RINGS))?;
            maps.rings.set(index, &ring, 0).map_err(map_error(MAP_RINGS))?;
            if index == 0 {
                first = Some(duplicate(&ring).map_err(map_error(MAP_RINGS))?);
            }
            let ring = Map::from_map_data(ring).and_then(RingBuf::try_from);
            mine.push((index, ring.map_err(map_error(MAP_RINGS))?));
        }
        let want = duplicate(&maps.want).map(Map::Array).and_then(Array::try_from);
        let want = want.map_err(map_error(MAP_WANT))?;
        let rings = Rings::new(mine, want, ports as u16, nap);
        all.push(rings.map_err(|source| CaptureError::System { what: "epoll", source })?);
    }
    let first = match first {
        Some(first) => first,
        // Processor 0 is offline: its place is free.
        None => make_ring(bytes).map_err(map_error(MAP_RINGS))?,
    };
    Ok((all, first))
}

/// Few rings may be large; all together stay below 256 MiB. Beyond 8 MiB a ring leaves the processor's
/// cache and becomes slower.
fn ring_bytes(rings: usize) -> u32 {
    match rings {
        0..=8 => 8 << 20,
        9..=63 => 4 << 20,
        _ => 1 << 20,
    }
}

fn make_ring(bytes: u32) -> Result<MapData, aya::maps::MapError> {
    /// `BPF_MAP_TYPE_RINGBUF`
    const KIND: u32 = 27;
    MapData::create(aya_obj::Map::new_from_params(KIND, 0, 0, bytes, 0), "nids_ring", None)
}

fn duplicate(map: &MapData) -> Result<MapData, aya::maps::MapError> {
    MapData::from_fd(map.fd().as_fd().try_clone_to_owned()?)
}

/// Says all rights that are missing at once, instead of what the kernel would stumble over first.
///
/// # Errors
/// [`CaptureError::NotPermitted`].
pub fn check_rights() -> Result<(), CaptureError> {
    /// linux/capability.h
    const ADMIN: u32 = 21;
    const NEEDED: [(u32, &str); 3] = [(39, "CAP_BPF"), (12, "CAP_NET_ADMIN"), (38, "CAP_PERFMON")];
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) else {
        return Ok(()); // Cannot tell; the kernel will.
    };
    let has = |capability: u32| effective >> capability & 1 == 1;
    let missing: Vec<_> = NEEDED
        .into_iter()
        .filter(|(capability, name)| {
            // CAP_SYS_ADMIN stands for these two.
            let implied = matches!(*name, "CAP_BPF" | "CAP_PERFMON") && has(ADMIN);
            !has(*capability) && !implied
        })
        .map(|(_, name)| name)
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(CaptureError::NotPermitted { missing }) }
}
