//! The pass over the journals before the tree opens them.
//!
//! The tree's own recovery is not enough after a power cut:
//! - Of the last batch, which was being written, any pages may have survived. Where its frame is whole but a
//!   page inside is not, the tree finds a wrong checksum and refuses to open.
//! - Where damage breaks the frame of a batch in the middle, it cuts off everything behind, acknowledged
//!   batches too.
//! - Journals are deleted without syncing the folder, so an old one may come back while a newer one does not,
//!   and would bring back rows that were cleared since.
//! - After a sync that failed, the kernel takes what was not written for clean. A process that is started next
//!   reads it, goes on writing behind it, and syncs with success; yet it is not on the disk.
//!
//! So: the journals must be numbered without a gap (what is before a gap is left over and deleted), the batches
//! in them likewise, and only the last journal may end in something that is not a batch, which is cut off unless
//! a whole batch follows somewhere behind it. And the last journal is written anew, and synced, before it is used.
//! The tree then finds nothing to mend.
//!
//! This reads the tree's journal format (version 3). `tests` fails when a new release writes another.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use super::{
    folder::sync_folder,
    stamp::{STAMP_KEY, Secret, parse as parse_stamp},
};
use crate::store::{
    error::StoreError,
    limits::{BATCH_BYTES_MAX, TRANSACTION_BYTES_MAX},
    serial::OVERLAY_ROW_BYTES,
};

const TAG_START: u8 = 1;
const TAG_ITEM: u8 = 2;
const TAG_END: u8 = 3;
const TRAILER: [u8; 4] = *b"FJL\x03";

/// More than one batch takes in a journal: a full batch, and one more transaction of rows that are so short
/// that most is framing (of which the journal adds less to a row than the overlay counts for it).
const BATCH_FRAMED_BYTES_MAX: usize = BATCH_BYTES_MAX + TRANSACTION_BYTES_MAX * (1 + OVERLAY_ROW_BYTES / 3);

const COPY_BUFFER_BYTES: usize = 1024 * 1024;

/// What is read on beyond that at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// From the start of a batch to its secret: start entry, header and key of the first item.
const SECRET_OFFSET: usize = (1 + 4 + 8) + (1 + 1 + 1 + 8 + 2 + 4 + 4) + STAMP_KEY.len();

/// What the pass found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inspected {
    /// Whole batches.
    pub(super) batches: u64,
    /// Bytes of a torn batch, cut off.
    pub(super) torn_bytes: u64,
    /// Journals left over from before, deleted.
    pub(super) leftovers: u64,
}

/// Inspects and mends the journals of a tree that is not open.
pub(super) fn settle(tree: &Path, secret: Secret) -> Result<Inspected, StoreError> {
    let mut found = Inspected::default();
    let (leftovers, journals) = list(tree)?;
    for leftover in &leftovers {
        std::fs::remove_file(leftover).map_err(|error| StoreError::folder(leftover, error))?;
        found.leftovers += 1;
    }
    if !leftovers.is_empty() {
        sync_folder(tree).map_err(|error| StoreError::folder(tree, error))?;
    }
    let mut last_number = None;
    for (index, path) in journals.iter().enumerate() {
        let is_last = index + 1 == journals.len();
        let inspected = inspect(path, secret, is_last, &mut last_number);
        let (batches, torn_bytes) = inspected.map_err(|problem| match problem {
            Problem::Io(error) => StoreError::folder(path, error),
            Problem::Damaged(reason) => StoreError::damaged(path, reason),
        })?;
        found.batches += batches;
        found.torn_bytes += torn_bytes;
    }
    Ok(found)
}

enum Problem {
    Io(io::Error),
    Damaged(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Walks through one journal; the last one is written anew, without what is torn. Gives the number of batches
/// and of torn bytes.
fn inspect(
    path: &Path,
    secret: Secret,
    is_last: bool,
    last_number: &mut Option<u64>,
) -> Result<(u64, u64), Problem> {
    let mut window = Window::open(path)?;
    let mut copy = if is_last { Some(Copy::begin(path)?) } else { None };
    let mut batches = 0;
    while let Some(batch) = parse_batch(window.look()?, secret) {
        if let Some(last) = last_number.filter(|last| batch.number != last + 1) {
            return Err(Problem::Damaged(format!("batch {} follows batch {last}", batch.number)));
        }
        *last_number = Some(batch.number);
        batches += 1;
        let bytes = window.take(batch.length);
        if let Some(copy) = &mut copy {
            copy.file.write_all(bytes)?;
        }
    }
    let position = window.position;
    let tail = without_trailing_zeros(window.look()?);
    if !tail.is_empty() && (!is_last || holds_batch(tail, secret)) {
        return Err(Problem::Damaged(format!("no whole batch at byte {position}, but more behind it")));
    }
    let torn_bytes = tail.len() as u64;
    if torn_bytes > 0 {
        tracing::warn!(journal = %path.display(), torn_bytes, "cutting off a batch that was not synced");
    }
    // An empty one is left as the tree made it, with room for what is to come.
    if let Some(copy) = copy.filter(|_| batches > 0 || torn_bytes > 0) {
        copy.take_into_use(path)?;
    }
    Ok((batches, torn_bytes))
}

/// A journal that is to replace another.
struct Copy {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Copy {
    fn begin(original: &Path) -> io::Result<Self> {
        // The tree looks only at names that end in `.jnl`.
        let path = original.with_extension("rewritten");
        let file = BufWriter::with_capacity(COPY_BUFFER_BYTES, File::create(&path)?);
        Ok(Self { path, file })
    }

    fn take_into_use(self, original: &Path) -> io::Result<()> {
        self.file.into_inner()?.sync_all()?;
        std::fs::rename(&self.path, original)?;
        original.parent().map_or(Ok(()), sync_folder)
    }
}

/// The part of a journal that matters next: as much as a batch may take, or all that is left.
struct Window {
    file: File,
    buffer: Vec<u8>,
    start: usize,
    position: u64,
    ended: bool,
}

impl Window {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, buffer: Vec::new(), start: 0, position: 0, ended: false })
    }

