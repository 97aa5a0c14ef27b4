//! Following a log: rotation, truncation, half lines, a reader that is embedded in a program.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use nids::output::follow::Follower;
use nids::output::{OutputSettings, Policy, start};
use proptest::prelude::*;

use super::output::{alert, rule};

fn line(sid: u32) -> String {
    format!(
        "{{\"timestamp\":\"2026-11-24T02:03:04.123456+0000\",\"event_type\":\"alert\",\
         \"src_ip\":\"1.2.3.4\",\"dest_ip\":\"5.6.7.8\",\"proto\":\"ICMP\",\"alert\":{{\"gid\":1,\
         \"signature_id\":{sid},\"rev\":0,\"signature\":\"x\",\"category\":\"\",\"severity\":3}}}}\n"
    )
}

fn append(path: &Path, text: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_ref()).unwrap();
}

/// The sids that are there now.
fn drain(follower: &mut Follower) -> Vec<u32> {
    std::iter::from_fn(|| follower.poll().unwrap()).map(|alert| alert.sid).collect()
}

fn new_log() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    (dir, path)
}

#[test]
fn what_the_writer_writes_is_what_the_follower_reads() {
    let (dir, eve) = new_log();
    let fast = dir.path().join("fast.log");
    let config = [OutputSettings::eve(&eve), OutputSettings::fast(&fast)].into();
    let (sender, writer) = start(config, Policy::Block).unwrap();
    for sid in 0..1000 {
        sender.send(alert(rule(sid, "both formats")));
    }
    writer.finish();
    for path in [eve, fast] {
        let mut follower = Follower::open(path).unwrap();
        let alerts: Vec<_> = std::iter::from_fn(|| follower.poll().unwrap()).collect();
        assert_eq!(alerts.len(), 1000);
        for (sid, read) in alerts.iter().enumerate() {
            let sent = alert(rule(sid as u32, "both formats"));
            assert_eq!(read.sid, sid as u32);
            assert_eq!(read.time, sent.time);
            assert_eq!((read.addresses, read.ports), (sent.addresses, sent.ports));
            assert_eq!((read.message.as_str(), read.protocol.as_str()), ("both formats", "TCP"));
        }
        assert_eq!(follower.unreadable(), 0);
    }
}

#[test]
fn a_half_line_waits_for_its_other_half() {
    let (_dir, path) = new_log();
    let text = line(7);
    let (first, second) = text.split_at(40);
    append(&path, first);
    let mut follower = Follower::open(&path).unwrap();
    assert!(drain(&mut follower).is_empty());
    append(&path, second);
    assert_eq!(drain(&mut follower), [7]);
    assert_eq!(follower.unreadable(), 0);
}

#[test]
fn a_file_that_appears_late() {
    let (_dir, path) = new_log();
    assert!(Follower::open(&path).is_err());
    let mut follower = Follower::wait_for(&path);
    assert!(drain(&mut follower).is_empty());
    append(&path, line(1));
    assert_eq!(drain(&mut follower), [1]);
}

#[test]
fn rotation_by_renaming_loses_nothing() {
    let (dir, path) = new_log();
    append(&path, line(1));
    let mut follower = Follower::open(&path).unwrap();
    assert_eq!(drain(&mut follower), [1]);
    let mut old = OpenOptions::new().append(true).open(&path).unwrap();
    fs::rename(&path, dir.path().join("eve.json.1")).unwrap();
    // The writer was not told yet.
    old.write_all(line(2).as_bytes()).unwrap();
    assert_eq!(drain(&mut follower), [2]);
    // logrotate's `create`: the new file is there, the writer still at the old one.
    File::create(&path).unwrap();
    assert!(drain(&mut follower).is_empty());
    old.write_all(line(3).as_bytes()).unwrap();
    append(&path, line(4));
    assert_eq!(drain(&mut follower), [3, 4]);
    // Again, all between two looks.
    append(&path, line(5));
    fs::rename(&path, dir.path().join("eve.json.2")).unwrap();
    append(&path, line(6));
    assert_eq!(drain(&mut follower), [5, 6]);
    assert_eq!(follower.unreadable(), 0);
}

