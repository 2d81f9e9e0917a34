//! The error codes: what a peer is told. The local cause, with its details, stays in the log.
//!
//! Numbers are those of `spec/registry.toml` (a test compares the two) and are never used again.

use std::fmt;

/// Whether the same again may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The same again is refused again.
    Never,
    /// At once.
    Now,
    /// After the time given, or a back-off.
    Later,
}

/// What an error may end or refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorScope {
    /// The connection is closed with it.
    Connection,
    /// A request is answered with it (`Problem`).
    Request,
    /// A lane is reset or stopped with it.
    Lane,
    /// A send is refused with it (`Refused`).
    Send,
}

/// Why something was refused or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// Goodbye. From a client: it left on purpose.
    NoError,
    /// The server failed; its log says why.
    Internal,
    /// A frame type below 0x1000 that the receiver does not know.
    UnknownCriticalFrame,
    /// A frame longer than its limit.
    FrameTooLong,
    /// A stream ended inside a frame.
    FrameTruncated,
    /// A payload that does not decode, or holds a value that is never valid.
    FrameMalformed,
    /// A known frame on a stream, or at a moment, where it does not belong.
    FrameUnexpected,
    /// A datagram that does not decode.
    DatagramMalformed,
    /// Extension hedging: a seq came in a datagram and on its lane with different entries.
    EntryDiffers,
    /// No Hello within the time allowed.
    HelloTimeout,
    /// Streams were opened but no Hello came in time. It may have been lost on the way.
    NotAuthenticated,
    /// The token does not parse, or its signature, algorithm, key or claims are wrong.
    TokenInvalid,
    /// The token's exp has passed.
    TokenExpired,
    /// The token is for another audience.
    TokenWrongAudience,
    /// The user's tokens up to now were revoked.
    TokenRevoked,
    /// A Reauthenticate names another user.
    TokenUserChanged,
    /// A user id that is not 1 to 128 bytes of text.
    UserIdInvalid,
    /// The device id belongs to another user.
    DeviceTaken,
    /// The user has the most devices allowed.
    TooManyDevices,
    /// The user, or the server, has the most sessions allowed.
    TooManySessions,
    /// A newer connection of the same device took over.
    SessionReplaced,
    /// The server is draining or stopping.
    GoingAway,
    /// The store takes no writes now.
    StoreUnavailable,
    /// Hello names another user than its token: the client's state belongs to somebody else.
    UserMismatch,
    /// From a client: it lets go of the connection and comes back. Its user is away, not offline.
    Away,
    /// No such conversation.
    ConversationNotFound,
    /// The user is not a member now.
    NotAMember,
    /// The user's role does not allow it.
    NotPermitted,
    /// The other user takes no messages from this one.
    RecipientUnavailable,
    /// The conversation id is not that of the two users.
    DirectIdMismatch,
    /// The conversation id is not that of creator and nonce.
    GroupIdMismatch,
    /// The group was created before.
    ConversationExists,
    /// A body over the limit.
    BodyTooLarge,
    /// Content that does not decode, or a field of it out of its limits.
    ContentInvalid,
    /// The seq referred to is not an entry the user may see.
    TargetNotFound,
    /// The entry referred to is not a message, or was redacted.
    TargetNotSuitable,
    /// The message was edited as often as allowed.
    TooManyEdits,
    /// The group would have more members than allowed.
    GroupTooLarge,
    /// The owner of a group with other members leaves only after a transfer.
    OwnerMustTransfer,
    /// A user to add is a member already.
    AlreadyMember,
    /// The user named is not a member.
    UserNotMember,
    /// The user has left and come back as often as allowed.
    TooManyRejoins,
    /// Numbers are missing before this one; the refusal names the one expected.
    ClientSeqAhead,
    /// The number was used for another body, or is too old to tell: take a new device id and send again.
    ClientSeqReused,
    /// More than limits.unanswered_sends_max sends without an answer.
    TooManyUnanswered,
    /// The conversation has a send lane already.
    LaneAlreadyOpen,
    /// A cursor past what was sent to this device.
    CursorBeyondSent,
    /// Skipped ranges out of order, overlapping or adjacent, too many, or above the cursor.
    CursorInvalid,
    /// A read mark past the end of what the user may read.
    MarkBeyondHead,
    /// A limit of 0 or above the maximum.
    RangeInvalid,
    /// More conversations on screen than allowed.
    TooManyWatched,
    /// More users blocked than allowed.
    TooManyBlocked,
    /// A Confirm with more items than allowed.
    TooManyInBatch,
    /// The user sends faster than allowed.
    RateLimited,
    /// The user starts conversations faster than allowed.
    ConversationRateLimited,
    /// The user's messages fill the space allowed.
    StorageQuotaExceeded,
    /// A number that this edition does not know. Made only by `from`, so it is never the number of a code
    /// above.
    Unknown(u32),
}

