//! One member of one conversation, now or formerly: what they may do and what they may read.

use bytes::Bytes;
use fulmar_protocol::{Role, Seq};

use super::value::{self, RowError};

/// How often somebody may come back to one group. Each interval is kept for ever, so there must be an end.
pub(crate) const MEMBERSHIP_INTERVALS_MAX: usize = 32;

/// Seqs that a member may read, both ends included. `last` is `None` while they are a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) first: Seq,
    pub(crate) last: Option<Seq>,
}

impl Interval {
    fn contains(self, seq: Seq) -> bool {
        seq >= self.first && self.last.is_none_or(|last| seq <= last)
    }
}

/// A member row. `intervals` is never empty, ascending, and open at most at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// `None` for a former member.
    pub(crate) role: Option<Role>,
    /// Whether a message of theirs was ever accepted here: presence and typing wait for it.
    pub(crate) wrote: bool,
    pub(crate) intervals: Vec<Interval>,
    /// The title when they left: a former member learns of no later one.
    pub(crate) title_when_left: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Row {
    #[prost(uint32, tag = "1")]
    role: u32,
    #[prost(bool, tag = "2")]
    wrote: bool,
    /// Pairs of first and last; 0 as last for an open end.
    #[prost(uint64, repeated, tag = "3")]
    intervals: Vec<u64>,
    #[prost(string, tag = "4")]
    title_when_left: String,
}

impl Member {
    pub(crate) fn new(role: Role, first: Seq) -> Self {
        Self {
            role: Some(role),
            wrote: false,
            intervals: vec![Interval { first, last: None }],
            title_when_left: String::new(),
        }
    }

    /// Whether they may read this seq.
    pub(crate) fn may_read(&self, seq: Seq) -> bool {
        self.interval_of(seq).is_some()
    }

    /// The interval that this seq lies in.
    pub(crate) fn interval_of(&self, seq: Seq) -> Option<Interval> {
        self.intervals.iter().copied().find(|interval| interval.contains(seq))
    }

    /// The first seq at or after `seq` that they may read, if there can be one.
    pub(crate) fn next_readable(&self, seq: Seq) -> Option<Seq> {
        self.intervals
            .iter()
            .find(|interval| interval.last.is_none_or(|last| last >= seq))
            .map(|interval| interval.first.max(seq))
    }

    /// The last seq at or before `seq` that they may read, if there is one.
    pub(crate) fn previous_readable(&self, seq: Seq) -> Option<Seq> {
        self.intervals
            .iter()
            .rev()
            .find(|interval| interval.first <= seq)
            .map(|interval| interval.last.map_or(seq, |last| last.min(seq)))
    }

    /// How far they may read of a conversation that ends at `head`.
    pub(crate) fn readable_end(&self, head: Seq) -> Seq {
        self.previous_readable(head).unwrap_or(Seq::ZERO)
    }

    /// Ends the membership with the entry `last`.
    pub(crate) fn leave(&mut self, last: Seq, title: &str) {
        self.role = None;
        title.clone_into(&mut self.title_when_left);
        if let Some(interval) = self.intervals.last_mut() {
            interval.last.get_or_insert(last);
        }
    }

    /// Begins another interval at `first`; `false` when there were too many.
    pub(crate) fn rejoin(&mut self, role: Role, first: Seq) -> bool {
        if self.intervals.len() >= MEMBERSHIP_INTERVALS_MAX {
            return false;
        }
        self.role = Some(role);
        self.title_when_left.clear();
        // With a policy of "all of the history" the new interval begins at 1 and swallows the old ones.
        self.intervals.retain(|interval| interval.first < first);
        self.intervals.push(Interval { first, last: None });
        true
    }

    pub(crate) fn encode(&self) -> Bytes {
        let intervals = self
            .intervals
            .iter()
            .flat_map(|interval| [interval.first.get(), interval.last.map_or(0, Seq::get)])
            .collect();
        let role = match self.role {
            None => 0,
            Some(Role::Member) => 1,
            Some(Role::Admin) => 2,
            Some(Role::Owner) => 3,
        };
        let title_when_left = self.title_when_left.clone();
        value::encode(&Row { role, wrote: self.wrote, intervals, title_when_left })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let row: Row = value::decode("member", bytes)?;
        let role = match row.role {
            0 => None,
            1 => Some(Role::Member),
            2 => Some(Role::Admin),
            3 => Some(Role::Owner),
            _ => return Err(RowError::malformed("member")),
        };
        let intervals: Vec<Interval> = row
            .intervals
            .chunks_exact(2)
            .filter_map(|pair| {
                let (first, last) = (pair.first()?, pair.get(1)?);
                Some(Interval { first: Seq::new(*first), last: (*last > 0).then(|| Seq::new(*last)) })
            })
            .collect();
        if intervals.is_empty() {
            return Err(RowError::malformed("member"));
        }
        Ok(Self { role, wrote: row.wrote, intervals, title_when_left: row.title_when_left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq(n: u64) -> Seq {
        Seq::new(n)
    }

    #[test]
    fn leaving_and_coming_back_gives_two_intervals() {
        let mut member = Member::new(Role::Member, seq(3));
        member.leave(seq(7), "Birds");
        assert!(member.rejoin(Role::Admin, seq(11)));
        for readable in [3, 7, 11, 12, 500] {
            assert!(member.may_read(seq(readable)), "{readable}");
        }
        for hidden in [1, 2, 8, 10] {
            assert!(!member.may_read(seq(hidden)), "{hidden}");
        }
        assert_eq!(member.next_readable(seq(8)), Some(seq(11)));
        assert_eq!(member.previous_readable(seq(10)), Some(seq(7)));
        assert_eq!(Member::decode(&member.encode()), Ok(member));
    }

    #[test]
    fn a_former_member_reads_up_to_the_removal_only() {
        let mut member = Member::new(Role::Member, seq(1));
        member.leave(seq(5), "Birds");
        assert_eq!(member.readable_end(seq(100)), seq(5));
        assert_eq!(member.next_readable(seq(6)), None);
    }

    #[test]
    fn rejoining_with_all_of_the_history_opens_what_was_hidden() {
        let mut member = Member::new(Role::Member, seq(3));
        member.leave(seq(7), "Birds");
        assert!(member.rejoin(Role::Member, seq(1)));
        assert_eq!(member.intervals, vec![Interval { first: seq(1), last: None }]);
    }

    #[test]
    fn intervals_have_an_end() {
        let mut member = Member::new(Role::Member, seq(1));
        let mut rejoined = 0;
        for round in 1..100 {
            member.leave(seq(round * 10), "");
            if !member.rejoin(Role::Member, seq(round * 10 + 5)) {
                break;
            }
            rejoined += 1;
        }
        assert_eq!(rejoined, MEMBERSHIP_INTERVALS_MAX - 1);
    }
}
