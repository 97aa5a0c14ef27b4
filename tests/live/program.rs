//! The kernel programs against a plain reference of them, frame by frame.

use nids_abi::{FLAG_EGRESS, FLAG_FRAGMENT, FLAG_V6, FilterTable, Reason, RecordHeader, worker_of};

use super::bpf::{Globals, Hook, Kernel, Outcome, Record};
use super::reference::{Judgement, Kind};
use super::traffic::{self, Random};

/// Frames for each hook in the long comparison.
const FRAMES: usize = 500_000;
/// Tables each of them meets.
const TABLES: usize = 50;

/// A table in which about half of what the frames carry is wanted.
pub fn table(random: &mut Random) -> Box<FilterTable> {
    let mut table = Box::new(FilterTable::EMPTY);
    let sparse = random.one_in(2);
    for level in table.ports.iter_mut() {
        *level = if sparse && !random.one_in(8) { 0 } else { random.byte() };
    }
    for port in [22, 53, 80, 443, 8080] {
        table.ports[port] = random.byte();
    }
    for wanted in [&mut table.icmp4, &mut table.icmp6, &mut table.ip_proto] {
        wanted.fill_with(|| if random.one_in(2) { 0 } else { random.byte() });
    }
    for wanted in [&mut table.fragments, &mut table.unjudged, &mut table.non_ip] {
        *wanted = random.pick(&[0, 0, 1, 255]);
    }
    table
}

/// Compares what the kernel did with what the reference says; the text tells what differs.
fn compare(
    globals: &Globals,
    hook: Hook,
    table: &FilterTable,
    frame: &[u8],
    outcome: &Outcome,
) -> Result<Judgement, String> {
    let judgement = Judgement::of(frame);
    let expected = judgement.reason(table);
    if outcome.reason != expected {
        return Err(format!("{:?} instead of {expected:?}", outcome.reason));
    }
    if expected < Reason::Wanted {
        return match &outcome.record {
            None => Ok(judgement),
            Some(_) => Err("a record of a filtered frame".to_string()),
        };
    }
    let Record { header, bytes, worker, .. } = outcome.record.as_ref().ok_or("no record")?;
    let ip = judgement.ip.as_ref();
    let captured_len = (frame.len() as u32).min(globals.snaplen).min(65_536);
    let pair_hash = judgement.hash(globals.seed);
    let mut flags = 0;
    for (set, flag) in [
        (hook == Hook::Egress, FLAG_EGRESS),
        (ip.is_some_and(|ip| ip.v6), FLAG_V6),
        (judgement.kind == Kind::Fragment, FLAG_FRAGMENT),
    ] {
        flags |= if set { flag } else { 0 };
    }
    let expected = RecordHeader {
        time_ns: header.time_ns,
        pair_hash,
        wire_len: frame.len() as u32,
        captured_len,
        port: hook.port(),
        vlan_tci: 0,
        l3_offset: ip.map_or(0, |ip| ip.offset as u16),
        l4_offset: judgement.l4.unwrap_or(0) as u16,
        ip_proto: ip.map_or(0, |ip| ip.protocol),
        flags,
        reason: expected as u8,
        generation: header.generation,
    };
    if *header != expected {
        return Err(format!("{header:?}\ninstead of\n{expected:?}"));
    }
    if bytes[..] != frame[..captured_len as usize] {
        return Err("the record has other bytes than the frame".to_string());
    }
    if *worker != worker_of(pair_hash, globals.workers) {
        return Err(format!("it went to worker {worker}"));
    }
    Ok(judgement)
}

/// [`compare`], with a panic that shows the frame.
pub fn check(
    globals: &Globals,
    hook: Hook,
    table: &FilterTable,
    frame: &[u8],
    outcome: &Outcome,
    what: &dyn Fn() -> String,
) -> Judgement {
    compare(globals, hook, table, frame, outcome).unwrap_or_else(|difference| {
        panic!(
            "{hook:?}, {}: {difference}\nreference: {:?}\nframe: {frame:02x?}",
            what(),
            Judgement::of(frame)
        )
    })
}

