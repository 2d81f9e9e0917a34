//! What is counted of the links between nodes: the values of labels.

use super::Metrics;

impl Metrics {
    /// Counts a link that was refused, or ended for what came over it.
    pub(crate) fn node_link_refused(&self, cause: LinkRefusal) {
        self.node_links_refused.add(cause.name(), 1);
    }

    /// Counts a message that did not go to another node.
    pub(crate) fn node_message_dropped(&self, kind: MessageKind) {
        self.node_messages_dropped.add(kind.name(), 1);
    }
}

/// The kinds of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageKind {
    Hint,
    HintsLost,
    Typing,
    PresenceWatch,
    Presence,
    EndSessions,
    SessionsEnded,
    Blocked,
}

impl MessageKind {
    const ALL: [Self; 8] = [
        Self::Hint,
        Self::HintsLost,
        Self::Typing,
        Self::PresenceWatch,
        Self::Presence,
        Self::EndSessions,
        Self::SessionsEnded,
        Self::Blocked,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::HintsLost => "hints_lost",
            Self::Typing => "typing",
            Self::PresenceWatch => "presence_watch",
            Self::Presence => "presence",
            Self::EndSessions => "end_sessions",
            Self::SessionsEnded => "sessions_ended",
            Self::Blocked => "blocked",
        }
    }

    pub(super) fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(|kind| kind.name()).collect()
    }
}

/// Why a link of another node was refused or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkRefusal {
    /// Its number is in no row that was read yet.
    NotKnownYet,
    /// It has another certificate than the row of its number says.
    OtherCertificate,
    /// No version of the protocol that both speak.
    NoCommonVersion,
    /// It works on another store.
    OtherDeployment,
    /// It means another node.
    OtherNode,
    /// It said nothing, or what is no hello, or a message that is none.
    Malformed,
    /// A message longer than allowed.
    TooLong,
    /// More links than there can be peers.
    TooMany,
}

impl LinkRefusal {
    const ALL: [Self; 8] = [
        Self::NotKnownYet,
        Self::OtherCertificate,
        Self::NoCommonVersion,
        Self::OtherDeployment,
        Self::OtherNode,
        Self::Malformed,
        Self::TooLong,
        Self::TooMany,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NotKnownYet => "not_known_yet",
            Self::OtherCertificate => "other_certificate",
            Self::NoCommonVersion => "no_common_version",
            Self::OtherDeployment => "other_deployment",
            Self::OtherNode => "other_node",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::TooMany => "too_many",
        }
    }

    pub(super) fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(|cause| cause.name()).collect()
    }
}
