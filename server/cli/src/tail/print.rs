//! Prints entries, and knows when there were enough.

use std::ops::ControlFlow;

use fulmar_client::{ConversationId, HoleReason, Seq};

use crate::entry_line::{self, EntryLine};
use crate::failure::Failure;
use crate::output;

/// Where entries go.
#[derive(Debug)]
pub(super) struct Printer {
    json: bool,
    names_conversation: bool,
    left: Option<u64>,
}

impl Printer {
    /// `count`: how many entries to print, if not all that come.
    pub(super) fn new(json: bool, names_conversation: bool, count: Option<u64>) -> Self {
        Self { json, names_conversation, left: count }
    }

    /// Prints an entry. Breaks when it was the last to print.
    pub(super) fn entry(&mut self, line: &EntryLine<'_>) -> Result<ControlFlow<()>, Failure> {
        if self.json {
            output::json(&line.json())?;
        } else {
            output::line(line.text(self.names_conversation))?;
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(if self.left == Some(0) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Prints a range without entries. It does not count.
    pub(super) fn hole(
        &self,
        conversation: ConversationId,
        first: Seq,
        last: Seq,
        reason: HoleReason,
    ) -> Result<(), Failure> {
        if self.json {
            output::json(&entry_line::hole_json(conversation, first, last, reason))
        } else {
            output::line(entry_line::hole_text(first, last, reason))
        }
    }
}
