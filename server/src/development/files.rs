//! Files that are either there as a whole or not at all, and private where they must be.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, SignatureAlgorithm};

use super::{DevelopmentError, names};
use crate::watched_files::{FileError, read_bounded};

/// How long any of the files may be, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Who may read a file.
#[derive(Clone, Copy)]
pub(super) enum Readers {
    Owner,
    Everybody,
}

/// Makes the folder and holds it until the lock is dropped, so that two processes do not make two keys.
pub(super) fn lock(folder: &Path) -> Result<File, DevelopmentError> {
    fs::create_dir_all(folder).map_err(|source| unwritable(folder, source))?;
    let path = folder.join(names::LOCK);
    let file = options(Readers::Owner).create(true).truncate(false).open(&path);
    let file = file.map_err(|source| unwritable(&path, source))?;
    match file.lock() {
        // Where the file system knows no locks, two first starts at once are the operator's to avoid.
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(unwritable(&path, error)),
        _ => Ok(file),
    }
}

/// Reads a file; `None` when it is not there.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match read_bounded(path, FILE_BYTES_MAX) {
        Ok(contents) => Ok(Some(contents)),
        Err(FileError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file as a whole: whoever looks, also after a crash, sees what was there before or all of this.
pub(super) fn write(path: &Path, contents: &[u8], readers: Readers) -> Result<(), DevelopmentError> {
    let part = part_of(path);
    let written = (|| {
        // Left by a process that died here; the lock says that nobody is writing it now.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = options(readers).create_new(true).open(&part)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        sync_folder_of(path)
    })();
    written.map_err(|source| unwritable(path, source))
}

/// Reads a private key; `None` when it is not there.
pub(super) fn read_key(
    path: &Path,
    algorithm: &'static SignatureAlgorithm,
) -> Result<Option<KeyPair>, DevelopmentError> {
    let Some(contents) = read(path)? else { return Ok(None) };
    let broken = |cause: String| DevelopmentError::KeyBroken { path: path.to_owned(), cause };
    let text = String::from_utf8(contents).map_err(|_| broken("not text".to_owned()))?;
    let key = KeyPair::from_pkcs8_pem_and_sign_algo(&text, algorithm);
    key.map(Some).map_err(|error| broken(error.to_string()))
}

/// Reads a private key, or makes it. Call it with the folder locked.
pub(super) fn read_or_make_key(
    path: &Path,
    algorithm: &'static SignatureAlgorithm,
) -> Result<KeyPair, DevelopmentError> {
    if let Some(key) = read_key(path, algorithm)? {
        return Ok(key);
    }
    let key = KeyPair::generate_for(algorithm)?;
    write(path, key.serialize_pem().as_bytes(), Readers::Owner)?;
    Ok(key)
}

fn unwritable(path: &Path, source: io::Error) -> DevelopmentError {
    DevelopmentError::Unwritable { path: path.to_owned(), source }
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

#[cfg(unix)]
fn options(readers: Readers) -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    options.write(true).mode(match readers {
        Readers::Owner => 0o600,
        Readers::Everybody => 0o644,
    });
    options
}

#[cfg(not(unix))]
fn options(_readers: Readers) -> OpenOptions {
    let mut options = File::options();
    options.write(true);
    options
}

/// Makes a rename survive a power cut.
#[cfg(unix)]
fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(not(unix))]
fn sync_folder_of(_path: &Path) -> io::Result<()> {
    Ok(())
}
