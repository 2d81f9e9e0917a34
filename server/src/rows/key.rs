//! Keys. One constructor for each kind of row; the table of rows is in `ARCHITECTURE.md`.

use fulmar_protocol::{ConversationId, DeviceId, Seq, TimestampMs, UserId};

use super::{Held, NodeNumber, SessionKey, TICKET_ID_BYTES};
use crate::store::KeyRange;

/// Changes when the layout of keys changes; an older store is then migrated or refused.
const SCHEMA_VERSION: u8 = 1;

/// Areas: whose rows these are.
const CONVERSATION: u8 = b'C';
const USER: u8 = b'U';
const DEVICE: u8 = b'D';
const STORE: u8 = b'S';
const TICKET: u8 = b'T';
const NODE: u8 = b'N';
/// What a node holds elsewhere, by the node: so that it is found when the node is gone.
const HELD: u8 = b'M';

/// Version, area and server id, before the rest of a ticket's key.
const TICKET_PREFIX_BYTES: usize = 2 + 4;

/// A key of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(Vec<u8>);

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::Deref for Key {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Key {
    fn conversation(id: &ConversationId, table: u8) -> Self {
        let mut key = Vec::with_capacity(64);
        key.extend_from_slice(&[SCHEMA_VERSION, CONVERSATION]);
        key.extend_from_slice(id.as_bytes());
        key.push(table);
        Self(key)
    }

    fn user(user: &UserId, table: u8) -> Self {
        let mut key = Vec::with_capacity(64);
        key.extend_from_slice(&[SCHEMA_VERSION, USER]);
        Self(key).with_user(user).with(&[table])
    }

    fn with(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn with_user(self, user: &UserId) -> Self {
        let bytes = user.as_str().as_bytes();
        // A user id has at most 128 bytes.
        let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        self.with(&[length]).with(bytes)
    }

    fn with_node(self, node: NodeNumber) -> Self {
        self.with(&node.get().to_be_bytes())
    }

    fn with_seq(self, seq: Seq) -> Self {
        self.with(&seq.get().to_be_bytes())
    }

    pub(crate) fn head(id: &ConversationId) -> Self {
        Self::conversation(id, b'h')
    }

    pub(crate) fn title(id: &ConversationId) -> Self {
        Self::conversation(id, b't')
    }

    pub(crate) fn entry(id: &ConversationId, seq: Seq) -> Self {
        Self::conversation(id, b'e').with_seq(seq)
    }

    /// Entries from `first` to `last`, both included.
    pub(crate) fn entries(id: &ConversationId, first: Seq, last: Seq) -> KeyRange {
        KeyRange::new(Self::entry(id, first).0, Self::entry(id, last.next()).0)
    }

    /// Says that the entry `edit` holds a body of the message `target`.
    pub(crate) fn edit(id: &ConversationId, target: Seq, edit: Seq) -> Self {
        Self::conversation(id, b'x').with_seq(target).with_seq(edit)
    }

    pub(crate) fn edits(id: &ConversationId, target: Seq) -> KeyRange {
        Self::conversation(id, b'x').with_seq(target).prefix()
    }

    pub(crate) fn sender(id: &ConversationId, user: &UserId, device: &DeviceId) -> Self {
        Self::conversation(id, b's').with_user(user).with(device.as_bytes())
    }

    pub(crate) fn member(id: &ConversationId, user: &UserId) -> Self {
        Self::conversation(id, b'm').with_user(user)
    }

    pub(crate) fn members(id: &ConversationId) -> KeyRange {
        Self::conversation(id, b'm').prefix()
    }

    pub(crate) fn delivered_mark(id: &ConversationId, user: &UserId) -> Self {
        Self::conversation(id, b'd').with_user(user)
    }

    pub(crate) fn read_mark(id: &ConversationId, user: &UserId) -> Self {
        Self::conversation(id, b'r').with_user(user)
    }

    pub(crate) fn inbox(user: &UserId, id: &ConversationId) -> Self {
        Self::user(user, b'i').with(id.as_bytes())
    }

    /// The user's inbox rows after `after`.
    pub(crate) fn inbox_after(user: &UserId, after: Option<&ConversationId>) -> KeyRange {
        Self::user(user, b'i').after(after)
    }

    pub(crate) fn cursor(user: &UserId, device: &DeviceId, id: &ConversationId) -> Self {
        Self::user(user, b'c').with(device.as_bytes()).with(id.as_bytes())
    }

    /// The device's cursors after `after`, up to and with `last`.
    pub(crate) fn cursors_between(
        user: &UserId,
        device: &DeviceId,
        after: Option<&ConversationId>,
        last: &ConversationId,
    ) -> KeyRange {
        let range = Self::user(user, b'c').with(device.as_bytes()).after(after);
        KeyRange::new(range.start(), Self::cursor(user, device, last).with(&[0]).0)
    }

    pub(crate) fn cursors(user: &UserId, device: &DeviceId) -> KeyRange {
        Self::user(user, b'c').with(device.as_bytes()).prefix()
    }

    pub(crate) fn user_device(user: &UserId, device: &DeviceId) -> Self {
        Self::user(user, b'd').with(device.as_bytes())
    }

    pub(crate) fn user_devices(user: &UserId) -> KeyRange {
        Self::user(user, b'd').prefix()
    }

    pub(crate) fn block(user: &UserId, other: &UserId) -> Self {
        Self::user(user, b'b').with_user(other)
    }

    pub(crate) fn blocks(user: &UserId) -> KeyRange {
        Self::user(user, b'b').prefix()
    }

    pub(crate) fn settings(user: &UserId) -> Self {
        Self::user(user, b's')
    }

    pub(crate) fn revoked_before(user: &UserId) -> Self {
        Self::user(user, b'r')
    }

    pub(crate) fn stored_bytes(user: &UserId) -> Self {
        Self::user(user, b'q')
    }

    /// Whose device this is.
    pub(crate) fn device(device: &DeviceId) -> Self {
        let mut key = Vec::with_capacity(18);
        key.extend_from_slice(&[SCHEMA_VERSION, DEVICE]);
        Self(key).with(device.as_bytes())
    }

    /// A ticket for a shorter next handshake, of the server with this id (0: one that is alone). The one that expires
    /// first comes first. Each server has its own: a ticket that two knew could be used twice.
    pub(crate) fn ticket(server_id: u32, expires_at: TimestampMs, id: &[u8; TICKET_ID_BYTES]) -> Self {
        Self::tickets_of(server_id).with(&expires_at.get().to_be_bytes()).with(id)
    }

    fn tickets_of(server_id: u32) -> Self {
        let mut key = Vec::with_capacity(TICKET_PREFIX_BYTES + 8 + TICKET_ID_BYTES);
        key.extend_from_slice(&[SCHEMA_VERSION, TICKET]);
        Self(key).with(&server_id.to_be_bytes())
    }

    /// The key of a row of `tickets`, as it was read.
    pub(crate) fn of_ticket(key: &[u8]) -> Self {
        Self(key.to_vec())
    }

    /// All tickets of a server.
    pub(crate) fn tickets(server_id: u32) -> KeyRange {
        Self::tickets_of(server_id).prefix()
    }

    pub(crate) fn epoch() -> Self {
        Self(vec![SCHEMA_VERSION, STORE, b'e'])
    }

    /// A node, by its number.
    pub(crate) fn node(number: NodeNumber) -> Self {
        Self(vec![SCHEMA_VERSION, NODE]).with_node(number)
    }

    pub(crate) fn nodes() -> KeyRange {
        Self(vec![SCHEMA_VERSION, NODE]).prefix()
    }

    /// The number that the next node takes.
    pub(crate) fn next_node() -> Self {
        Self(vec![SCHEMA_VERSION, STORE, b'n'])
    }

    /// A session of the user, on some node.
    pub(crate) fn session(user: &UserId, session: &SessionKey) -> Self {
        let number = session.number.get().to_be_bytes();
        Self::user(user, b'n').with(session.device.as_bytes()).with(&number).with_node(session.node)
    }

    pub(crate) fn sessions(user: &UserId) -> KeyRange {
        Self::user(user, b'n').prefix()
    }

    /// Says that the node wants to hear of the large conversation.
    pub(crate) fn interest(id: &ConversationId, node: NodeNumber) -> Self {
        Self::conversation(id, b'n').with_node(node)
    }

    pub(crate) fn interests(id: &ConversationId) -> KeyRange {
        Self::conversation(id, b'n').prefix()
    }

    /// Says that the node holds a row elsewhere.
    pub(crate) fn held(node: NodeNumber, held: &Held) -> Self {
        let key = Self(vec![SCHEMA_VERSION, HELD]).with_node(node);
        match held {
            Held::Session(user, session) => {
                let number = session.number.get().to_be_bytes();
                key.with(b"s").with_user(user).with(session.device.as_bytes()).with(&number)
            }
            Held::Interest(conversation) => key.with(b"c").with(conversation.as_bytes()),
        }
    }

    /// All that a node holds.
    pub(crate) fn all_held(node: NodeNumber) -> KeyRange {
        Self(vec![SCHEMA_VERSION, HELD]).with_node(node).prefix()
    }

    /// Everything that begins with this key.
    fn prefix(self) -> KeyRange {
        KeyRange::prefix(self.0)
    }

    fn after(self, after: Option<&ConversationId>) -> KeyRange {
        let range = KeyRange::prefix(self.0.clone());
        match after {
            Some(after) => range.after(&self.with(after.as_bytes())),
            None => range,
        }
    }
}

/// The node a row of `nodes` or `interests` is about: the last 8 bytes of its key.
pub(crate) fn node_at_end(key: &[u8]) -> Option<NodeNumber> {
    key.last_chunk::<8>().map(|bytes| NodeNumber::new(u64::from_be_bytes(*bytes)))
}

/// The user a row of `members` or `blocks` is about: the last field of its key.
pub(crate) fn user_at_end(key: &[u8], prefix_length: usize) -> Option<UserId> {
    let rest = key.get(prefix_length..)?;
    let (length, bytes) = rest.split_first()?;
    if bytes.len() != usize::from(*length) {
        return None;
    }
    UserId::parse(std::str::from_utf8(bytes).ok()?).ok()
}

/// The conversation a row of `inbox` or `cursors` is about: the last 16 bytes of its key.
pub(crate) fn conversation_at_end(key: &[u8]) -> Option<ConversationId> {
    let start = key.len().checked_sub(16)?;
    let bytes: [u8; 16] = key.get(start..)?.try_into().ok()?;
    ConversationId::new(bytes).ok()
}

/// The device a row of `user_devices` is about: the last 16 bytes of its key.
pub(crate) fn device_at_end(key: &[u8]) -> Option<DeviceId> {
    let start = key.len().checked_sub(16)?;
    let bytes: [u8; 16] = key.get(start..)?.try_into().ok()?;
    Some(DeviceId::new(bytes))
}

/// When the ticket of a row of `tickets` expires, and its id: all of its key after the server.
pub(crate) fn ticket_of(key: &[u8]) -> Option<(TimestampMs, [u8; TICKET_ID_BYTES])> {
    let (expires_at, id) = key.get(TICKET_PREFIX_BYTES..)?.split_first_chunk()?;
    Some((TimestampMs::new(u64::from_be_bytes(*expires_at)), id.try_into().ok()?))
}
