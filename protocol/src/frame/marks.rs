//! `Marks` are marks of others: how far each has received and read. Each only grows.

use super::prelude::*;
use crate::id::{Seq, UserId};

/// How far one user has received and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserMarks {
    /// The user.
    pub user: UserId,
    /// Some device of the user has everything up to here.
    pub delivered_seq: Seq,
    /// The user has read up to here.
    pub read_seq: Seq,
}

/// Marks of others that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// One item a user.
    pub marks: Vec<UserMarks>,
}

impl UserMarks {
    pub(super) fn to_wire(&self) -> wire::UserMarks {
        wire::UserMarks {
            user: self.user.to_string(),
            delivered_seq: self.delivered_seq.get(),
            read_seq: self.read_seq.get(),
        }
    }
}

pub(super) fn marks_from_wire(marks: &[wire::UserMarks]) -> Result<Vec<UserMarks>, PayloadError> {
    let checked = |wire: &wire::UserMarks| {
        Ok(UserMarks {
            user: user_id("marks.user", &wire.user)?,
            delivered_seq: Seq::new(wire.delivered_seq),
            read_seq: Seq::new(wire.read_seq),
        })
    };
    marks.iter().map(checked).collect()
}

impl Payload for Marks {
    type Wire = wire::Marks;

    fn to_wire(&self) -> wire::Marks {
        wire::Marks { marks: self.marks.iter().map(UserMarks::to_wire).collect() }
    }

    fn from_wire(wire: wire::Marks) -> Result<Self, PayloadError> {
        Ok(Self { marks: marks_from_wire(&wire.marks)? })
    }
}
