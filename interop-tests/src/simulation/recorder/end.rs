//! What can only be told when all has come to rest.

use std::time::Duration;

use fulmar_protocol::{ConversationId, Seq};

use super::log::Log;
use super::state::{State, short};
use super::violation::Invariant;

impl State {
    /// What is missing, if all is to have come to rest.
    pub(super) fn missing(&self) -> Option<String> {
        self.missing_message().or_else(|| self.missing_entry())
    }

    fn missing_entry(&self) -> Option<String> {
        for (id, log) in &self.logs {
            let Ok(membership) = self.membership(*id, log) else { continue };
            for (number, device) in &self.devices {
                let last = device.cursors.get(id).map_or(Seq::ZERO, |cursor| cursor.last);
                if membership.is_member(&device.user) && last < log.head() {
                    let (head, place) = (log.head(), short(*id));
                    return Some(format!(
                        "device {number} ({}) has {last} of {head} in {place}",
                        device.user
                    ));
                }
            }
        }
        None
    }

    pub(super) fn check_end(&mut self, now: Duration) {
        if let Some(what) = self.missing() {
            self.violate(now, Invariant::EverythingArrives, what);
        }
        let found: Vec<(Invariant, String)> =
            self.logs.iter().filter_map(|(id, log)| self.check_log(*id, log)).collect();
        for (invariant, what) in found {
            self.violate(now, invariant, what);
        }
    }

    fn check_log(&self, id: ConversationId, log: &Log) -> Option<(Invariant, String)> {
        let in_place = |what: String| format!("{}: {what}", short(id));
        if let Some(what) = log.check_order() {
            return Some((Invariant::EachSeqOnceInOrder, in_place(what)));
        }
        if let Some(what) = self.disordered(id) {
            return Some((Invariant::EachSendOnceInOrder, in_place(what)));
        }
        let membership = match self.membership(id, log) {
            Ok(membership) => membership,
            Err(what) => return Some((Invariant::MembersOnly, in_place(what))),
        };
        for (number, device) in &self.devices {
            let all = (id, Seq::ZERO)..=(id, log.head());
            let hidden = device.handed.range(all).find(|(_, seq)| !membership.may_read(&device.user, *seq));
            if let Some((_, seq)) = hidden {
                let what =
                    format!("device {number} ({}) was handed {seq} and is no member there", device.user);
                return Some((Invariant::MembersOnly, in_place(what)));
            }
        }
        self.false_claim(id, log).map(|what| (Invariant::MarksAreTrue, in_place(what)))
    }
}
