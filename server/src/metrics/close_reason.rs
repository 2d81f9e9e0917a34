//! Why connections end: the values of one label.

use fulmar_protocol::{ErrorCode, ErrorScope};

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// One of the two ends closed it with a code of the registry.
    Code(ErrorCode),
    /// Nothing was heard of the client for the idle timeout.
    TimedOut,
    /// The client's QUIC stack, or ours, found a fault in the other's.
    Transport,
    /// The client forgot the connection, after a restart perhaps.
    Reset,
    /// The handshake did not come to its end.
    Handshake,
}

impl CloseReason {
    const OTHERS: [Self; 4] = [Self::TimedOut, Self::Transport, Self::Reset, Self::Handshake];

    /// The reason of a connection that ended with `error`. `sent` is the code that this server closed it
    /// with, if it did.
    #[must_use]
    pub fn of(error: &quinn::ConnectionError, sent: Option<ErrorCode>) -> Self {
        use quinn::ConnectionError as End;
        match error {
            End::LocallyClosed => Self::Code(sent.unwrap_or(ErrorCode::NoError)),
            End::ApplicationClosed(close) => {
                let code = u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX);
                Self::Code(ErrorCode::from(code))
            }
            End::TimedOut => Self::TimedOut,
            End::Reset => Self::Reset,
            End::VersionMismatch => Self::Handshake,
            End::TransportError(_) | End::ConnectionClosed(_) | End::CidsExhausted => Self::Transport,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Code(code) => code.name(),
            Self::TimedOut => "timed_out",
            Self::Transport => "transport",
            Self::Reset => "reset",
            Self::Handshake => "handshake",
        }
    }

    pub(super) fn names() -> Vec<&'static str> {
        let codes = ErrorCode::ALL.iter().filter(|code| code.scope().contains(&ErrorScope::Connection));
        let others = Self::OTHERS.iter().map(|reason| reason.name());
        codes.map(|code| code.name()).chain(["unknown"]).chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_connection_has_one_reason() {
        use quinn::ConnectionError as End;
        let sent = Some(ErrorCode::GoingAway);
        assert_eq!(CloseReason::of(&End::LocallyClosed, sent), CloseReason::Code(ErrorCode::GoingAway));
        assert_eq!(CloseReason::of(&End::LocallyClosed, None), CloseReason::Code(ErrorCode::NoError));
        assert_eq!(CloseReason::of(&End::TimedOut, sent), CloseReason::TimedOut);
        let closed_with = |code: u64| {
            let error_code = quinn::VarInt::from_u64(code).unwrap();
            End::ApplicationClosed(quinn::ApplicationClose { error_code, reason: bytes::Bytes::new() })
        };
        assert_eq!(CloseReason::of(&closed_with(0), None), CloseReason::Code(ErrorCode::NoError));
        let unknown = CloseReason::of(&closed_with(1 << 40), None);
        assert_eq!(unknown.name(), "unknown");
    }
}
