//! What handles ask of the driver. Requests with an answer of their own stream are not here: handles make
//! them themselves (`request.rs`).

use bytes::Bytes;
use fulmar_protocol::{ConversationId, PresenceState, Seq, UserId};
use tokio::sync::oneshot;

use crate::error::ClientError;
use crate::outgoing::Sending;

/// Where an answer goes. Its receiver may be gone: the caller gave up.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, ClientError>>;

/// A new entry for an outbox.
pub(crate) struct Enqueue {
    pub(crate) conversation: ConversationId,
    /// The other user, where the handle knows it.
    pub(crate) peer: Option<UserId>,
    pub(crate) content: Bytes,
    pub(crate) reply: Reply<Sending>,
}

/// What handles ask of the driver.
pub(crate) enum Command {
    Enqueue(Enqueue),
    Watch {
        conversations: Vec<ConversationId>,
    },
    Fetched {
        conversation: ConversationId,
        first: Seq,
        last: Seq,
    },
    Typing {
        conversation: ConversationId,
        typing: bool,
    },
    Presence {
        state: PresenceState,
    },
    Ping {
        reply: Reply<()>,
    },
    /// The device has other addresses now.
    NetworkChanged,
    /// Store and send the last confirmations, say goodbye, end.
    Close,
}