/// Runs one frame. The kernel makes no socket buffer whose EtherType says IP and that is too short for
/// an IP header (Linux 6.18); any other frame it must take.
fn run(kernel: &mut Kernel, hook: Hook, frame: &[u8]) -> Option<Outcome> {
    let outcome = kernel.run(hook, frame);
    let runt = match frame[12..14] {
        [0x08, 0x00] => frame.len() < 14 + 20,
        [0x86, 0xdd] => frame.len() < 14 + 40,
        _ => false,
    };
    let tc = matches!(hook, Hook::Ingress | Hook::Egress);
    assert!(outcome.is_some() || tc && runt, "{hook:?} does not take {frame:02x?}");
    outcome
}

/// Runs generated frames through one hook, with many tables.
fn random_frames(hook: Hook, seed: u64) {
    let globals = Globals { workers: 3, ..Globals::default() };
    let Some(mut kernel) = Kernel::load(globals) else { return };
    let mut random = Random(seed);
    let mut reasons = [0_usize; Reason::FIRST_SIZE];
    let mut judged = 0;
    for round in 0..TABLES {
        let table = table(&mut random);
        kernel.set_table(&table);
        for number in 0..FRAMES / TABLES {
            let frame = traffic::frame(&mut random);
            let Some(outcome) = run(&mut kernel, hook, &frame) else { continue };
            let what = || format!("seed {seed}, table {round}, frame {number}");
            let judgement = check(&globals, hook, &table, &frame, &outcome, &what);
            reasons[outcome.reason as usize] += 1;
            judged += usize::from(judgement.l4.is_some());
        }
    }
    eprintln!("{hook:?}: {FRAMES} frames, {judged} with a transport header, by reason {reasons:?}");
    // The generator must reach everything, or this proves nothing.
    for reason in Reason::FILTERED.into_iter().chain(Reason::FORWARDED) {
        let reached = reasons[reason as usize] >= FRAMES / 1000;
        assert!(reached || reason == Reason::NotRunning, "{reason:?} was hardly met: {reasons:?}");
    }
    assert!(judged > FRAMES / 3, "too few frames are well-formed");
}

#[test]
fn xdp_equals_the_reference() {
    random_frames(Hook::Xdp, 1);
}

#[test]
fn xdp_frags_equals_the_reference() {
    random_frames(Hook::XdpFrags, 2);
}

#[test]
fn tc_ingress_equals_the_reference() {
    random_frames(Hook::Ingress, 3);
}

#[test]
fn tc_egress_equals_the_reference() {
    random_frames(Hook::Egress, 4);
}

#[test]
fn frames_cut_at_every_length_equal_the_reference() {
    let globals = Globals::default();
    let Some(mut kernel) = Kernel::load(globals) else { return };
    let mut random = Random(5);
    for round in 0..200 {
        let table = table(&mut random);
        kernel.set_table(&table);
        let frame = traffic::frame(&mut random);
        for len in 14..=frame.len().min(200) {
            for hook in Hook::ALL {
                let cut = &frame[..len];
                let Some(outcome) = run(&mut kernel, hook, cut) else { continue };
                let what = || format!("frame {round} cut to {len}");
                check(&globals, hook, &table, cut, &outcome, &what);
            }
        }
    }
}

#[test]
fn headers_behind_the_linear_part_equal_the_reference() {
    let globals = Globals::default();
    let Some(mut kernel) = Kernel::load(globals) else { return };
    let mut random = Random(6);
    if kernel.run_split(&[0; 64], 32).is_none() {
        let reason = "this kernel makes no frames with a short linear part (6.18 does)";
        super::run_or_skip(Some(reason.to_string()));
        return;
    }
    for round in 0..100 {
        let table = table(&mut random);
        kernel.set_table(&table);
        for number in 0..1000 {
            let frame = traffic::frame(&mut random);
            let linear = 14 + random.below((frame.len() - 13).min(100));
            let outcome = kernel.run_split(&frame, linear as u32).expect("the kernel takes it");
            let what = || format!("table {round}, frame {number}, {linear} bytes linear");
            check(&globals, Hook::XdpFrags, &table, &frame, &outcome, &what);
        }
    }
}
