//! What a batch of sends has changed so far, inside its transaction.
//!
//! Rows that later sends of the batch may refer to (entries, members) are written at once, since the
//! transaction reads its own writes; rows that every send touches (head, inboxes, marks) are gathered and
//! written by `finish`.

mod membership;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use fulmar_protocol::{
    Content, ConversationId, ConversationKind, CreateGroup, Edit, Entry, ErrorCode, Redacted, Role, Seq,
    TimestampMs, Title, UserId,
};

use super::{
    LogError,
    append::{Appended, SendOutcome, SendRequest},
    entry::StoredEntry,
    roster::Roster,
    rules,
};
use crate::{
    fault::Faults,
    limits::{EDITS_PER_MESSAGE_MAX, FAN_OUT_MEMBERS_MAX, Limits},
    rows::{Head, InboxRow, Key, ReadMarkRow},
    store::Transaction,
};

/// A refusal is an answer, not a failure: the transaction goes on.
type Applied<T> = Result<Result<T, ErrorCode>, LogError>;

pub(crate) struct Draft<'t> {
    pub(crate) transaction: &'t Transaction,
    pub(crate) id: ConversationId,
    pub(crate) head: Head,
    pub(crate) roster: Arc<Roster>,
    now: TimestampMs,
    limits: &'t Limits,
    pub(crate) faults: &'t Faults,
    entries: Vec<StoredEntry>,
    redacted: Vec<StoredEntry>,
    joined: BTreeSet<UserId>,
    departed: BTreeSet<UserId>,
    read_marks: BTreeMap<UserId, ReadMarkRow>,
    stored_bytes: BTreeMap<UserId, u64>,
    /// Rows of it that were read before anybody asked.
    stored_bytes_known: BTreeMap<UserId, Option<Bytes>>,
}

impl<'t> Draft<'t> {
    pub(crate) fn new(
        transaction: &'t Transaction,
        id: ConversationId,
        head: Head,
        roster: Arc<Roster>,
        now: TimestampMs,
        limits: &'t Limits,
        faults: &'t Faults,
    ) -> Self {
        Self {
            transaction,
            id,
            head,
            roster,
            now,
            limits,
            faults,
            entries: Vec::new(),
            redacted: Vec::new(),
            joined: BTreeSet::new(),
            departed: BTreeSet::new(),
            read_marks: BTreeMap::new(),
            stored_bytes: BTreeMap::new(),
            stored_bytes_known: BTreeMap::new(),
        }
    }

    /// Takes in what users' messages take, as the store has it.
    pub(crate) fn know_stored_bytes(&mut self, rows: BTreeMap<UserId, Option<Bytes>>) {
        self.stored_bytes_known = rows;
    }

    /// The entry with this seq, if there is one.
    pub(crate) async fn entry(&self, seq: Seq) -> Result<Option<StoredEntry>, LogError> {
        if seq == Seq::ZERO || seq > self.head.seq {
            return Ok(None);
        }
        let row = self.transaction.get(&Key::entry(&self.id, seq)).await?;
        row.map(|frame| StoredEntry::decode(&frame)).transpose()
    }

    /// Judges one send and, if it may be, appends it.
    pub(crate) async fn apply(&mut self, request: &SendRequest) -> Applied<Seq> {
        let content = match &request.parsed {
            Ok(content) => content,
            Err(code) => return Ok(Err(*code)),
        };
        if !self.has_room(request).await? {
            return Ok(Err(ErrorCode::StorageQuotaExceeded));
        }
        if !self.head.exists() {
            return self.begin(request, content).await;
        }
        if let Err(code) = self.judge(request, content).await? {
            return Ok(Err(code));
        }
        Ok(Ok(self.push(request, content).await?))
    }

