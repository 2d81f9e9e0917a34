//! Faults that a server commits on purpose, so that whatever checks its promises can show that it notices.
//!
//! The code asks [`Faults`] at the one place where each promise is kept. Without the feature there is no fault,
//! and every question has a constant answer. Faults of the store are the store's own.

use crate::log::StoredEntry;

/// A fault of the whole server.
#[cfg(feature = "fault-injection")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerFault {
    /// A send that was accepted before is appended again.
    NoDeduplication,
    /// Every so-manieth hint is not passed on. Not a fault but bad luck: what it was about is found later.
    LoseHints {
        /// Which ones.
        every: u64,
    },
    /// Every so-manieth hint is not passed on, and nobody looks for what it was about.
    LostHintsNeverSwept {
        /// Which ones.
        every: u64,
    },
    /// Wherever a lane has two messages of others in a row, they say each what the other said; seqs and ordinals
    /// are right.
    SwapEntries,
    /// Who is removed stays a member.
    IgnoreRemoval,
    /// A node of a cluster tells the others of entries that were never appended, and of conversations that are not
    /// there.
    ForgeHints,
}

/// The fault in force, if any. Clones count on together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    #[cfg(feature = "fault-injection")]
    fault: Option<ServerFault>,
    #[cfg(feature = "fault-injection")]
    hints: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

#[cfg(not(feature = "fault-injection"))]
impl Faults {
    pub(crate) fn appends_duplicates(&self) -> bool {
        false
    }

    pub(crate) fn loses_hint(&self) -> bool {
        false
    }

    pub(crate) fn never_looks_for_lost_hints(&self) -> bool {
        false
    }

    pub(crate) fn ignores_removal(&self) -> bool {
        false
    }

    pub(crate) fn forges_hints(&self) -> bool {
        false
    }

    pub(crate) fn swap(&self, _: &mut [StoredEntry], _: impl Fn(&StoredEntry) -> bool) {}
}

#[cfg(feature = "fault-injection")]
impl Faults {
    pub(crate) fn new(fault: Option<ServerFault>) -> Self {
        Self { fault, ..Self::default() }
    }

    pub(crate) fn appends_duplicates(&self) -> bool {
        self.fault == Some(ServerFault::NoDeduplication)
    }

    /// Whether this hint is lost.
    pub(crate) fn loses_hint(&self) -> bool {
        let (Some(ServerFault::LoseHints { every }) | Some(ServerFault::LostHintsNeverSwept { every })) =
            self.fault
        else {
            return false;
        };
        let number = self.hints.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        number.is_multiple_of(every)
    }

    pub(crate) fn never_looks_for_lost_hints(&self) -> bool {
        matches!(self.fault, Some(ServerFault::LostHintsNeverSwept { .. }))
    }

    pub(crate) fn ignores_removal(&self) -> bool {
        self.fault == Some(ServerFault::IgnoreRemoval)
    }

    pub(crate) fn forges_hints(&self) -> bool {
        self.fault == Some(ServerFault::ForgeHints)
    }

    /// Swaps what messages in a row say. `own`: an entry goes to the device that sent it, in a form that would
    /// give the swap away.
    pub(crate) fn swap(&self, entries: &mut [StoredEntry], own: impl Fn(&StoredEntry) -> bool) {
        if self.fault != Some(ServerFault::SwapEntries) {
            return;
        }
        for pair in entries.chunks_exact_mut(2) {
            if let [first, second] = pair
                && [&*first, &*second].iter().all(|entry| is_message(entry) && !own(entry))
            {
                (*first, *second) = (saying(first, second), saying(second, first));
            }
        }
    }
}

#[cfg(feature = "fault-injection")]
fn is_message(entry: &StoredEntry) -> bool {
    use fulmar_protocol::Content;
    matches!(Content::decode(&entry.content), Ok(Content::Message(_)))
}

/// The entry in its place, with what another one says.
#[cfg(feature = "fault-injection")]
fn saying(entry: &StoredEntry, other: &StoredEntry) -> StoredEntry {
    StoredEntry::encode(fulmar_protocol::Entry {
        seq: entry.seq,
        ordinal: entry.ordinal,
        at: entry.at,
        sender: other.sender.clone(),
        device_tag: other.device_tag,
        client_seq: other.client_seq,
        content: other.content.clone(),
    })
}
