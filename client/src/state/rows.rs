//! Keys and values of the store, and batches of changes to them.
//!
//! Every value starts with the version of its form. A key is one letter for the kind of row, then its ids;
//! numbers in keys are big-endian, so that the outbox reads back in order.

use bytes::{Buf, BufMut, Bytes};
use fulmar_protocol::{ClientSeq, ConversationId, CursorState, DeviceId, Epoch, Seq, UserId};

/// The version of the keys and of all values; raised when either changes.
pub(super) const SCHEMA_VERSION: u16 = 1;
pub(super) const KEY_SCHEMA: &[u8] = b"schema";
pub(super) const KEY_DEVICE: &[u8] = b"device";
pub(super) const KEY_USER: &[u8] = b"user";
pub(super) const KEY_EPOCH: &[u8] = b"epoch";
pub(super) const PREFIX_CONVERSATION: u8 = b'C';
pub(super) const PREFIX_OUTBOX: u8 = b'O';

const VALUE_VERSION: u8 = 1;

/// What is kept of a conversation, but for its outbox.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConversationRow {
    /// The other user of a direct conversation, needed to open its send lane.
    pub(crate) peer: Option<UserId>,
    /// The number of the next new send.
    pub(crate) next_client_seq: ClientSeq,
    /// What the app has of the log; `None` until something was confirmed, or the log is the server's to
    /// place.
    pub(crate) cursor: Option<CursorState>,
    /// The server has not confirmed the cursor yet.
    pub(crate) cursor_unsent: bool,
    /// A read mark that the server has not confirmed yet.
    pub(crate) read_unsent: Option<Seq>,
    /// The newest own message that not everybody has read yet.
    pub(crate) receipts_from: Option<Seq>,
}

impl ConversationRow {
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self {
            peer: None,
            next_client_seq: ClientSeq::FIRST,
            cursor: None,
            cursor_unsent: false,
            read_unsent: None,
            receipts_from: None,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut value = vec![VALUE_VERSION, u8::from(self.cursor_unsent)];
        value.put_u64(self.next_client_seq.get());
        value.put_u64(self.read_unsent.unwrap_or(Seq::ZERO).get());
        value.put_u64(self.receipts_from.unwrap_or(Seq::ZERO).get());
        put_short(&mut value, self.peer.as_ref().map_or(&[], UserId::as_bytes));
        let cursor = self.cursor.as_ref().map(CursorState::encode).unwrap_or_default();
        value.extend_from_slice(&cursor);
        value
    }

    pub(super) fn decode(mut value: &[u8]) -> Result<Self, RowError> {
        expect_version(&mut value)?;
        let cursor_unsent = match value.try_get_u8() {
            Ok(0) => false,
            Ok(1) => true,
            _ => return Err(RowError("conversation")),
        };
        let mut number = || value.try_get_u64().map_err(|_| RowError("conversation"));
        let next_client_seq = ClientSeq::new(number()?);
        let read_unsent = non_zero(number()?);
        let receipts_from = non_zero(number()?);
        let peer = match take_short(&mut value)? {
            [] => None,
            peer => Some(parse_user(peer)?),
        };
        let cursor = match value {
            [] => None,
            cursor => Some(CursorState::decode(cursor).map_err(|_| RowError("cursor"))?),
        };
        if next_client_seq < ClientSeq::FIRST {
            return Err(RowError("client seq"));
        }
        Ok(Self { peer, next_client_seq, cursor, cursor_unsent, read_unsent, receipts_from })
    }
}

fn non_zero(seq: u64) -> Option<Seq> {
    (seq != 0).then(|| Seq::new(seq))
}

fn put_short(value: &mut Vec<u8>, bytes: &[u8]) {
    // User ids are at most 128 bytes.
    value.push(u8::try_from(bytes.len()).unwrap_or(0));
    value.extend_from_slice(bytes);
}

fn take_short<'v>(value: &mut &'v [u8]) -> Result<&'v [u8], RowError> {
    let length = usize::from(value.try_get_u8().map_err(|_| RowError("user id"))?);
    let (bytes, rest) = value.split_at_checked(length).ok_or(RowError("user id"))?;
    *value = rest;
    Ok(bytes)
}

fn parse_user(bytes: &[u8]) -> Result<UserId, RowError> {
    let text = std::str::from_utf8(bytes).map_err(|_| RowError("user id"))?;
    UserId::parse(text).map_err(|_| RowError("user id"))
}

