//! What is known of one conversation's log: one gapless range of it, up to the newest entry, and what is on
//! its way there. Pure.
//!
//! Older entries are asked for page by page. Where the range would get a gap (because the device was far
//! behind) the older part is dropped: it is asked for again when somebody scrolls there. Edits, reactions and
//! redactions are no lines of their own; they change the entry that they are about, also when that one comes
//! to be known later than they.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_client::{ClientSeq, Content, ContentType, Ordinal, Seq, TimestampMs, UserId};

use super::update::{DraftNumber, Entry, Page};
use crate::entry_line;

/// Entries that are kept of one conversation; then the oldest are dropped.
const ENTRIES_MAX: usize = 4_000;

/// Something of this user's that the server does not have yet, for all that is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    pub(super) number: DraftNumber,
    pub(super) queued_as: Option<ClientSeq>,
    pub(super) content: Content,
    pub(super) refused: Option<String>,
}

/// A message as it is now, with all that was said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) text: String,
    pub(super) is_edited: bool,
    pub(super) is_redacted: bool,
    pub(super) reply_to: Option<Seq>,
    pub(super) reactions: BTreeMap<String, usize>,
}

/// What a line shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    Message(Message),
    /// A change of the group.
    Notice(String),
}

/// One conversation's log.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    entries: BTreeMap<Seq, Entry>,
    /// Which entries are about another one.
    about: BTreeMap<Seq, BTreeSet<Seq>>,
    /// The first seq that is accounted for; `None` while nothing is.
    oldest: Option<Seq>,
    newest: Seq,
    is_first_known: bool,
    drafts: Vec<Draft>,
}

impl Timeline {
    /// The next entry of the log.
    pub(super) fn append(&mut self, entry: Entry) {
        let seq = entry.seq;
        if self.oldest.is_some() && seq > self.newest.next() {
            self.forget();
        }
        self.drafts.retain(|draft| draft.queued_as.is_none() || draft.queued_as != entry.own_number);
        self.account_for(seq, seq);
        self.keep(entry);
        while self.entries.len() > ENTRIES_MAX {
            self.drop_oldest();
        }
    }

    /// A range up to `last` is not handed over.
    pub(super) fn skip(&mut self, last: Seq) {
        if last > self.newest {
            self.forget();
        }
    }

    /// An older page, or the newest where nothing is known. False when it does not meet what is known.
    pub(super) fn prepend(&mut self, page: Page) -> bool {
        let Some((first, last)) = page.range else {
            self.is_first_known |= page.is_first;
            return true;
        };
        if self.oldest.is_some_and(|oldest| last.next() < oldest) {
            return false;
        }
        self.is_first_known |= page.is_first;
        self.account_for(first, last);
        for entry in page.entries {
            self.keep(entry);
        }
        true
    }

    /// Forgets everything but what is on its way.
    pub(super) fn forget(&mut self) {
        let drafts = std::mem::take(&mut self.drafts);
        *self = Self { drafts, ..Self::default() };
    }

    /// Forgets what was refused.
    pub(super) fn forget_refused(&mut self) {
        self.drafts.retain(|draft| draft.refused.is_none());
    }

    fn account_for(&mut self, first: Seq, last: Seq) {
        self.oldest = Some(self.oldest.map_or(first, |oldest| oldest.min(first)));
        self.newest = self.newest.max(last);
    }

    fn keep(&mut self, entry: Entry) {
        if let Some(target) = target_of(entry.content.as_ref()) {
            self.about.entry(target).or_default().insert(entry.seq);
        }
        self.entries.insert(entry.seq, entry);
    }

    fn drop_oldest(&mut self) {
        if let Some((seq, entry)) = self.entries.pop_first() {
            self.oldest = Some(seq.next());
            self.is_first_known = false;
            self.about.remove(&seq);
            if let Some(target) = target_of(entry.content.as_ref()) {
                self.about.remove(&target);
            }
        }
    }

    /// Something is on its way.
    pub(super) fn draft(&mut self, number: DraftNumber, content: Content) {
        self.drafts.push(Draft { number, queued_as: None, content, refused: None });
    }

    pub(super) fn draft_mut(&mut self, number: DraftNumber) -> Option<&mut Draft> {
        self.drafts.iter_mut().find(|draft| draft.number == number)
    }