/// One row of the registry.
struct Row {
    code: u32,
    name: &'static str,
    retry: Retry,
    scope: &'static [ErrorScope],
}

const fn row(code: u32, name: &'static str, retry: Retry, scope: &'static [ErrorScope]) -> Row {
    Row { code, name, retry, scope }
}

impl ErrorCode {
    /// Every code of this edition, in the order of the registry.
    pub const ALL: &'static [Self] = &[
        Self::NoError,
        Self::Internal,
        Self::UnknownCriticalFrame,
        Self::FrameTooLong,
        Self::FrameTruncated,
        Self::FrameMalformed,
        Self::FrameUnexpected,
        Self::DatagramMalformed,
        Self::EntryDiffers,
        Self::HelloTimeout,
        Self::NotAuthenticated,
        Self::TokenInvalid,
        Self::TokenExpired,
        Self::TokenWrongAudience,
        Self::TokenRevoked,
        Self::TokenUserChanged,
        Self::UserIdInvalid,
        Self::DeviceTaken,
        Self::TooManyDevices,
        Self::TooManySessions,
        Self::SessionReplaced,
        Self::GoingAway,
        Self::StoreUnavailable,
        Self::UserMismatch,
        Self::Away,
        Self::ConversationNotFound,
        Self::NotAMember,
        Self::NotPermitted,
        Self::RecipientUnavailable,
        Self::DirectIdMismatch,
        Self::GroupIdMismatch,
        Self::ConversationExists,
        Self::BodyTooLarge,
        Self::ContentInvalid,
        Self::TargetNotFound,
        Self::TargetNotSuitable,
        Self::TooManyEdits,
        Self::GroupTooLarge,
        Self::OwnerMustTransfer,
        Self::AlreadyMember,
        Self::UserNotMember,
        Self::TooManyRejoins,
        Self::ClientSeqAhead,
        Self::ClientSeqReused,
        Self::TooManyUnanswered,
        Self::LaneAlreadyOpen,
        Self::CursorBeyondSent,
        Self::CursorInvalid,
        Self::MarkBeyondHead,
        Self::RangeInvalid,
        Self::TooManyWatched,
        Self::TooManyBlocked,
        Self::TooManyInBatch,
        Self::RateLimited,
        Self::ConversationRateLimited,
        Self::StorageQuotaExceeded,
    ];

    const fn row(self) -> Row {
        use ErrorScope::{Connection, Lane, Request, Send};
        use Retry::{Later, Never, Now};
        match self {
            Self::NoError => row(0x00, "no_error", Now, &[Connection]),
            Self::Internal => row(0x01, "internal", Later, &[Connection, Request, Lane, Send]),
            Self::UnknownCriticalFrame => row(0x02, "unknown_critical_frame", Never, &[Connection]),
            Self::FrameTooLong => row(0x03, "frame_too_long", Never, &[Connection]),
            Self::FrameTruncated => row(0x04, "frame_truncated", Never, &[Connection]),
            Self::FrameMalformed => row(0x05, "frame_malformed", Never, &[Connection]),
            Self::FrameUnexpected => row(0x06, "frame_unexpected", Never, &[Connection]),
            Self::DatagramMalformed => row(0x07, "datagram_malformed", Never, &[Connection]),
            Self::EntryDiffers => row(0x08, "entry_differs", Never, &[Connection]),
            Self::HelloTimeout => row(0x10, "hello_timeout", Now, &[Connection]),
            Self::NotAuthenticated => row(0x11, "not_authenticated", Later, &[Connection]),
            Self::TokenInvalid => row(0x12, "token_invalid", Never, &[Connection, Request]),
            Self::TokenExpired => row(0x13, "token_expired", Never, &[Connection, Request]),
            Self::TokenWrongAudience => row(0x14, "token_wrong_audience", Never, &[Connection, Request]),
            Self::TokenRevoked => row(0x15, "token_revoked", Never, &[Connection, Request]),
            Self::TokenUserChanged => row(0x16, "token_user_changed", Never, &[Request]),
            Self::UserIdInvalid => row(0x17, "user_id_invalid", Never, &[Connection, Send, Request]),
            Self::DeviceTaken => row(0x18, "device_taken", Never, &[Connection]),
            Self::TooManyDevices => row(0x19, "too_many_devices", Later, &[Connection]),
            Self::TooManySessions => row(0x1a, "too_many_sessions", Later, &[Connection]),
            Self::SessionReplaced => row(0x1b, "session_replaced", Never, &[Connection]),
            Self::GoingAway => row(0x1c, "going_away", Later, &[Connection]),
            Self::StoreUnavailable => row(0x1d, "store_unavailable", Later, &[Connection, Request, Send]),
            Self::UserMismatch => row(0x1e, "user_mismatch", Never, &[Connection]),
            Self::Away => row(0x1f, "away", Now, &[Connection]),
            Self::ConversationNotFound => row(0x20, "conversation_not_found", Never, &[Lane, Send, Request]),
            Self::NotAMember => row(0x21, "not_a_member", Never, &[Send, Request]),
            Self::NotPermitted => row(0x22, "not_permitted", Never, &[Send]),
            Self::RecipientUnavailable => row(0x23, "recipient_unavailable", Never, &[Send]),
            Self::DirectIdMismatch => row(0x24, "direct_id_mismatch", Never, &[Lane]),
            Self::GroupIdMismatch => row(0x25, "group_id_mismatch", Never, &[Send]),
            Self::ConversationExists => row(0x26, "conversation_exists", Never, &[Send]),
            Self::BodyTooLarge => row(0x27, "body_too_large", Never, &[Send]),
            Self::ContentInvalid => row(0x28, "content_invalid", Never, &[Send]),
            Self::TargetNotFound => row(0x29, "target_not_found", Never, &[Send]),
            Self::TargetNotSuitable => row(0x2a, "target_not_suitable", Never, &[Send]),
            Self::TooManyEdits => row(0x2b, "too_many_edits", Never, &[Send]),
            Self::GroupTooLarge => row(0x2c, "group_too_large", Never, &[Send]),
            Self::OwnerMustTransfer => row(0x2d, "owner_must_transfer", Never, &[Send]),
            Self::AlreadyMember => row(0x2e, "already_member", Never, &[Send]),
            Self::UserNotMember => row(0x2f, "user_not_member", Never, &[Send]),
            Self::TooManyRejoins => row(0x30, "too_many_rejoins", Never, &[Send]),
            Self::ClientSeqAhead => row(0x31, "client_seq_ahead", Now, &[Send]),
            Self::ClientSeqReused => row(0x32, "client_seq_reused", Never, &[Send]),
            Self::TooManyUnanswered => row(0x33, "too_many_unanswered", Now, &[Lane]),
            Self::LaneAlreadyOpen => row(0x34, "lane_already_open", Never, &[Lane]),
            Self::CursorBeyondSent => row(0x40, "cursor_beyond_sent", Never, &[Request]),
            Self::CursorInvalid => row(0x41, "cursor_invalid", Never, &[Request]),
            Self::MarkBeyondHead => row(0x42, "mark_beyond_head", Never, &[Request]),
            Self::RangeInvalid => row(0x43, "range_invalid", Never, &[Request]),
            Self::TooManyWatched => row(0x44, "too_many_watched", Never, &[Request]),
            Self::TooManyBlocked => row(0x45, "too_many_blocked", Never, &[Request]),
            Self::TooManyInBatch => row(0x46, "too_many_in_batch", Never, &[Request]),
            Self::RateLimited => row(0x50, "rate_limited", Later, &[Send, Request]),
            Self::ConversationRateLimited => row(0x51, "conversation_rate_limited", Later, &[Send]),
            Self::StorageQuotaExceeded => row(0x52, "storage_quota_exceeded", Never, &[Send]),
            Self::Unknown(code) => row(code, "unknown", Never, &[Connection, Request, Lane, Send]),
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u32 {
        self.row().code
    }

    /// The name in the registry; `unknown` for a number that it does not hold.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether the same again may succeed. A code of a later edition is taken as permanent.
    #[must_use]
    pub const fn retry(self) -> Retry {
        self.row().retry
    }

    /// Whether a send refused with it has used up its number. Refusals that may be retried leave the number
    /// free, and so do those that a server does not remember: of strangers, and of numbers that are wrong
    /// themselves.
    #[must_use]
    pub const fn consumes_client_seq(self) -> bool {
        match self {
            Self::ConversationNotFound | Self::NotAMember | Self::ClientSeqAhead | Self::ClientSeqReused => {
                false
            }
            _ => matches!(self.retry(), Retry::Never),
        }
    }

    /// What it may end or refuse.
    #[must_use]
    pub const fn scope(self) -> &'static [ErrorScope] {
        self.row().scope
    }

    /// The code with this number, if this edition has one.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.code() == code)
    }
}

impl From<u32> for ErrorCode {
    /// The code with this number, or [`ErrorCode::Unknown`].
    fn from(code: u32) -> Self {
        Self::from_code(code).unwrap_or(Self::Unknown(code))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(code) => write!(formatter, "unknown error {code:#x}"),
            known => formatter.write_str(known.name()),
        }
    }
}