fn expect_version(value: &mut &[u8]) -> Result<(), RowError> {
    match value.try_get_u8() {
        Ok(VALUE_VERSION) => Ok(()),
        _ => Err(RowError("version of a value")),
    }
}

/// A row that does not hold what was written: the name of the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored {0} is not valid")]
pub(crate) struct RowError(pub(super) &'static str);

pub(super) fn decode_device(value: &[u8]) -> Result<DeviceId, RowError> {
    decode_fixed(value).map(DeviceId::new).ok_or(RowError("device id"))
}

pub(super) fn decode_epoch(value: &[u8]) -> Result<Epoch, RowError> {
    decode_fixed(value).map(|number| Epoch::new(u64::from_be_bytes(number))).ok_or(RowError("epoch"))
}

pub(super) fn decode_schema(value: &[u8]) -> Result<u16, RowError> {
    value.try_into().map(u16::from_be_bytes).map_err(|_| RowError("schema version"))
}

pub(super) fn decode_user(mut value: &[u8]) -> Result<UserId, RowError> {
    expect_version(&mut value)?;
    parse_user(value)
}

fn decode_fixed<const N: usize>(mut value: &[u8]) -> Option<[u8; N]> {
    expect_version(&mut value).ok()?;
    value.try_into().ok()
}

pub(super) fn decode_outbox(
    key: &[u8],
    mut value: &[u8],
) -> Result<(ConversationId, ClientSeq, Bytes), RowError> {
    let (id, number) = key.split_at_checked(17).ok_or(RowError("outbox key"))?;
    let number: [u8; 8] = number.try_into().map_err(|_| RowError("outbox key"))?;
    expect_version(&mut value)?;
    let client_seq = ClientSeq::new(u64::from_be_bytes(number));
    Ok((decode_conversation_key(id)?, client_seq, Bytes::copy_from_slice(value)))
}

pub(super) fn decode_conversation_key(key: &[u8]) -> Result<ConversationId, RowError> {
    let octets: [u8; 16] =
        key.get(1..).and_then(|id| id.try_into().ok()).ok_or(RowError("conversation key"))?;
    ConversationId::new(octets).map_err(|_| RowError("conversation key"))
}

fn conversation_key(id: ConversationId) -> Vec<u8> {
    let mut key = vec![PREFIX_CONVERSATION];
    key.extend_from_slice(id.as_bytes());
    key
}

fn outbox_key(id: ConversationId, client_seq: ClientSeq) -> Vec<u8> {
    let mut key = vec![PREFIX_OUTBOX];
    key.extend_from_slice(id.as_bytes());
    key.extend_from_slice(&client_seq.get().to_be_bytes());
    key
}

/// A row to write, or (without a value) to clear.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

/// Changes that are written together or not at all.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(super) changes: Vec<Change>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn put(&mut self, key: Vec<u8>, value: &[u8]) {
        let mut versioned = Vec::with_capacity(value.len().saturating_add(1));
        versioned.push(VALUE_VERSION);
        versioned.extend_from_slice(value);
        self.changes.push((key, Some(versioned)));
    }

    pub(crate) fn device(&mut self, device: DeviceId) {
        self.put(KEY_DEVICE.to_vec(), device.as_bytes());
    }

    pub(crate) fn user(&mut self, user: &UserId) {
        self.put(KEY_USER.to_vec(), user.as_bytes());
    }

    pub(crate) fn epoch(&mut self, epoch: Epoch) {
        self.put(KEY_EPOCH.to_vec(), &epoch.get().to_be_bytes());
    }

    pub(crate) fn conversation(&mut self, id: ConversationId, row: &ConversationRow) {
        self.changes.push((conversation_key(id), Some(row.encode())));
    }

    pub(crate) fn forget_conversation(&mut self, id: ConversationId) {
        self.changes.push((conversation_key(id), None));
    }

    pub(crate) fn outbox(&mut self, id: ConversationId, client_seq: ClientSeq, content: &[u8]) {
        self.put(outbox_key(id, client_seq), content);
    }

    pub(crate) fn clear_outbox(&mut self, id: ConversationId, client_seq: ClientSeq) {
        self.changes.push((outbox_key(id, client_seq), None));
    }
}