    fn look(&mut self) -> io::Result<&[u8]> {
        if !self.ended && self.buffer.len() - self.start < BATCH_FRAMED_BYTES_MAX {
            self.buffer.drain(..self.start);
            self.start = 0;
            let wanted = BATCH_FRAMED_BYTES_MAX + READ_BYTES - self.buffer.len();
            let read = (&mut self.file).take(wanted as u64).read_to_end(&mut self.buffer)?;
            self.ended = read < wanted;
        }
        Ok(self.buffer.get(self.start..).unwrap_or_default())
    }

    /// Takes what [`Window::look`] has shown.
    fn take(&mut self, length: usize) -> &[u8] {
        let start = self.start;
        self.start += length;
        self.position += length as u64;
        self.buffer.get(start..self.start).unwrap_or_default()
    }
}

/// The journals in order: those left over from before a gap, and those in use.
fn list(tree: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), StoreError> {
    let fail = |error| StoreError::folder(tree, error);
    let mut journals = Vec::new();
    for entry in std::fs::read_dir(tree).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(number) = name.strip_suffix(".jnl").and_then(|number| number.parse::<u64>().ok()) {
            journals.push((number, path));
        }
    }
    journals.sort_unstable();
    let mut used_from = 0;
    for (index, pair) in journals.windows(2).enumerate() {
        if let [(one, _), (other, _)] = pair
            && one + 1 != *other
        {
            used_from = index + 1;
        }
    }
    let mut paths: Vec<_> = journals.into_iter().map(|(_, path)| path).collect();
    let used = paths.split_off(used_from);
    Ok((paths, used))
}

struct Batch {
    number: u64,
    length: usize,
}

/// The whole batch that these bytes begin with.
fn parse_batch(bytes: &[u8], secret: Secret) -> Option<Batch> {
    let mut reader = Reader { bytes };
    let [TAG_START] = reader.take()? else { return None };
    let items = u32::from_le_bytes(reader.take()?);
    let _seqno: [u8; 8] = reader.take()?;
    let items_begin = reader.bytes;
    let mut number = None;
    for item in 0..items {
        let (key, value) = reader.item()?;
        if item == 0 {
            number = Some((key == STAMP_KEY).then(|| parse_stamp(value, secret)).flatten()?);
        }
    }
    let items_bytes = items_begin.get(..items_begin.len() - reader.bytes.len())?;
    let [TAG_END] = reader.take()? else { return None };
    let checksum = u64::from_le_bytes(reader.take()?);
    if reader.take()? != TRAILER || xxhash_rust::xxh3::xxh3_64(items_bytes) != checksum {
        return None;
    }
    Some(Batch { number: number?, length: bytes.len() - reader.bytes.len() })
}

/// Whether a whole batch lies somewhere in these bytes.
fn holds_batch(bytes: &[u8], secret: Secret) -> bool {
    let mut windows = bytes.windows(secret.0.len()).enumerate();
    windows.any(|(position, window)| {
        window == secret.0
            && position
                .checked_sub(SECRET_OFFSET)
                .and_then(|start| bytes.get(start..))
                .is_some_and(|rest| parse_batch(rest, secret).is_some())
    })
}

struct Reader<'b> {
    bytes: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }

    fn take_slice(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn item(&mut self) -> Option<(&'b [u8], &'b [u8])> {
        let [TAG_ITEM] = self.take()? else { return None };
        let [_value_type, _compression] = self.take()?;
        let _keyspace: [u8; 8] = self.take()?;
        let key_length = u16::from_le_bytes(self.take()?);
        let _value_length: [u8; 4] = self.take()?;
        let value_length_on_disk = usize::try_from(u32::from_le_bytes(self.take()?)).ok()?;
        Some((self.take_slice(key_length.into())?, self.take_slice(value_length_on_disk)?))
    }
}

/// Journals are made 64 MiB long and mostly end in a hole, so this compares whole chunks.
fn without_trailing_zeros(bytes: &[u8]) -> &[u8] {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut rest = bytes;
    while let Some((before, last)) = rest.split_last_chunk::<{ ZEROS.len() }>()
        && *last == ZEROS
    {
        rest = before;
    }
    let used = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    rest.get(..used).unwrap_or_default()
}
