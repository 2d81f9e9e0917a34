//! How much of what is old a lane carries: the newest part, as much as the device asked for.

use fulmar_protocol::{Seq, limits::BACKLOG_ENTRIES_MAX};

/// How much a lane hands over of what came before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    /// How many entries the device wants of what was there when its session began.
    pub(super) entries_max: u64,
    /// How far the conversation reached then, if the device was behind.
    pub(super) began_behind: Option<Seq>,
}

impl Backlog {
    /// The first seq that is not skipped for being too old. What came since the session began is skipped
    /// only where it is more than any device is given as backlog.
    pub(super) fn first_kept(self, head: Seq) -> Seq {
        let most = u64::try_from(BACKLOG_ENTRIES_MAX).unwrap_or(u64::MAX);
        let of_all = head.get().saturating_sub(most);
        let of_old = self.began_behind.map_or(0, |old| old.get().saturating_sub(self.entries_max));
        Seq::new(of_all.max(of_old)).next()
    }
}
