//! Notices that files changed, so that keys and certificates are renewed without a restart.
//!
//! It looks when it is asked, at most once a second, and needs no task of its own. A look is one `stat` a
//! file; the files are read when their modification time, size or inode changed, and again at each look
//! within two seconds after that: a writer may still have been at work, within the grain of the file
//! system's time stamps. Contents that were handed out before are not handed out again.
//!
//! Reading blocks the calling task. That is meant for small local files (the sizes are bounded) that change
//! a few times a year.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// How often the files are looked at when nothing hints at a change.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often they are looked at when something does, such as a token signed with an unknown key.
const LOOK_EVERY_WHEN_HINTED: Duration = Duration::from_millis(50);
/// How long after a change they are read at every look.
const SETTLE: Duration = Duration::from_secs(2);

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is longer than anything that belongs there.
    #[error("{} is longer than {bytes_max} bytes", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// The longest that is read.
        bytes_max: u64,
    },
}

/// Reads a file of at most `bytes_max` bytes; of a longer one (or an endless one, such as a device) no more
/// than that is read.
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let unreadable = |source| FileError::Unreadable { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut contents = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut contents).map_err(unreadable)?;
    if u64::try_from(contents.len()).is_ok_and(|bytes| bytes <= bytes_max) {
        Ok(contents)
    } else {
        Err(FileError::TooLong { path: path.to_owned(), bytes_max })
    }
}

/// What tells one state of a file from another without reading it. `None` where there is no file.
type Stamp = Option<(Option<SystemTime>, u64, u64)>;

/// What tells one reading from another without keeping it (a private key, perhaps). An error is told by
/// its kind.
#[derive(Clone, PartialEq, Eq)]
enum Reading {
    Contents([u8; 32]),
    Unreadable(io::ErrorKind),
    TooLong,
}

/// Files that are looked at together.
pub(crate) struct WatchedFiles<const N: usize> {
    paths: [PathBuf; N],
    bytes_max: u64,
    stamps: [Stamp; N],
    handed_out: Option<[Reading; N]>,
    looked_at: Option<Instant>,
    settled_at: Option<Instant>,
}

/// What was in the files.
pub(crate) type Contents<const N: usize> = [Result<Vec<u8>, FileError>; N];

impl<const N: usize> WatchedFiles<N> {
    /// Watches files of at most `bytes_max` bytes each. The first look reads them.
    pub(crate) fn new(paths: [PathBuf; N], bytes_max: u64) -> Self {
        Self { paths, bytes_max, stamps: [None; N], handed_out: None, looked_at: None, settled_at: None }
    }

    /// The new contents if any of the files changed. `hinted` when something suggests that one did.
    pub(crate) fn changed(&mut self, now: Instant, hinted: bool) -> Option<Contents<N>> {
        let every = if hinted { LOOK_EVERY_WHEN_HINTED } else { LOOK_EVERY };
        if self.looked_at.is_some_and(|looked_at| now.saturating_duration_since(looked_at) < every) {
            return None;
        }
        let stamps = self.paths.each_ref().map(|path| stamp(path));
        if self.looked_at.is_none() || stamps != self.stamps {
            self.settled_at = Some(now + SETTLE);
        }
        self.looked_at = Some(now);
        self.stamps = stamps;
        if self.settled_at.is_none_or(|settled_at| settled_at < now) {
            return None;
        }
        let contents = self.paths.each_ref().map(|path| read_bounded(path, self.bytes_max));
        let reading = contents.each_ref().map(Reading::of);
        if self.handed_out.as_ref() == Some(&reading) {
            return None;
        }
        self.handed_out = Some(reading);
        Some(contents)
    }
}

impl Reading {
    fn of(contents: &Result<Vec<u8>, FileError>) -> Self {
        match contents {
            Ok(contents) => Self::Contents(Sha256::digest(contents).into()),
            Err(FileError::Unreadable { source, .. }) => Self::Unreadable(source.kind()),
            Err(FileError::TooLong { .. }) => Self::TooLong,
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok(), metadata.len(), inode(&metadata)))
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_metadata: &fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn one(contents: Option<Contents<1>>) -> Option<Result<String, String>> {
        let [contents] = contents?;
        Some(contents.map(|bytes| String::from_utf8(bytes).unwrap()).map_err(|error| error.to_string()))
    }

    #[test]
    fn contents_are_handed_out_once_and_again_when_they_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let mut files = WatchedFiles::new([path.clone()], 100);
        let start = Instant::now();
        assert_eq!(one(files.changed(start, false)), Some(Ok("one".to_owned())));
        for seconds in 1..10 {
            assert_eq!(one(files.changed(start + SECOND * seconds, false)), None);
        }
        fs::write(&path, "three").unwrap();
        assert_eq!(one(files.changed(start + SECOND * 10, false)), Some(Ok("three".to_owned())));
    }

    #[test]
    fn the_files_are_looked_at_once_a_second_or_sooner_on_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let mut files = WatchedFiles::new([path.clone()], 100);
        let start = Instant::now();
        assert!(files.changed(start, false).is_some());
        fs::write(&path, "three").unwrap();
        assert!(files.changed(start + SECOND / 2, false).is_none());
        assert!(files.changed(start + Duration::from_millis(49), true).is_none());
        assert_eq!(one(files.changed(start + SECOND / 2, true)), Some(Ok("three".to_owned())));
    }

    #[test]
    fn a_second_write_within_the_same_time_stamp_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "half").unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let mut files = WatchedFiles::new([path.clone()], 100);
        let start = Instant::now();
        assert_eq!(one(files.changed(start, false)), Some(Ok("half".to_owned())));
        fs::write(&path, "full").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_eq!(one(files.changed(start + SECOND, false)), Some(Ok("full".to_owned())));
    }

    #[test]
    fn a_file_that_vanishes_is_an_error_once_and_its_return_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let mut files = WatchedFiles::new([path.clone()], 100);
        let start = Instant::now();
        assert!(files.changed(start, false).is_some());
        fs::remove_file(&path).unwrap();
        let error = one(files.changed(start + SECOND, false)).unwrap().unwrap_err();
        assert!(error.starts_with(&format!("cannot read {}: ", path.display())), "{error}");
        assert_eq!(one(files.changed(start + SECOND * 2, false)), None);
        fs::write(&path, "one").unwrap();
        assert_eq!(one(files.changed(start + SECOND * 3, false)), Some(Ok("one".to_owned())));
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_without_being_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, vec![b'x'; 101]).unwrap();
        assert!(matches!(read_bounded(&path, 100), Err(FileError::TooLong { bytes_max: 100, .. })));
        assert_eq!(read_bounded(&path, 101).unwrap().len(), 101);
        if cfg!(unix) {
            assert!(matches!(read_bounded(Path::new("/dev/zero"), 100), Err(FileError::TooLong { .. })));
        }
    }
}