    /// The server has it, as this entry.
    pub(super) fn accepted(&mut self, number: DraftNumber, seq: Seq, at: TimestampMs, sender: UserId) {
        let Some(at_index) = self.drafts.iter().position(|draft| draft.number == number) else { return };
        let draft = self.drafts.remove(at_index);
        // Where others come before it, the log will bring it in its turn.
        if self.newest.next() == seq {
            let before = self.ordinal_before(seq).unwrap_or_default();
            let is_message = matches!(draft.content, Content::Message(_));
            let ordinal = if is_message { before.next() } else { before };
            let (content, own_number) = (Some(draft.content), draft.queued_as);
            self.append(Entry { seq, ordinal, sender, at, content, own_number });
        }
    }

    pub(super) fn drafts(&self) -> &[Draft] {
        &self.drafts
    }

    /// The entries that are lines, oldest first.
    pub(super) fn lines(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.values().filter(|entry| self.is_line(entry))
    }

    /// The entries that are lines, up to this one.
    pub(super) fn lines_up_to(&self, last: Seq) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.range(..=last).map(|(_, entry)| entry).filter(|entry| self.is_line(entry))
    }

    /// The entries that are lines, after this one.
    pub(super) fn lines_after(&self, seq: Seq) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.range(seq.next()..).map(|(_, entry)| entry).filter(|entry| self.is_line(entry))
    }

    /// Whether an entry is a line of its own. What changes another entry is none; nor is an edit that was
    /// redacted, which only its ordinal tells from a message that was: it counts no further.
    fn is_line(&self, entry: &Entry) -> bool {
        match &entry.content {
            Some(Content::Edit(_) | Content::Redact(_) | Content::React(_)) => false,
            Some(Content::Redacted(_)) => self.ordinal_before(entry.seq) < Some(entry.ordinal),
            _ => true,
        }
    }

    fn ordinal_before(&self, seq: Seq) -> Option<Ordinal> {
        self.entries.range(..seq).next_back().map(|(_, before)| before.ordinal)
    }

    pub(super) fn entry(&self, seq: Seq) -> Option<&Entry> {
        self.entries.get(&seq)
    }

    pub(super) fn newest(&self) -> Seq {
        self.newest
    }

    /// Where an older page ends: `Some(None)` asks for the newest, `None` for nothing, since all is there.
    pub(super) fn wanted_before(&self) -> Option<Option<Seq>> {
        match self.oldest {
            None => Some(None),
            Some(oldest) if self.is_first_known || oldest <= Seq::FIRST => None,
            Some(oldest) => Some(Some(oldest.previous())),
        }
    }

    /// What the line of an entry shows.
    pub(super) fn shown(&self, entry: &Entry) -> Shown {
        match &entry.content {
            Some(Content::Message(message)) => {
                Shown::Message(self.message(entry, &message.content_type, &message.body, message.reply_to))
            }
            Some(Content::Redacted(_)) => Shown::Message(redacted()),
            Some(content) => Shown::Notice(entry_line::describe(content).trim_start_matches("* ").to_owned()),
            None => Shown::Notice("did something this version does not know".to_owned()),
        }
    }

    fn message(
        &self,
        entry: &Entry,
        content_type: &ContentType,
        body: &[u8],
        reply_to: Option<Seq>,
    ) -> Message {
        let text = entry_line::body_lines(content_type, body);
        let mut message =
            Message { text, is_edited: false, is_redacted: false, reply_to, reactions: BTreeMap::new() };
        let mut reactions: BTreeMap<&str, BTreeSet<&UserId>> = BTreeMap::new();
        for seq in self.about.get(&entry.seq).into_iter().flatten() {
            let Some(change) = self.entries.get(seq) else { continue };
            match &change.content {
                Some(Content::Edit(edit)) => {
                    message.text = entry_line::body_lines(&edit.content_type, &edit.body);
                    message.is_edited = true;
                }
                Some(Content::Redact(_)) => return redacted(),
                Some(Content::React(react)) => {
                    let users = reactions.entry(react.reaction.as_str()).or_default();
                    if react.removed {
                        users.remove(&change.sender)
                    } else {
                        users.insert(&change.sender)
                    };
                }
                _ => {}
            }
        }
        let counted = reactions.into_iter().filter(|(_, users)| !users.is_empty());
        message.reactions = counted.map(|(reaction, users)| (reaction.to_owned(), users.len())).collect();
        message
    }
}

fn redacted() -> Message {
    Message {
        text: "(taken back)".to_owned(),
        is_edited: false,
        is_redacted: true,
        reply_to: None,
        reactions: BTreeMap::new(),
    }
}

fn target_of(content: Option<&Content>) -> Option<Seq> {
    match content {
        Some(Content::Edit(edit)) => Some(edit.target_seq),
        Some(Content::Redact(redact)) => Some(redact.target_seq),
        Some(Content::React(react)) => Some(react.target_seq),
        _ => None,
    }
}