#[test]
fn truncation_starts_again_at_the_beginning() {
    let (_dir, path) = new_log();
    append(&path, line(1) + &line(2) + "{\"half");
    let mut follower = Follower::open(&path).unwrap();
    assert_eq!(drain(&mut follower), [1, 2]);
    File::create(&path).unwrap();
    assert!(drain(&mut follower).is_empty());
    append(&path, line(3));
    assert_eq!(drain(&mut follower), [3]);
    assert_eq!(follower.unreadable(), 1, "the half line");
}

#[test]
fn a_deleted_file_is_waited_for() {
    let (_dir, path) = new_log();
    append(&path, line(1));
    let mut follower = Follower::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(drain(&mut follower), [1]);
    append(&path, line(2));
    assert_eq!(drain(&mut follower), [2]);
}

#[test]
fn rubbish_is_counted_and_skipped() {
    let (_dir, path) = new_log();
    append(&path, line(1));
    append(&path, b"\xff\xfe not a line\n{\"event_type\":\"stats\"}\n\n");
    append(&path, vec![b'x'; 3 << 20]);
    append(&path, String::from("\n") + &line(2));
    let mut follower = Follower::open(&path).unwrap();
    assert_eq!(drain(&mut follower), [1, 2]);
    assert_eq!(follower.unreadable(), 2);
}

/// The embedding program's way: an iterator that waits, here for a writer in the same process.
#[test]
fn as_an_iterator_through_a_rotation_of_the_writer() {
    let (dir, path) = new_log();
    let config = [OutputSettings::eve(&path)].into();
    let (sender, writer) = start(config, Policy::Block).unwrap();
    let follower = Follower::wait_for(&path);
    let reader = std::thread::spawn(move || -> Vec<u32> {
        follower.map(|alert| alert.unwrap().sid).take_while(|sid| *sid != 9999).collect()
    });
    for round in 0..5 {
        for sid in 0..100 {
            sender.send(alert(rule(round * 100 + sid, "x")));
        }
        let sent = u64::from(round + 1) * 100 + u64::from(round);
        super::output::wait_for("alerts", || writer.counters().sinks[0].written == sent);
        fs::rename(&path, dir.path().join(format!("eve.json.{round}"))).unwrap();
        writer.reopen();
        super::output::wait_for("new file", || path.exists());
        sender.send(alert(rule(5000 + round, "first of the new file")));
        super::output::wait_for("alert", || fs::metadata(&path).unwrap().len() > 0);
        // The follower sees one rotation at a time as long as it looks in between.
        std::thread::sleep(nids::output::follow::POLL * 3);
        fs::remove_file(dir.path().join(format!("eve.json.{round}"))).unwrap();
    }
    sender.send(alert(rule(9999, "end")));
    let counters = writer.finish();
    assert_eq!(counters.lost(), 0);
    let sids = reader.join().unwrap();
    let expected: Vec<u32> =
        (0..5).flat_map(|r| (r * 100..r * 100 + 100).chain([5000 + r])).collect();
    assert_eq!(sids, expected);
}

proptest! {
    /// However the bytes arrive, each line is read once and in order.
    #[test]
    fn any_cut_of_the_log(cuts in prop::collection::vec(0usize..5000, 0..20)) {
        let (_dir, path) = new_log();
        let text: String = (0..20).map(line).collect();
        let mut cuts: Vec<_> = cuts.into_iter().filter(|at| *at < text.len()).collect();
        cuts.push(text.len());
        cuts.sort_unstable();
        let mut follower = Follower::wait_for(&path);
        let (mut sids, mut from) = (Vec::new(), 0);
        for to in cuts {
            append(&path, &text[from..to]);
            from = to;
            sids.extend(drain(&mut follower));
        }
        prop_assert_eq!(sids, (0..20).collect::<Vec<_>>());
    }
}