    /// The conversation's first entry: it makes the conversation.
    async fn begin(&mut self, request: &SendRequest, content: &Content) -> Applied<Seq> {
        let sender = &request.sender.user;
        match (content, &request.peer) {
            (Content::CreateGroup(create), _) if self.id.kind() == ConversationKind::Group => {
                if let Err(code) = self.create_group(sender, create).await? {
                    return Ok(Err(code));
                }
            }
            // There is nothing yet to reply to.
            (Content::Message(message), Some(_)) if message.reply_to.is_some() => {
                return Ok(Err(ErrorCode::TargetNotFound));
            }
            (Content::Message(_), Some(peer)) => {
                let refuses_new = self
                    .transaction
                    .get(&Key::settings(peer))
                    .await?
                    .is_some_and(|value| value.first() == Some(&1));
                let blocked = self.first_or_second_blocks(sender, peer);
                if (refuses_new || blocked) && peer != sender {
                    return Ok(Err(ErrorCode::RecipientUnavailable));
                }
                self.join(sender, Role::Member, Seq::FIRST).await?;
                self.join(peer, Role::Member, Seq::FIRST).await?;
            }
            (_, Some(_)) => return Ok(Err(ErrorCode::TargetNotFound)),
            _ => return Ok(Err(ErrorCode::ConversationNotFound)),
        }
        Ok(Ok(self.push(request, content).await?))
    }

    /// Whether `peer` blocks `sender`, before there is a roster to ask.
    fn first_or_second_blocks(&self, sender: &UserId, peer: &UserId) -> bool {
        if peer < sender { self.head.first_blocks } else { self.head.second_blocks }
    }

    async fn create_group(&mut self, creator: &UserId, create: &CreateGroup) -> Applied<()> {
        if ConversationId::group(creator, &create.nonce) != self.id {
            return Ok(Err(ErrorCode::GroupIdMismatch));
        }
        let members: BTreeSet<&UserId> = create.members.iter().filter(|user| *user != creator).collect();
        if members.len() >= self.limits.group_members_max {
            return Ok(Err(ErrorCode::GroupTooLarge));
        }
        self.head.history_policy = create.history_policy;
        self.join(creator, Role::Owner, Seq::FIRST).await?;
        for member in members {
            self.join(member, Role::Member, Seq::FIRST).await?;
        }
        self.set_title(&create.title);
        Ok(Ok(()))
    }

    /// Everything but the appending itself: rights, references, and the change of members.
    async fn judge(&mut self, request: &SendRequest, content: &Content) -> Applied<()> {
        let sender = &request.sender.user;
        if let Err(code) = rules::permits(&self.roster, sender, content) {
            return Ok(Err(code));
        }
        if self.id.kind() == ConversationKind::Direct
            && self.roster.blocks(sender)
            && !matches!(content, Content::Redact(_))
        {
            return Ok(Err(ErrorCode::RecipientUnavailable));
        }
        match content {
            Content::Message(message) => match message.reply_to {
                Some(target) => Ok(self.visible_target(sender, target).await?.map(|_| ())),
                None => Ok(Ok(())),
            },
            Content::Edit(edit) => self.judge_edit(sender, edit).await,
            Content::React(react) => match self.visible_target(sender, react.target_seq).await? {
                Ok(target) => Ok(still_a_message(&target)),
                Err(code) => Ok(Err(code)),
            },
            Content::Redact(redact) => self.redact(sender, redact.target_seq).await,
            Content::SetTitle(title) => {
                self.set_title(&title.title);
                Ok(Ok(()))
            }
            Content::AddMembers(add) => self.add(&add.users).await,
            Content::RemoveMembers(remove) => self.remove(sender, &remove.users).await,
            Content::Leave(_) => match rules::may_leave(&self.roster, sender) {
                Ok(()) => {
                    self.depart(sender).await?;
                    Ok(Ok(()))
                }
                Err(code) => Ok(Err(code)),
            },
            Content::SetRole(set) => self.set_role(sender, &set.user, set.role).await,
            Content::TransferOwnership(transfer) => self.transfer(sender, &transfer.user).await,
            Content::CreateGroup(_) | Content::Redacted(_) => Ok(Err(ErrorCode::ContentInvalid)),
        }
    }

