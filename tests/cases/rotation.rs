//! Files that are put away and disks that fill up: every record once, whole, in one file or the other.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nids::output::settings::{DiskFull, Rotation};
use nids::output::{LossReason, OutputConfig, OutputSettings, Policy, start};
use proptest::prelude::*;
use serde_json::Value;

use super::output::{alert, rule, wait_for};

fn rotating(path: &Path, rotation: Rotation) -> OutputConfig {
    [OutputSettings { rotation, ..OutputSettings::eve(path) }].into()
}

/// The file and what was put away of it, the oldest first, decompressed.
fn files(path: &Path) -> Vec<(PathBuf, String)> {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut old: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|one| one.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}.")))
        .collect();
    old.sort();
    old.push(path.to_owned());
    old.into_iter()
        .map(|one| {
            let mut text = String::new();
            match one.extension().is_some_and(|extension| extension == "zst") {
                true => {
                    let file = File::open(&one).unwrap();
                    zstd::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap();
                }
                false => text = fs::read_to_string(&one).unwrap(),
            }
            assert!(text.is_empty() || text.ends_with('\n'), "{one:?} ends in half a line");
            (one, text)
        })
        .collect()
}

fn sids(text: &str) -> Vec<u64> {
    let sid = |line: &str| {
        let json: Value = serde_json::from_str(line).unwrap();
        json["alert"]["signature_id"].as_u64().unwrap()
    };
    text.lines().map(sid).collect()
}

/// How often each record is there.
fn counts(files: &[(PathBuf, String)]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for sid in files.iter().flat_map(|(_, text)| sids(text)) {
        *counts.entry(sid).or_default() += 1;
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Records of any length, files of any size: in order, each whole and once, and no file is too large
    /// but for one record alone.
    #[test]
    fn no_record_is_lost_doubled_or_torn(
        size in 1_u64..5000,
        lengths in prop::collection::vec(0_usize..3000, 1..40),
        compress in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eve.json");
        let rotation = Rotation { size: Some(size), compress, ..Rotation::default() };
        let (sender, writer) = start(rotating(&path, rotation), Policy::Block).unwrap();
        for (sid, length) in (0..).zip(&lengths) {
            sender.send(alert(rule(sid, &"x".repeat(*length))));
        }
        let counters = writer.finish();
        prop_assert_eq!((counters.lost(), counters.sinks[0].written), (0, lengths.len() as u64));
        let files = files(&path);
        let all: String = files.iter().map(|(_, text)| text.as_str()).collect();
        prop_assert_eq!(sids(&all), (0..lengths.len() as u64).collect::<Vec<_>>());
        for (at, (file, text)) in files.iter().enumerate() {
            prop_assert!(text.len() as u64 <= size || text.lines().count() == 1, "{file:?}");
            prop_assert!(!text.is_empty());
            let is_last = at + 1 == files.len();
            prop_assert_eq!(file.extension().unwrap() == "zst", compress && !is_last);
        }
    }
}

/// Four senders without a pause, rotation, compression, and somebody else's logrotate at the same time.
#[test]
fn under_load_with_a_logrotate_of_its_own_beside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    let rotation = Rotation { size: Some(50_000), compress: true, ..Rotation::default() };
    let (sender, writer) = start(rotating(&path, rotation), Policy::Block).unwrap();
    let (senders, each) = (4, 5000);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..senders)
            .map(|number| {
                let sender = sender.clone();
                scope.spawn(move || {
                    for sid in 0..each {
                        sender.send(alert(rule(number * each + sid, "under load")));
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            // Moves the file away and has it opened anew, as logrotate with a SIGHUP does.
            for turn in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let _ = fs::rename(&path, dir.path().join(format!("eve.json.moved-{turn}")));
                writer.reopen();
                std::thread::sleep(Duration::from_millis(7));
            }
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    let counters = writer.finish();
    assert_eq!((counters.overflow, counters.lost()), (0, 0), "{counters:?}");
    let files = files_or_moved(&path);
    assert!(files.len() > 50, "{}", files.len());
    let counts = counts(&files);
    assert_eq!(counts.len(), (senders * each) as usize);
    assert!(counts.values().all(|count| *count == 1));
}

/// The file itself may be away at the end.
fn files_or_moved(path: &Path) -> Vec<(PathBuf, String)> {
    if !path.exists() {
        fs::write(path, "").unwrap();
    }
    files(path)
}

/// Records that come faster than they are written are no reason to lose any: the target is not slow.
#[test]
fn a_backlog_that_is_smaller_than_a_batch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    let settings = OutputSettings { backlog: 1, ..OutputSettings::eve(&path) };
    let (sender, writer) = start([settings].into(), Policy::Block).unwrap();
    (0..1000).for_each(|sid| sender.send(alert(rule(sid, "x"))));
    let counters = writer.finish();
    assert_eq!((counters.lost(), counters.sinks[0].written), (0, 1000), "{counters:?}");
}

#[test]
fn only_the_newest_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    let rotation =
        Rotation { size: Some(1000), keep: Some(3), compress: true, ..Rotation::default() };
    let (sender, writer) = start(rotating(&path, rotation), Policy::Block).unwrap();
    (0..300).for_each(|sid| sender.send(alert(rule(sid, "x"))));
    assert_eq!(writer.finish().lost(), 0);
    let files = files(&path);
    assert_eq!(files.len(), 4);
    // The newest, without a gap.
    let sids: Vec<_> = files.iter().flat_map(|(_, text)| sids(text)).collect();
    let first = sids[0];
    assert_eq!(sids, (first..300).collect::<Vec<_>>());
}

#[test]
fn by_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    let rotation = Rotation { interval: Some(Duration::from_secs(1)), ..Rotation::default() };
    let (sender, writer) = start(rotating(&path, rotation), Policy::Count).unwrap();
    let old = || fs::read_dir(dir.path()).unwrap().count() - 1;
    // An empty file is not put away.
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(old(), 0);
    sender.send(alert(rule(1, "x")));
    // Without another record.
    wait_for("file put away", || old() == 1);
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    sender.send(alert(rule(2, "x")));
    wait_for("second file put away", || old() == 2);
    writer.finish();
    assert_eq!(counts(&files(&path)), BTreeMap::from([(1, 1), (2, 1)]));
}

