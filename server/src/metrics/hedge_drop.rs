//! Why hedges are dropped: the values of one label.

/// Why a copy of an entry was not sent as a datagram, or one of a send not taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HedgeDrop {
    /// The client had confirmed the entry.
    Confirmed,
    /// Hedges have had their share of the bytes.
    Budget,
    /// The congestion window had no room to spare.
    Window,
    /// Too many copies waited.
    Queue,
    /// The path or the client takes no such datagram.
    Path,
    /// The extension is not in force for the session.
    NotInForce,
    /// It is not the next send: the lane was first, or something before it is missing.
    Order,
    /// The user sends faster than allowed, or has too much unanswered.
    Rate,
    /// A lane would be refused.
    Refused,
}

impl HedgeDrop {
    const ALL: [Self; 9] = [
        Self::Confirmed,
        Self::Budget,
        Self::Window,
        Self::Queue,
        Self::Path,
        Self::NotInForce,
        Self::Order,
        Self::Rate,
        Self::Refused,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Budget => "budget",
            Self::Window => "window",
            Self::Queue => "queue",
            Self::Path => "path",
            Self::NotInForce => "not_in_force",
            Self::Order => "order",
            Self::Rate => "rate",
            Self::Refused => "refused",
        }
    }

    pub(super) fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(|cause| cause.name()).collect()
    }
}
