//! Contents of accepted sends, kept until the log brings them back without their content.
//!
//! Bound: `RECENTLY_SENT_BYTES_MAX`; the oldest are forgotten, and fetched from history when needed.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use fulmar_protocol::{ClientSeq, ConversationId};

use crate::limits::RECENTLY_SENT_BYTES_MAX;

/// What an entry costs beside its content.
const OVERHEAD_BYTES: usize = 128;

#[derive(Default)]
pub(super) struct RecentlySent {
    contents: BTreeMap<(ConversationId, ClientSeq), Bytes>,
    order: VecDeque<(ConversationId, ClientSeq)>,
    bytes: usize,
}

impl RecentlySent {
    pub(super) fn remember(&mut self, id: ConversationId, client_seq: ClientSeq, content: Bytes) {
        self.bytes = self.bytes.saturating_add(cost(&content));
        self.order.push_back((id, client_seq));
        if let Some(before) = self.contents.insert((id, client_seq), content) {
            self.bytes = self.bytes.saturating_sub(cost(&before));
        }
        while self.bytes > RECENTLY_SENT_BYTES_MAX || self.order.len() > 2 * self.contents.len() + 64 {
            let Some(oldest) = self.order.pop_front() else { break };
            self.forget(oldest);
        }
    }

    /// The content, which is not needed again.
    pub(super) fn take(&mut self, id: ConversationId, client_seq: ClientSeq) -> Option<Bytes> {
        let content = self.contents.remove(&(id, client_seq))?;
        self.bytes = self.bytes.saturating_sub(cost(&content));
        Some(content)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn forget(&mut self, key: (ConversationId, ClientSeq)) {
        if let Some(content) = self.contents.remove(&key) {
            self.bytes = self.bytes.saturating_sub(cost(&content));
        }
    }
}

fn cost(content: &Bytes) -> usize {
    content.len().saturating_add(OVERHEAD_BYTES)
}
