//! What the chat's state is told, in types of its own, so that tests can tell it anything; and what the state
//! asks to be done. The client's events and answers become updates here.

use fulmar_client::{
    ClientSeq, Content, ConversationId, ConversationState, Event, HistoryEntry, HistoryItem, HistoryPage,
    InboxItem, Ordinal, PresenceState, ReceivedEntry, Role, Roster, Seq, Status, TimestampMs, UserId,
};
use tokio::time::Instant;

use crate::failure::Failure;

/// How the client stands with the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Connecting,
    Online {
        user: UserId,
    },
    Offline {
        reason: String,
        retry_at: Instant,
    },
    /// For good.
    Ended {
        reason: String,
    },
}

/// A conversation as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) id: ConversationId,
    pub(super) peer: Option<UserId>,
    pub(super) title: String,
    pub(super) role: Option<Role>,
    pub(super) head: Seq,
    pub(super) read: Seq,
    pub(super) unread: u64,
    /// When something last happened, where it is known.
    pub(super) last_at: Option<TimestampMs>,
}

/// An entry of a log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) seq: Seq,
    /// How many messages the log holds up to here.
    pub(super) ordinal: Ordinal,
    pub(super) sender: UserId,
    pub(super) at: TimestampMs,
    pub(super) content: Option<Content>,
    /// This device's number for it, where this device sent it.
    pub(super) own_number: Option<ClientSeq>,
}

/// One page of a log, in the order of the log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    /// The range that the page accounts for; `None` when the log is empty.
    pub(super) range: Option<(Seq, Seq)>,
    pub(super) is_first: bool,
}

/// Somebody of a conversation, and how far they have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) user: UserId,
    pub(super) role: Role,
    pub(super) delivered: Seq,
    pub(super) read: Seq,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Update {
    Standing(Standing),
    Inbox(Vec<Outline>),
    Conversation(Outline),
    Entry {
        conversation: ConversationId,
        entry: Entry,
        unread: u64,
    },
    /// A range that is not handed over.
    Skipped {
        conversation: ConversationId,
        last: Seq,
    },
    Marks {
        conversation: ConversationId,
        user: UserId,
        delivered: Seq,
        read: Seq,
    },
    Unread {
        conversation: ConversationId,
        read: Seq,
        unread: u64,
    },
    Presence {
        user: UserId,
        state: PresenceState,
        last_seen: Option<TimestampMs>,
    },
    Typing {
        conversation: ConversationId,
        user: UserId,
        is_typing: bool,
    },
    Page {
        conversation: ConversationId,
        page: Page,
    },
    PageFailed {
        conversation: ConversationId,
        reason: String,
    },
    Roster {
        conversation: ConversationId,
        members: Vec<Member>,
    },
    /// A draft is in the outbox, under this number.
    Queued {
        draft: DraftNumber,
        number: ClientSeq,
    },
    Accepted {
        draft: DraftNumber,
        seq: Seq,
        at: TimestampMs,
    },
    Refused {
        draft: DraftNumber,
        reason: String,
    },
    /// A group was made.
    Created {
        conversation: ConversationId,
    },
    /// The server's store was restored: logs may be others.
    Resynchronised,
    /// Something to tell.
    Notice(String),
}

/// The chat's own number for something it sends, before the client has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct DraftNumber(pub(super) u64);

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    LoadInbox,
    LoadPage { conversation: ConversationId, before: Option<Seq> },
    LoadRoster(ConversationId),
    Watch(Vec<ConversationId>),
    Send { draft: DraftNumber, conversation: ConversationId, peer: Option<UserId>, content: Content },
    Create { title: String, users: Vec<UserId> },
    MarkRead { conversation: ConversationId, seq: Seq },
    Typing { conversation: ConversationId, is_typing: bool },
    Presence(PresenceState),
    Block { user: UserId, blocked: bool },
    Quit,
}

/// The update of an event. Some events tell the chat nothing.
pub(super) fn of_event(event: Event, user: Option<UserId>) -> Option<Update> {
    Some(match event {
        Event::Status(status) => Update::Standing(standing(status, user)),
        Event::Conversation(state) => Update::Conversation(of_state(state)),
        Event::Entry(entry) => {
            let (conversation, unread) = (entry.conversation, entry.unread_after);
            Update::Entry { conversation, entry: received(entry), unread }
        }
        Event::Skipped { conversation, last, .. } => Update::Skipped { conversation, last },
        Event::Marks { conversation, user, delivered, read } => {
            Update::Marks { conversation, user, delivered, read }
        }
        Event::Unread { conversation, read_seq, unread } => {
            Update::Unread { conversation, read: read_seq, unread }
        }
        Event::Presence { user, state, last_seen } => Update::Presence { user, state, last_seen },
        Event::Typing { conversation, user, typing } => {
            Update::Typing { conversation, user, is_typing: typing }
        }
        Event::SendFailed { code, .. } => Update::Notice(format!("an earlier message was refused: {code}")),
        Event::Resynchronised => Update::Resynchronised,
        _ => return None,
    })
}

fn standing(status: Status, user: Option<UserId>) -> Standing {
    match (status, user) {
        (Status::Online, Some(user)) => Standing::Online { user },
        (Status::Offline { retry_at, reason }, _) => Standing::Offline { reason, retry_at },
        (Status::Ended { code, reason }, _) => {
            Standing::Ended { reason: Failure::ended(code, &reason).to_string() }
        }
        _ => Standing::Connecting,
    }
}

fn of_state(state: ConversationState) -> Outline {
    Outline {
        id: state.id,
        peer: state.peer,
        title: state.title,
        role: state.role,
        head: state.head,
        read: state.read_seq,
        unread: state.unread,
        last_at: None,
    }
}

pub(super) fn of_inbox(item: InboxItem) -> Outline {
    Outline {
        id: item.conversation,
        peer: item.peer,
        title: item.title,
        role: item.role,
        head: item.head,
        read: item.read,
        unread: item.unread,
        last_at: Some(item.last_at),
    }
}

fn received(entry: ReceivedEntry) -> Entry {
    let ReceivedEntry { seq, ordinal, sender, at, content, from_this_device, client_seq, .. } = entry;
    Entry { seq, ordinal, sender, at, content, own_number: from_this_device.then_some(client_seq) }
}

/// A page that was asked for backwards.
pub(super) fn of_page(page: &HistoryPage) -> Page {
    let bounds = page.items.iter().map(|item| match item {
        HistoryItem::Entry(entry) => (entry.seq, entry.seq),
        HistoryItem::Hole { first, last, .. } => (*first, *last),
        _ => (Seq::MAX, Seq::ZERO),
    });
    let range = bounds.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
    let mut entries: Vec<Entry> = page.items.iter().filter_map(read_back).collect();
    entries.sort_by_key(|entry| entry.seq);
    Page { entries, range, is_first: page.next.is_none() }
}

fn read_back(item: &HistoryItem) -> Option<Entry> {
    let HistoryItem::Entry(HistoryEntry { seq, ordinal, sender, at, content, .. }) = item else {
        return None;
    };
    let (sender, content) = (sender.clone(), content.clone());
    Some(Entry { seq: *seq, ordinal: *ordinal, sender, at: *at, content, own_number: None })
}

pub(super) fn of_roster(roster: Roster) -> Vec<Member> {
    let member = |member: fulmar_client::Member| Member {
        user: member.user,
        role: member.role,
        delivered: member.delivered,
        read: member.read,
    };
    roster.members.into_iter().map(member).collect()
}
