//! The faults that a server can commit in a storm, by name, and by what they are found.

use fulmar_server::{ServerFault, ServerOptions, StoreFault};

use super::recorder::Invariant;

/// See the module.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Its name, as on a command line.
    pub name: &'static str,
    /// Sets a server so that it commits it.
    pub commit: fn(&mut ServerOptions),
    /// What it breaks, as apps see it: any of these.
    pub breaks: &'static [Invariant],
}

impl Fault {
    /// All that break a promise.
    pub const ALL: &'static [Self] = &[
        Self {
            name: "no-deduplication",
            commit: |server| server.fault = Some(ServerFault::NoDeduplication),
            breaks: &[Invariant::EachSendOnceInOrder, Invariant::AcceptedIsNeverLost],
        },
        Self {
            name: "lost-hints-never-swept",
            commit: |server| server.fault = Some(ServerFault::LostHintsNeverSwept { every: 3 }),
            breaks: &[Invariant::EverythingArrives],
        },
        Self {
            name: "swap-entries",
            commit: |server| server.fault = Some(ServerFault::SwapEntries),
            breaks: &[Invariant::AcceptedIsNeverLost, Invariant::EachSendOnceInOrder],
        },
        Self {
            name: "ignore-removal",
            commit: |server| server.fault = Some(ServerFault::IgnoreRemoval),
            breaks: &[Invariant::MembersOnly],
        },
        Self {
            name: "answer-before-sync",
            commit: |server| server.store_fault = Some(StoreFault::AnswerBeforeSync),
            breaks: &[
                Invariant::AcceptedIsNeverLost,
                Invariant::EachSeqOnceInOrder,
                Invariant::EverythingArrives,
            ],
        },
        Self {
            name: "skip-sync",
            commit: |server| server.store_fault = Some(StoreFault::SkipSync),
            breaks: &[
                Invariant::AcceptedIsNeverLost,
                Invariant::EachSeqOnceInOrder,
                Invariant::EverythingArrives,
            ],
        },
    ];

    /// The fault with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|fault| fault.name == name)
    }
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Fault").field(&self.name).finish()
    }
}
