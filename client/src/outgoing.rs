//! What the app sends, and what it gets for it.

use bytes::Bytes;
use fulmar_protocol::{ClientSeq, Content, ContentType, Message, Seq, TimestampMs};
use tokio::sync::oneshot;

use crate::error::ClientError;

/// A message to send. Its limits are checked when it is put into the outbox.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    content_type: String,
    body: Bytes,
    reply_to: Option<Seq>,
}

impl OutgoingMessage {
    /// The content type of [`OutgoingMessage::text`].
    pub const TEXT: &'static str = "text/plain; charset=utf-8";

    /// A text message.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { content_type: Self::TEXT.to_owned(), body: Bytes::from(text.into()), reply_to: None }
    }

    /// A message of any content type (a media type, 1 to 128 bytes).
    #[must_use]
    pub fn new(content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { content_type: content_type.into(), body: body.into(), reply_to: None }
    }

    /// Makes it an answer to the entry `seq`.
    #[must_use]
    pub fn reply_to(mut self, seq: Seq) -> Self {
        self.reply_to = Some(seq);
        self
    }

    pub(crate) fn into_parts(self) -> Result<(ContentType, Bytes, Option<Seq>), ClientError> {
        let content_type = ContentType::parse(&self.content_type)
            .map_err(|cause| ClientError::TextInvalid { what: "the content type", cause })?;
        Ok((content_type, self.body, self.reply_to))
    }
}

impl TryFrom<OutgoingMessage> for Content {
    type Error = ClientError;

    fn try_from(message: OutgoingMessage) -> Result<Self, ClientError> {
        let (content_type, body, reply_to) = message.into_parts()?;
        Ok(Self::Message(Message { content_type, body, reply_to }))
    }
}

/// The server has it, durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The device's number for it.
    pub client_seq: ClientSeq,
    /// Its place in the log.
    pub seq: Seq,
    /// The server's time.
    pub at: TimestampMs,
}

/// A send that is in the outbox. Awaiting it waits for [`Accepted`]; dropping it changes nothing about the
/// send, whose failure is then told by [`crate::Event::SendFailed`].
#[derive(Debug)]
#[must_use = "await it to learn whether the server accepted the send; or drop it explicitly"]
pub struct Sending {
    pub(crate) client_seq: ClientSeq,
    pub(crate) answer: oneshot::Receiver<Result<Accepted, ClientError>>,
}

impl Sending {
    /// The device's number for it. It may change once more, when the client must take a new device id or the
    /// server's store was restored; [`Accepted`] has the final one.
    #[must_use]
    pub fn client_seq(&self) -> ClientSeq {
        self.client_seq
    }
}

impl Future for Sending {
    type Output = Result<Accepted, ClientError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.answer)
            .poll(context)
            .map(|answer| answer.unwrap_or(Err(ClientError::Closed)))
    }
}
