//! Why a command failed, as one line for people and as an exit code for scripts.
//!
//! A message says what is wrong and what to do next. What the server refused is told with the name of its
//! code in the registry, so that scripts can look for it.

use std::io::Write as _;
use std::process::ExitCode;

use fulmar_client::{ClientError, ErrorCode};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was typed (or set in the environment) is not right: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It was tried, and failed: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Whoever read the output has gone, as `head` does: ends quietly, exit code 0.
    #[error("the output was closed")]
    OutputClosed,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// The session has an end for good; the reason is the client's own where the server gave no code.
    pub(crate) fn ended(code: Option<ErrorCode>, reason: &str) -> Self {
        match code {
            Some(code) => ClientError::Ended { code, message: code.name().to_owned() }.into(),
            None => Self::failed(reason),
        }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = in_words(&error);
        match (&error, error.code().and_then(advice)) {
            (_, Some(advice)) => Self::Failed(format!("{message}; {advice}")),
            (ClientError::ServerInvalid { .. }, _) => Self::Usage(message),
            (ClientError::ConnectTimeout { .. }, _) => {
                Self::Failed(format!("{message}; check --server, and that the server runs"))
            }
            (ClientError::Timeout { .. } | ClientError::ConnectionLost { .. }, _) => {
                Self::Failed(format!("{message}; try again"))
            }
            (ClientError::TrustUnreadable { .. } | ClientError::TrustInvalid { .. }, _) => {
                Self::Failed(format!("{message}; name the right file with --ca"))
            }
            _ => Self::Failed(message),
        }
    }
}

/// What the client says, without saying a code's name twice.
fn in_words(error: &ClientError) -> String {
    match error {
        ClientError::Ended { code, message } if message == code.name() => {
            format!("the server ended the session: {}", code.name())
        }
        ClientError::Refused { code, message, .. } if message == code.name() => {
            format!("the server refused: {}", code.name())
        }
        error => error.to_string(),
    }
}

/// What to do about a refusal.
fn advice(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::TokenExpired | ErrorCode::TokenRevoked => {
            "get a new token (from a development server: fulmar token USER --data DIR)"
        }
        ErrorCode::TokenInvalid | ErrorCode::TokenWrongAudience => {
            "check --token: it must be made for this server (development: fulmar token USER --data DIR)"
        }
        ErrorCode::ConversationNotFound => "fulmar inbox lists your conversations",
        ErrorCode::NotAMember => "fulmar group show tells who is a member",
        ErrorCode::NotPermitted => "fulmar group show tells who may: an admin or the owner",
        ErrorCode::RecipientUnavailable => "this user takes no messages from you",
        ErrorCode::OwnerMustTransfer => "make another member the owner first (fulmar group role … owner)",
        ErrorCode::TooManyDevices => "use the --state folder of a device that you have already",
        ErrorCode::TooManySessions => "end other sessions of this user, or wait",
        ErrorCode::BodyTooLarge => "a message holds at most 65536 bytes: split it",
        ErrorCode::TargetNotFound | ErrorCode::TargetNotSuitable => "fulmar history shows what is there",
        ErrorCode::MarkBeyondHead => "fulmar inbox shows the last entry of each conversation",
        ErrorCode::RateLimited
        | ErrorCode::ConversationRateLimited
        | ErrorCode::GoingAway
        | ErrorCode::StoreUnavailable => "try again later",
        ErrorCode::Internal => "the server's log says why",
        _ => return None,
    })
}

/// Writes the failure to standard error and says how the process ends.
pub(crate) fn exit_code(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => {
            write_error(&message);
            ExitCode::from(1)
        }
        Err(Failure::Usage(message)) => {
            write_error(&message);
            ExitCode::from(2)
        }
    }
}

fn write_error(message: &str) {
    let style = anstyle::Style::new().bold().fg_color(Some(anstyle::AnsiColor::Red.into()));
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    // When standard error is closed there is nobody to tell; the exit code remains.
    let _ = writeln!(anstream::stderr(), "{style}error:{style:#} {line}");
}

/// A fault of the program is told in one line, too.
pub(crate) fn report_panics_in_one_line() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let cause = panic.payload_as_str().unwrap_or("no message");
        write_error(&format!("a fault in fulmar ({place}: {cause}): please report it"));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_code_and_what_to_do() {
        let error =
            ClientError::Ended { code: ErrorCode::TokenExpired, message: "exp has passed".to_owned() };
        let Failure::Failed(message) = Failure::from(error) else { panic!("not a failure") };
        assert!(message.contains("token_expired") && message.contains("fulmar token"), "{message}");
    }

    #[test]
    fn a_server_that_is_not_host_and_port_is_a_fault_of_what_was_typed() {
        let failure = Failure::from(ClientError::ServerInvalid { server: "nowhere".to_owned() });
        assert!(matches!(failure, Failure::Usage(_)), "{failure:?}");
    }
}
