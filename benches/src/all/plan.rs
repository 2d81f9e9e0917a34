//! What `all` runs.

/// One call of a workload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    /// The file of its figures, without `.json`.
    pub(super) name: &'static str,
    /// Its arguments in full.
    full: &'static str,
    /// Its arguments when it is to be quick; none: it is left out then.
    quick: Option<&'static str>,
    /// How long all five runs take with all peers, about.
    minutes: u32,
}

/// In the order of the page.
const ITEMS: [Item; 13] = [
    Item::new("latency", "latency", Some("latency --messages 400"), 6),
    Item::new(
        "lossy-uber-p50",
        "lossy --profile uber-p50 --seconds 40",
        Some("lossy --profile uber-p50 --seconds 8"),
        28,
    ),
    Item::new("lossy-lte", "lossy --profile lte --seconds 40", None, 28),
    Item::new("lossy-train", "lossy --profile train --seconds 40", None, 30),
    Item::new(
        "roam-lte",
        "roam --profile lte --seconds 40",
        Some("roam --profile lte --seconds 8 --every 4"),
        30,
    ),
    Item::new(
        "throughput-many",
        "throughput",
        Some("throughput --senders 16 --conversations 100 --seconds 2"),
        9,
    ),
    Item::new(
        "throughput-pair",
        "throughput --senders 1 --conversations 1 --window 64",
        Some("throughput --senders 1 --conversations 1 --window 64 --seconds 2"),
        7,
    ),
    Item::new("connections", "connections", Some("connections --sessions 200 --seconds 2"), 26),
    Item::new("fanout", "fanout", Some("fanout --members 10,100"), 25),
    Item::new("connect", "connect", Some("connect --seconds 1"), 2),
    Item::new("storm", "storm", Some("storm --clients 100"), 2),
    Item::new("catchup", "catchup", Some("catchup --messages 1000"), 8),
    Item::new("mixed", "mixed", Some("mixed --seconds 4"), 5),
];

/// A quick call takes no longer than so many minutes, about.
const QUICK_MINUTES: u32 = 2;

impl Item {
    const fn new(name: &'static str, full: &'static str, quick: Option<&'static str>, minutes: u32) -> Self {
        Self { name, full, quick, minutes }
    }

    /// What to call, if anything.
    pub(super) fn arguments(&self, quick: bool) -> Option<Vec<String>> {
        let line = if quick { self.quick? } else { self.full };
        Some(line.split_whitespace().map(str::to_owned).collect())
    }

    /// About, with five runs and all peers.
    pub(super) fn minutes(&self, quick: bool) -> u32 {
        if quick { QUICK_MINUTES } else { self.minutes }
    }
}

/// What there is to do.
pub(super) fn items(quick: bool) -> Vec<Item> {
    ITEMS.into_iter().filter(|item| item.arguments(quick).is_some()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Parser as _;

    use super::*;

    #[test]
    fn every_workload_of_a_report_is_in_both_plans() {
        let workloads = |quick| -> BTreeSet<String> {
            items(quick).iter().filter_map(|item| item.arguments(quick)?.into_iter().next()).collect()
        };
        let all: BTreeSet<_> = "latency lossy roam throughput connections fanout connect storm catchup mixed"
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        assert_eq!(workloads(false), all);
        assert_eq!(workloads(true), all);
    }

    #[test]
    fn every_call_is_one_that_the_command_line_takes() {
        for item in ITEMS {
            for arguments in [true, false].into_iter().filter_map(|quick| item.arguments(quick)) {
                let line = [vec!["fulmar-bench".to_owned()], arguments].concat();
                let taken = crate::Arguments::try_parse_from(&line);
                assert!(taken.is_ok(), "{line:?}: {}", taken.err().unwrap());
            }
        }
    }

    #[test]
    fn no_two_write_the_same_file() {
        let names: BTreeSet<_> = ITEMS.iter().map(|item| item.name).collect();
        assert_eq!(names.len(), ITEMS.len());
    }
}
