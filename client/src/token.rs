//! Where tokens come from: one for good, or a source that is asked each time.

use std::sync::Arc;

use fulmar_protocol::Token;
use futures_util::future::BoxFuture;

use crate::error::ClientError;
use crate::limits::TOKEN_SOURCE_TIMEOUT;

type Ask =
    dyn Fn() -> BoxFuture<'static, Result<String, Box<dyn std::error::Error + Send + Sync>>> + Send + Sync;

/// Where tokens come from.
#[derive(Clone)]
pub(crate) enum TokenSource {
    Fixed(Token),
    Asked(Arc<Ask>),
}

impl TokenSource {
    pub(crate) fn fixed(token: String) -> Self {
        Self::Fixed(Token::new(token))
    }

    pub(crate) fn asked<F>(source: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, Result<String, Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + Sync
            + 'static,
    {
        Self::Asked(Arc::new(source))
    }

    /// Whether asking again may give another token.
    pub(crate) fn renews(&self) -> bool {
        matches!(self, Self::Asked(_))
    }

    /// A token. A source that does not answer in time has failed.
    pub(crate) async fn token(&self) -> Result<Token, ClientError> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::Asked(ask) => match tokio::time::timeout(TOKEN_SOURCE_TIMEOUT, ask()).await {
                Ok(Ok(token)) => Ok(Token::new(token)),
                Ok(Err(cause)) => Err(ClientError::TokenSource { cause: cause.to_string() }),
                Err(_) => Err(ClientError::Timeout { what: "the token source", after: TOKEN_SOURCE_TIMEOUT }),
            },
        }
    }
}