/// A link to the log is left as it is: the file that it leads to is put away, beside itself.
#[test]
fn through_a_symbolic_link() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    fs::create_dir(&real).unwrap();
    let (path, link) = (real.join("eve.json"), dir.path().join("link.json"));
    fs::write(&path, "").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let rotation = Rotation { size: Some(400), ..Rotation::default() };
    let (sender, writer) = start(rotating(&link, rotation), Policy::Block).unwrap();
    (0..5).for_each(|sid| sender.send(alert(rule(sid, "x"))));
    writer.finish();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(counts(&files(&path)).len(), 5);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

/// Where the folder does not let it go, the file grows on, and nothing is lost.
#[test]
fn a_file_that_cannot_be_put_away_grows_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    fs::write(&path, "").unwrap();
    // A mount point cannot be renamed.
    let bound = nix::mount::mount(
        Some(&path),
        &path,
        None::<&str>,
        nix::mount::MsFlags::MS_BIND,
        None::<&str>,
    );
    if let Err(error) = bound {
        eprintln!("skipped: cannot mount a file: {error}");
        return;
    }
    let _unmount = Unmount(path.clone());
    let rotation = Rotation { size: Some(400), ..Rotation::default() };
    let (sender, writer) = start(rotating(&path, rotation), Policy::Block).unwrap();
    (0..50).for_each(|sid| sender.send(alert(rule(sid, "x"))));
    let counters = writer.finish();
    assert_eq!((counters.lost(), counters.sinks[0].written), (0, 50));
    assert_eq!(sids(&fs::read_to_string(&path).unwrap()).len(), 50);
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