    /// The entry referred to, if the sender may see it.
    async fn visible_target(&self, sender: &UserId, target: Seq) -> Applied<StoredEntry> {
        let Some(entry) = self.entry(target).await? else {
            return Ok(Err(ErrorCode::TargetNotFound));
        };
        let member = self.member(sender).await?;
        if member.is_some_and(|member| member.may_read(target)) {
            Ok(Ok(entry))
        } else {
            Ok(Err(ErrorCode::TargetNotFound))
        }
    }

    async fn judge_edit(&mut self, sender: &UserId, edit: &Edit) -> Applied<()> {
        let target = match self.visible_target(sender, edit.target_seq).await? {
            Ok(target) => target,
            Err(code) => return Ok(Err(code)),
        };
        if target.sender != *sender {
            return Ok(Err(ErrorCode::NotPermitted));
        }
        if let Err(code) = still_a_message(&target) {
            return Ok(Err(code));
        }
        let edits = Key::edits(&self.id, edit.target_seq);
        let count = self.transaction.range(edits, EDITS_PER_MESSAGE_MAX, false).await?.len();
        if count >= EDITS_PER_MESSAGE_MAX {
            return Ok(Err(ErrorCode::TooManyEdits));
        }
        let key = Key::edit(&self.id, edit.target_seq, self.head.seq.next());
        self.transaction.set(&key, Bytes::new());
        Ok(Ok(()))
    }

    /// Takes the body out of a message and of all its edits. The index of edits goes with it.
    async fn redact(&mut self, sender: &UserId, target: Seq) -> Applied<()> {
        let entry = match self.visible_target(sender, target).await? {
            Ok(entry) => entry,
            Err(code) => return Ok(Err(code)),
        };
        if let Err(code) = rules::may_redact(&self.roster, sender, &entry.sender) {
            return Ok(Err(code));
        }
        if let Err(code) = still_a_message(&entry) {
            return Ok(Err(code));
        }
        let range = Key::edits(&self.id, target);
        let edits = self.transaction.range(range.clone(), EDITS_PER_MESSAGE_MAX, false).await?;
        self.tombstone(&entry).await?;
        for (key, _) in edits {
            let seq = key.last_chunk::<8>().map(|bytes| Seq::new(u64::from_be_bytes(*bytes)));
            if let Some(edit) = self.entry(seq.unwrap_or(Seq::ZERO)).await? {
                self.tombstone(&edit).await?;
            }
        }
        self.transaction.clear_range(range);
        Ok(Ok(()))
    }

    async fn tombstone(&mut self, entry: &StoredEntry) -> Result<(), LogError> {
        let by = self.head.seq.next();
        let tombstone = entry.with_content(Content::Redacted(Redacted { by_seq: by }).encode());
        self.transaction.set(&Key::entry(&self.id, entry.seq), tombstone.frame.clone());
        if self.limits.stored_bytes_per_user_max > 0 {
            let used = self.stored_bytes(&entry.sender).await?;
            *used = used.saturating_sub(length(&entry.content));
        }
        // The batch may still hold the entry itself, as one of its own.
        self.entries.iter_mut().filter(|own| own.seq == entry.seq).for_each(|own| *own = tombstone.clone());
        self.redacted.push(tombstone);
        Ok(())
    }

    fn set_title(&mut self, title: &Title) {
        let value = Bytes::copy_from_slice(title.as_str().as_bytes());
        self.transaction.set(&Key::title(&self.id), value);
    }

    /// Appends the entry. Everything that could refuse it has been asked.
    async fn push(&mut self, request: &SendRequest, content: &Content) -> Result<Seq, LogError> {
        let sender = &request.sender;
        let is_message = matches!(content, Content::Message(_));
        let seq = self.head.seq.next();
        self.head.seq = seq;
        if is_message {
            self.head.ordinal = self.head.ordinal.next();
        }
        self.head.at = self.now.max(self.head.at);
        let entry = StoredEntry::encode(Entry {
            seq,
            ordinal: self.head.ordinal,
            at: self.head.at,
            sender: sender.user.clone(),
            device_tag: sender.tag,
            client_seq: request.client_seq,
            content: request.content.clone(),
        });
        self.transaction.set(&Key::entry(&self.id, seq), entry.frame.clone());
        self.entries.push(entry);
        if self.limits.stored_bytes_per_user_max > 0 {
            *self.stored_bytes(&sender.user).await? += length(&request.content);
        }
        // Whoever writes has read what stands above (and does not count their own as unread).
        let mark = ReadMarkRow { seq, ordinal: self.head.ordinal };
        self.read_marks.insert(sender.user.clone(), mark);
        let first_message =
            is_message && self.roster.role(&sender.user).is_some() && !self.roster.wrote(&sender.user);
        if first_message && let Some(mut member) = self.member(&sender.user).await? {
            member.wrote = true;
            self.set_member(&sender.user, &member)?;
        }
        Ok(seq)
    }

