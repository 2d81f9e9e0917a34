//! What is to be written to the state, gathered over turns of the driver, and what waits for it to be durable.
//!
//! Urgent changes go to the writer at the end of the turn; the others wait for company, at most `LAZY_WRITE`.
//! While the writer has much before it the journal gathers on, so that a slow disk makes larger batches, not a
//! longer queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fulmar_protocol::{ClientSeq, ConversationId, DeviceId, Epoch, Outbox, UserId};
use tokio::time::Instant;

use crate::driver::confirming::Prepared;
use crate::error::ClientError;
use crate::limits::LAZY_WRITE;
use crate::state::{Batch, ConversationRow, Store, Ticket};

/// What is done when a change is durable.
pub(super) enum Effect {
    /// The entry goes into its outbox.
    Enqueued(ConversationId, ClientSeq),
    /// The state holds no send of the conversation below this number any more.
    Settled(ConversationId, ClientSeq),
    /// The conversation's new numbers may be used.
    Renumbered(ConversationId),
    /// Cursors and read marks may be told to the server.
    Prepared(Prepared),
    /// The new device id may be used.
    DeviceRenewed,
}

/// The journal. Call [`Journal::flush`] at the end of each turn, with the rows of what changed.
pub(super) struct Journal {
    store: Store,
    batch: Batch,
    effects: Vec<Effect>,
    conversations: BTreeSet<ConversationId>,
    /// The lowest number without an answer, where one was answered since the last batch.
    settling: BTreeMap<ConversationId, ClientSeq>,
    urgent: bool,
    lazy_since: Option<Instant>,
    under_way: VecDeque<(Ticket, Vec<Effect>)>,
}

impl Journal {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            batch: Batch::default(),
            effects: Vec::new(),
            conversations: BTreeSet::new(),
            settling: BTreeMap::new(),
            urgent: false,
            lazy_since: None,
            under_way: VecDeque::new(),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Batch)) {
        if self.store.keeps() {
            change(&mut self.batch);
        }
    }

    pub(super) fn device(&mut self, device: DeviceId) {
        self.change(|batch| batch.device(device));
    }

    pub(super) fn user(&mut self, user: &UserId) {
        self.change(|batch| batch.user(user));
    }

    pub(super) fn epoch(&mut self, epoch: Epoch) {
        self.change(|batch| batch.epoch(epoch));
    }

    pub(super) fn outbox(&mut self, id: ConversationId, client_seq: ClientSeq, content: &[u8]) {
        self.change(|batch| batch.outbox(id, client_seq, content));
    }

    pub(super) fn clear_outbox(&mut self, id: ConversationId, client_seq: ClientSeq) {
        self.change(|batch| batch.clear_outbox(id, client_seq));
    }

    /// A send was answered, and taken out of the outbox: it goes from the state too, and then, or at once
    /// without a disk, the window moves on.
    pub(super) fn answered(&mut self, id: ConversationId, client_seq: ClientSeq, outbox: &mut Outbox) {
        if self.store.keeps() {
            self.clear_outbox(id, client_seq);
            self.settling.insert(id, outbox.lowest_unanswered());
        } else {
            outbox.settle(outbox.lowest_unanswered());
        }
    }

    /// Somebody waits for what is gathered.
    pub(super) fn hurry(&mut self) {
        self.urgent = true;
    }

    pub(super) fn forget_conversation(&mut self, id: ConversationId) {
        self.conversations.remove(&id);
        self.change(|batch| batch.forget_conversation(id));
    }

    /// The conversation's row changed; it is encoded when the batch is made.
    pub(super) fn conversation(&mut self, id: ConversationId) {
        if self.store.keeps() {
            self.conversations.insert(id);
        }
    }

    /// Something waits for what was written before this call: the batch goes at the end of the turn.
    pub(super) fn then(&mut self, effect: Effect) {
        self.effects.push(effect);
        self.urgent = true;
    }

    /// When the gathered changes are due, if there are any that nobody waits for.
    pub(super) fn due(&self) -> Option<Instant> {
        // While the writer is busy, its next answer is what wakes the driver.
        self.lazy_since.filter(|_| self.store.has_room()).map(|since| since + LAZY_WRITE)
    }

    /// Makes a batch of what is gathered, if it is time. Answers with what is durable at once.
    pub(super) fn flush(
        &mut self,
        now: Instant,
        row: impl Fn(ConversationId) -> Option<ConversationRow>,
    ) -> Vec<Effect> {
        let gathered = !self.batch.is_empty() || !self.conversations.is_empty();
        if gathered && !self.urgent && self.lazy_since.is_none() {
            self.lazy_since = Some(now);
        }
        let due = self.due().is_some_and(|due| due <= now);
        if !(self.urgent || due) || !self.store.has_room() {
            return Vec::new();
        }
        for id in std::mem::take(&mut self.conversations) {
            if let Some(row) = row(id) {
                self.batch.conversation(id, &row);
            }
        }
        self.urgent = false;
        self.lazy_since = None;
        let mut effects = std::mem::take(&mut self.effects);
        effects.extend(
            std::mem::take(&mut self.settling).into_iter().map(|(id, lowest)| Effect::Settled(id, lowest)),
        );
        let ticket = self.store.submit(std::mem::take(&mut self.batch));
        if self.store.is_durable(ticket) {
            return effects;
        }
        self.under_way.push_back((ticket, effects));
        Vec::new()
    }

    /// Waits until more is durable, and answers with what waited for it. Cancel-safe.
    pub(super) async fn committed(&mut self) -> Result<Vec<Effect>, ClientError> {
        self.store.committed().await?;
        let mut effects = Vec::new();
        while let Some((ticket, _)) = self.under_way.front() {
            if !self.store.is_durable(*ticket) {
                break;
            }
            effects.extend(self.under_way.pop_front().into_iter().flat_map(|(_, waiting)| waiting));
        }
        Ok(effects)
    }

    /// Writes the rest, and closes the file.
    pub(super) async fn close(mut self, row: impl Fn(ConversationId) -> Option<ConversationRow>) {
        for id in std::mem::take(&mut self.conversations) {
            if let Some(row) = row(id) {
                self.batch.conversation(id, &row);
            }
        }
        if !self.batch.is_empty() {
            self.store.submit(self.batch);
        }
        self.store.close().await;
    }
}