/// A file system of so many KiB; `None`, and why, where none can be mounted.
fn small_disk(kib: u32) -> Option<(tempfile::TempDir, Unmount)> {
    let dir = tempfile::tempdir().unwrap();
    let size = format!("size={kib}k");
    let flags = nix::mount::MsFlags::empty();
    match nix::mount::mount(Some("tmpfs"), dir.path(), Some("tmpfs"), flags, Some(&*size)) {
        Ok(()) => {
            let unmount = Unmount(dir.path().into());
            Some((dir, unmount))
        }
        Err(error) => {
            eprintln!("skipped: cannot mount a tmpfs: {error}");
            None
        }
    }
}

/// Both policies on a disk that fills up and is freed, again and again. The file never ends in half a line
/// for longer than one write takes; the sums hold; what is written is in order.
#[test]
fn a_full_disk_by_both_policies() {
    for policy in [DiskFull::Keep, DiskFull::Drop] {
        let Some((dir, _unmount)) = small_disk(256) else { return };
        let (path, ballast) = (dir.path().join("eve.json"), dir.path().join("ballast"));
        let settings =
            OutputSettings { disk_full: policy, backlog: 30_000, ..OutputSettings::eve(&path) };
        let (sender, writer) = start([settings].into(), Policy::Count).unwrap();
        let mut sent = 0;
        for round in 0..4 {
            fs::write(&ballast, vec![0; (150 << 10) - round * 4096]).unwrap_or_default();
            let send = |count: u32, sent: &mut u32| {
                for _ in 0..count {
                    sender.send(alert(rule(*sent, "until the disk is full")));
                    *sent += 1;
                }
            };
            send(700, &mut sent);
            wait_for("records taken", || writer.counters().taken == u64::from(sent));
            let full = writer.counters();
            let lost: u64 = full.sinks[0].lost.iter().map(|(_, count)| count).sum();
            assert!(lost > 0, "round {round}: {full:?}");
            let text = fs::read(&path).unwrap();
            assert_eq!(text.last(), Some(&b'\n'), "half a line in round {round}");
            fs::remove_file(&ballast).unwrap();
            // What waits is written, and what comes new.
            let end = Instant::now() + Duration::from_secs(20);
            let before = writer.counters().sinks[0].written;
            while writer.counters().sinks[0].written <= before {
                assert!(Instant::now() < end, "it does not work again");
                std::thread::sleep(Duration::from_millis(50));
                send(1, &mut sent);
            }
            let new =
                sids(&String::from_utf8(fs::read(&path).unwrap().split_off(text.len())).unwrap());
            match policy {
                // The oldest waited.
                DiskFull::Keep => assert!(new[0] < u64::from(sent) - 100, "{new:?}"),
                // All of them are new.
                DiskFull::Drop => assert!(new[0] >= u64::from(sent) - 100, "{new:?}"),
            }
            assert!(new.is_sorted_by(|a, b| a < b));
            fs::write(&path, "").unwrap();
        }
        let counters = writer.finish();
        assert_eq!(counters.taken, u64::from(sent));
        let sink = &counters.sinks[0];
        let lost: u64 = sink.lost.iter().map(|(_, count)| count).sum();
        assert_eq!(sink.written + lost, u64::from(sent), "{counters:?}");
        assert!(sink.lost.iter().all(|(reason, _)| *reason == LossReason::Full), "{counters:?}");
    }
}

/// Old files fill the disk and may go: with `max-files` the sensor writes on by itself.
#[test]
fn rotation_bounds_the_disk() {
    let Some((dir, _unmount)) = small_disk(256) else { return };
    let path = dir.path().join("eve.json");
    let rotation = Rotation { size: Some(30_000), keep: Some(4), ..Rotation::default() };
    let (sender, writer) = start(rotating(&path, rotation), Policy::Block).unwrap();
    let sent = 5000;
    for sid in 0..sent {
        sender.send(alert(rule(sid, "x")));
        if sid % 100 == 0 {
            // As fast as old files are removed, which is a matter of another thread.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let counters = writer.finish();
    assert_eq!((counters.lost(), counters.sinks[0].written), (0, u64::from(sent)));
    let sids: Vec<_> = files(&path).iter().flat_map(|(_, text)| sids(text)).collect();
    assert_eq!(sids, (sids[0]..u64::from(sent)).collect::<Vec<_>>());
}
