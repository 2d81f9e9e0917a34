//! The pass over the journals before the tree opens them.
//!
//! The tree's own recovery is not enough after a power cut:
//! - Of the last batch, which was being written, any pages may have survived. Where its frame is whole but a
//!   page inside is not, the tree finds a wrong checksum and refuses to open.
//! - Where damage breaks the frame of a batch in the middle, it cuts off everything behind, acknowledged
//!   batches too.
//! - Journals are deleted without syncing the folder, so an old one may come back while a newer one does not,
//!   and would bring back rows that were cleared since.
//!
//! So: the journals must be numbered without a gap (what is before a gap is left over and deleted), the batches
//! in them likewise, and only the last journal may end in something that is not a batch, which is cut off unless
//! a whole batch follows somewhere behind it. The tree then finds nothing to mend.
//!
//! This reads the tree's journal format (version 3). `tests` fails when a new release writes another.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use super::{
    folder::sync_folder,
    stamp::{STAMP_KEY, Secret, parse as parse_stamp},
};
use crate::store::error::StoreError;

const TAG_START: u8 = 1;
const TAG_ITEM: u8 = 2;
const TAG_END: u8 = 3;
const TRAILER: [u8; 4] = *b"FJL\x03";

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
        let bytes = std::fs::read(path).map_err(|error| StoreError::folder(path, error))?;
        let mut position = 0;
        while let Some(batch) = bytes.get(position..).and_then(|rest| parse_batch(rest, secret)) {
            if last_number.is_some_and(|last| batch.number != last + 1) {
                let reason = format!("batch {} follows batch {}", batch.number, last_number.unwrap_or(0));
                return Err(StoreError::damaged(path, reason));
            }
            last_number = Some(batch.number);
            found.batches += 1;
            position += batch.length;
        }
        let tail = without_trailing_zeros(bytes.get(position..).unwrap_or_default());
        if tail.is_empty() {
            continue;
        }
        let reason = || format!("no whole batch at byte {position}, but more behind it");
        if index + 1 < journals.len() || holds_batch(tail, secret) {
            return Err(StoreError::damaged(path, reason()));
        }
        tracing::warn!(journal = %path.display(), bytes = tail.len(), "cutting off a batch that was not synced");
        found.torn_bytes += tail.len() as u64;
        cut(path, position as u64).map_err(|error| StoreError::folder(path, error))?;
    }
    Ok(found)
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

fn cut(path: &Path, length: u64) -> std::io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()
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
