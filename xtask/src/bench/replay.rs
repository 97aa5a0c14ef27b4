//! Sends frames from inside the kernel, several times faster than a socket can: the program
//! `bench_replay` of the kernel half's bench object, run with live frames (`BPF_F_TEST_XDP_LIVE_FRAMES`).
//!
//! It repeats the same few thousand frames over and over, so it shows how many packets an engine can
//! take, not how well it follows sessions.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aya::maps::{Array, PerCpuArray};
use aya::programs::{TestRun, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader, Pod};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::traffic::Traffic;
use crate::bed::netns::Namespace;
use crate::workspace;

/// Most frames that the object can hold, and the longest.
const FRAMES: usize = 4096;
const LONGEST: usize = 2040;
/// Runs of the program to learn how long one takes.
const TRIAL: u32 = 20_000;
/// And at most in one system call: some seconds.
const MOST: f64 = 20e6;
/// Frames the kernel takes together.
const BATCH: u32 = 64;

/// The bench object's `Packet`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Packet {
    len: u32,
    padding: u32,
    bytes: [u8; LONGEST],
}

// SAFETY: integers only, without padding between them.
unsafe impl Pod for Packet {}

/// What was sent.
pub struct Sent {
    /// Packets that left the program.
    pub packets: u64,
    /// Packets per second.
    pub rate: f64,
}

/// Sends the frames in turn on `iface` inside `side` for `time`, at `rate` packets per second or as fast
/// as it goes, from the first processor.
///
/// # Errors
/// When the object is missing, or the kernel refuses it.
pub fn send(
    side: &Namespace,
    iface: &str,
    traffic: &Traffic,
    rate: Option<f64>,
    time: Duration,
) -> Result<Sent> {
    if traffic.len() > FRAMES {
        bail!("the bench object holds {FRAMES} frames, not {}", traffic.len());
    }
    side.within(|| {
        let mut first = CpuSet::new();
        first.set(0)?;
        sched_setaffinity(Pid::from_raw(0), &first)?;
        let gap = rate.map_or(0, |rate| (1e9 / rate) as u64);
        let mut object = load(iface, traffic, gap)?;
        // One call for nearly all: each waits some milliseconds for the kernel's RCU first, which is not
        // in the time that the kernel gives.
        let trial = burst(&mut object, TRIAL)?;
        let runs = time.as_secs_f64() / trial.as_secs_f64() * f64::from(TRIAL);
        let seconds = (trial + burst(&mut object, runs.clamp(1.0, MOST) as u32)?).as_secs_f64();
        let counts: PerCpuArray<_, [u64; 2]> =
            object.map("SENT").context("the bench object has no SENT")?.try_into()?;
        let packets = counts.get(&0, 0)?.iter().map(|[sent, _]| sent).sum();
        // The kernel's time is a whole number of nanoseconds a run: a paced sender is not faster than asked.
        let reached = packets as f64 / seconds;
        Ok(Sent { packets, rate: rate.map_or(reached, |asked| reached.min(asked)) })
    })
}

fn load(iface: &str, traffic: &Traffic, gap: u64) -> Result<Ebpf> {
    let path = workspace::bpf_folder().join("bench.o");
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let index = nix::net::if_::if_nametoindex(iface)?;
    let mut object = EbpfLoader::new()
        .override_global("REPLAY_IFINDEX", &index, true)
        .override_global("REPLAY_PACKETS", &(traffic.len() as u32), true)
        .override_global("REPLAY_GAP", &gap, true)
        .load(&bytes)?;
    let map = object.map_mut("PACKETS").context("the bench object has no PACKETS")?;
    let mut packets: Array<_, Packet> = map.try_into()?;
    for (i, frame) in traffic.frames().enumerate() {
        let mut packet = Packet { len: frame.len() as u32, padding: 0, bytes: [0; LONGEST] };
        let room = packet.bytes.get_mut(..frame.len()).context("a frame is too long")?;
        room.copy_from_slice(frame);
        packets.set(i as u32, packet, 0)?;
    }
    program(&mut object)?.load()?;
    Ok(object)
}

/// Runs the program so many times; the time that took.
fn burst(object: &mut Ebpf, repeat: u32) -> Result<Duration> {
    let seed = [0; 64];
    let options = TestRunOptions {
        data_in: Some(&seed),
        repeat,
        attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
        ..TestRunOptions::new()
    };
    Ok(program(object)?.test_run(options)?.duration * repeat)
}

fn program(object: &mut Ebpf) -> Result<&mut Xdp> {
    Ok(object
        .program_mut("bench_replay")
        .context("the bench object has no bench_replay")?
        .try_into()?)
}
