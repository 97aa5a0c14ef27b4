//! The thread that looks after files that were put away: it compresses them and removes the oldest, so
//! that no alert waits for that.
//!
//! A sweep of one file's old ones may be done at any time and any number of times: it first removes what is
//! too much, then compresses what is not yet, and takes up what an earlier run had to leave.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::rotation::{Old, State, old_files, with_suffix};
use super::settings::Rotation;
use crate::cli::say;

/// Of Zstandard: a tenth of the size, at some 200 MB a second.
const LEVEL: i32 = 3;
/// As `nice` has it.
const NICE: libc::c_int = 10;
/// Bytes compressed between two looks whether to stop.
const CHUNK: usize = 128 << 10;

/// One file whose old ones are to be looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sweep {
    path: PathBuf,
    keep: Option<usize>,
    compress: bool,
}

/// Asks for sweeps. Never waits.
#[derive(Clone, Debug)]
pub(super) struct Sweeper(Sender<Sweep>);

impl Sweeper {
    pub(super) fn sweep(&self, path: &Path, rotation: &Rotation) {
        let Rotation { keep, compress, .. } = *rotation;
        if keep.is_some() || compress {
            let _ = self.0.send(Sweep { path: path.to_owned(), keep, compress });
        }
    }
}

/// The thread, or what it will do once it is started.
#[derive(Debug)]
pub(super) struct Archive {
    sweeps: Receiver<Sweep>,
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Archive {
    /// Not started yet: what is asked for waits.
    pub(super) fn new() -> (Sweeper, Self) {
        let (sender, sweeps) = unbounded();
        (Sweeper(sender), Self { sweeps, thread: None, stop: Arc::default() })
    }

    pub(super) fn start(&mut self) -> io::Result<()> {
        let (sweeps, stop) = (self.sweeps.clone(), Arc::clone(&self.stop));
        let thread = thread::Builder::new().name("nids-archive".into());
        self.thread = Some(thread.spawn(move || run(&sweeps, &stop))?);
        Ok(())
    }

    /// Ends the thread, once all senders are gone: after what was asked for, or as soon as can be. What is
    /// left is done by the next run.
    pub(super) fn finish(mut self, wait: bool) {
        if !wait {
            self.stop.store(true, Ordering::Relaxed);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(sweeps: &Receiver<Sweep>, stop: &AtomicBool) {
    // Behind the workers. On Linux this is of the thread alone; where it is not allowed it is no matter.
    // SAFETY: takes no pointers.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    while let Ok(first) = sweeps.recv() {
        // One sweep does the work of several.
        let mut asked = vec![first];
        while let Ok(next) = sweeps.try_recv() {
            if !asked.contains(&next) {
                asked.push(next);
            }
        }
        for sweep in asked {
            if let Err(error) = sweep.run(stop) {
                let path = sweep.path.display();
                say(format_args!("old files of {path} cannot be looked after: {error}"));
            }
        }
    }
}

impl Sweep {
    fn run(&self, stop: &AtomicBool) -> io::Result<()> {
        self.prune()?;
        while self.compress
            && !stop.load(Ordering::Relaxed)
            && let Some(plain) = old_files(&self.path)?.iter().find(|old| old.state == State::Plain)
        {
            compress(&plain.path, stop)?;
            // More may have come in between.
            self.prune()?;
        }
        Ok(())
    }

    /// Removes what is more than is to be kept, and what was not finished.
    fn prune(&self) -> io::Result<()> {
        let (unfinished, mut old): (Vec<Old>, Vec<Old>) =
            old_files(&self.path)?.into_iter().partition(|old| old.state == State::Unfinished);
        let too_many = old.len().saturating_sub(self.keep.unwrap_or(usize::MAX));
        for file in unfinished.into_iter().chain(old.drain(..too_many)) {
            fs::remove_file(&file.path)?;
        }
        Ok(())
    }
}

/// Puts a compressed file in the place of this one. Only a whole one ever has the final name.
fn compress(path: &Path, stop: &AtomicBool) -> io::Result<()> {
    let done = with_suffix(path, "zst");
    let part = with_suffix(&done, "part");
    let result = compress_to(path, &part, stop).and_then(|whole| {
        if !whole {
            return fs::remove_file(&part);
        }
        fs::rename(&part, &done)?;
        fs::remove_file(path)
    });
    if result.is_err() {
        let _ = fs::remove_file(&part);
    }
    result
}

/// False: stopped on the way.
fn compress_to(path: &Path, part: &Path, stop: &AtomicBool) -> io::Result<bool> {
    let mut from = File::open(path)?;
    let meta = from.metadata()?;
    let to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
    // Who may read the one may read the other.
    let _ = std::os::unix::fs::fchown(&to, None, Some(meta.gid()));
    to.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o777))?;
    let mut encoder = zstd::stream::write::Encoder::new(to, LEVEL)?;
    encoder.include_checksum(true)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let length = from.read(&mut chunk)?;
        match chunk.get(..length) {
            Some(bytes) if length > 0 => encoder.write_all(bytes)?,
            _ => break,
        }
    }
    // The plain file goes once this one is safe.
    encoder.finish()?.sync_all()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(path: &Path, keep: Option<usize>, compress: bool) -> Sweep {
        Sweep { path: path.into(), keep, compress }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_go_and_the_rest_is_compressed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eve.json");
        let old = |day: u32| dir.path().join(format!("eve.json.202611{day:02}T020304.000000Z"));
        for day in 1..=5 {
            fs::write(old(day), format!("{{\"day\":{day}}}\n").repeat(1000)).unwrap();
        }
        fs::set_permissions(old(5), fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(with_suffix(&old(4), "zst.part"), "half").unwrap();
        fs::write(&path, "the file itself").unwrap();
        fs::write(dir.path().join("eve.json.1"), "somebody else's").unwrap();
        let going = AtomicBool::new(false);
        sweep(&path, Some(3), true).run(&going).unwrap();
        // Once more is no harm.
        sweep(&path, Some(3), true).run(&going).unwrap();
        assert_eq!(
            names(dir.path()),
            [
                "eve.json",
                "eve.json.1",
                "eve.json.20261103T020304.000000Z.zst",
                "eve.json.20261104T020304.000000Z.zst",
                "eve.json.20261105T020304.000000Z.zst",
            ]
        );
        let newest = with_suffix(&old(5), "zst");
        let text = zstd::decode_all(File::open(&newest).unwrap()).unwrap();
        assert_eq!(text, b"{\"day\":5}\n".repeat(1000));
        assert_eq!(fs::metadata(&newest).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn stopped_it_leaves_the_plain_file() {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("eve.json.20261103T020304.000000Z");
        fs::write(&plain, "x").unwrap();
        compress(&plain, &AtomicBool::new(true)).unwrap();
        assert_eq!(names(dir.path()), ["eve.json.20261103T020304.000000Z"]);
    }
}