    /// Whether the sender's quota allows these bytes. What frees space is always let through.
    async fn has_room(&mut self, request: &SendRequest) -> Result<bool, LogError> {
        let max = self.limits.stored_bytes_per_user_max;
        if max == 0 {
            return Ok(true);
        }
        let used = *self.stored_bytes(&request.sender.user).await?;
        let frees = matches!(request.parsed, Ok(Content::Redact(_) | Content::Leave(_)));
        Ok(frees || used.saturating_add(length(&request.content)) <= max)
    }

    /// What the user's messages take, as of this point in the batch.
    async fn stored_bytes(&mut self, user: &UserId) -> Result<&mut u64, LogError> {
        if !self.stored_bytes.contains_key(user) {
            let row = match self.stored_bytes_known.remove(user) {
                Some(row) => row,
                None => self.transaction.get(&Key::stored_bytes(user)).await?,
            };
            let used = row.and_then(|row| Some(u64::from_be_bytes(*row.first_chunk()?))).unwrap_or(0);
            self.stored_bytes.insert(user.clone(), used);
        }
        Ok(self.stored_bytes.entry(user.clone()).or_default())
    }

    /// Writes what the batch gathered.
    pub(crate) async fn finish(mut self, outcomes: Vec<SendOutcome>) -> Result<Appended, LogError> {
        let was_large = self.head.large;
        if !self.entries.is_empty() {
            self.bump_inboxes()?;
            for (user, mark) in &self.read_marks {
                self.transaction.byte_max(&Key::read_mark(&self.id, user), mark.encode());
            }
            for (user, bytes) in &self.stored_bytes {
                let value = Bytes::copy_from_slice(&bytes.to_be_bytes());
                self.transaction.set(&Key::stored_bytes(user), value);
            }
            self.transaction.set(&Key::head(&self.id), self.head.encode());
        }
        Ok(Appended {
            outcomes,
            head: self.head,
            roster: self.roster,
            entries: self.entries,
            redacted: self.redacted,
            departed: self.departed.into_iter().collect(),
            joined: self.joined.into_iter().collect(),
            was_large,
            maybe_committed: self.transaction.maybe_committed(),
        })
    }

    /// A row for each member up to the fan-out limit. The batch in which a group outgrows it writes a last
    /// one for everybody, which says so; after that only those who come or go are told.
    fn bump_inboxes(&mut self) -> Result<(), LogError> {
        let was_large = self.head.large;
        self.head.large |= self.roster.members.len() > FAN_OUT_MEMBERS_MAX;
        let row = InboxRow { large: self.head.large, seq: self.head.seq, at: self.head.at };
        let everybody = self.roster.members.keys().filter(|_| !was_large);
        let newcomers = self.joined.iter().filter(|_| was_large);
        for user in everybody.chain(newcomers).chain(&self.departed) {
            self.transaction.byte_max(&Key::inbox(user, &self.id), row.encode());
        }
        Ok(())
    }
}

fn still_a_message(entry: &StoredEntry) -> Result<(), ErrorCode> {
    match Content::decode(&entry.content) {
        Ok(Content::Message(_)) => Ok(()),
        _ => Err(ErrorCode::TargetNotSuitable),
    }
}

fn length(content: &Bytes) -> u64 {
    u64::try_from(content.len()).unwrap_or(u64::MAX)
}
