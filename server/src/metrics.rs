//! What a server counts and measures, for Prometheus.
//!
//! Each [`Metrics`] is a recorder of its own: nothing is installed for the whole process, so that several
//! servers in one process (tests, `fulmar demo`) do not count into each other. Whoever counts holds a handle
//! of its server's, which costs one atomic addition and no look-up of a name.
//! The `metrics` crate's macros, which look for a recorder of the process, are not used.
//!
//! All names, kinds and descriptions stand in the one table below. A label's values are names from the
//! registry of the protocol or from this file, never anything a peer sent, so the number of series is
//! fixed.

mod close_reason;
mod hedge_drop;
mod node;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fulmar_protocol::ErrorCode;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

pub use close_reason::CloseReason;
pub(crate) use hedge_drop::HedgeDrop;
pub(crate) use node::{LinkRefusal, MessageKind};

/// From a good disk's sync to a user's patience, in seconds.
const SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];
/// How many there are of something.
const NUMBERS: &[f64] =
    &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0];
/// Sizes, in bytes.
const BYTES: &[f64] = &[256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];

/// Of which kind a metric is. A histogram has the upper ends of its buckets, a family the values of its one
/// label.
enum Kind {
    Counter,
    Gauge,
    Histogram(&'static [f64]),
    Family(&'static str, fn() -> Vec<&'static str>),
}

/// One line of the table.
struct Row {
    name: &'static str,
    kind: Kind,
    description: &'static str,
}

/// Declares the table and, with it, a field for the handle of each metric.
macro_rules! table {
    ($($field:ident: $handle:ident = $name:literal, $kind:expr, $description:literal;)+) => {
        const TABLE: &[Row] = &[$(Row { name: $name, kind: $kind, description: $description }),+];

        /// The handles of everything that a server counts and measures.
        pub struct Metrics {
            $(#[doc = concat!("`", $name, "`: ", $description)] pub $field: $handle,)+
            recorder: Arc<PrometheusRecorder>,
        }

        impl Metrics {
            fn with(recorder: &Arc<PrometheusRecorder>) -> Self {
                Self { $($field: Handle::of($name, recorder),)+ recorder: Arc::clone(recorder) }
            }
        }
    };
}

table! {
    sessions: Gauge = "fulmar_sessions", Kind::Gauge,
        "Sessions that are open: authenticated connections.";
    connections: Gauge = "fulmar_connections", Kind::Gauge,
        "Connections that are open, authenticated or not.";
    handshakes: Gauge = "fulmar_handshakes", Kind::Gauge,
        "Connections that were accepted and have not come to the end of the handshake.";
    connections_opened: Counter = "fulmar_connections_opened_total", Kind::Counter,
        "Connections that came as far as the end of the handshake.";
    connections_closed: Family = "fulmar_connections_closed_total", Kind::Family("reason", CloseReason::names),
        "Connections that ended, by the reason.";
    entries_accepted: Counter = "fulmar_entries_accepted_total", Kind::Counter,
        "Entries that were appended and answered.";
    entries_delivered: Counter = "fulmar_entries_delivered_total", Kind::Counter,
        "Entries written to log lanes, once per device.";
    duplicates_removed: Counter = "fulmar_duplicates_removed_total", Kind::Counter,
        "Sends that had been answered before and got the old answer.";
    accept_to_delivered_seconds: Histogram = "fulmar_accept_to_delivered_seconds", Kind::Histogram(SECONDS),
        "From an entry being durable to its being written to a live log lane, for each of them.";
    append_batch_entries: Histogram = "fulmar_append_batch_entries", Kind::Histogram(NUMBERS),
        "Entries appended to one conversation in one transaction.";
    append_batch_bytes: Histogram = "fulmar_append_batch_bytes", Kind::Histogram(BYTES),
        "Bytes of the entries appended in one transaction.";
    append_batch_seconds: Histogram = "fulmar_append_batch_seconds", Kind::Histogram(SECONDS),
        "From the start of an append to its being durable.";
    store_sync_seconds: Histogram = "fulmar_store_sync_seconds", Kind::Histogram(SECONDS),
        "One sync of the store's journal.";
    store_batch_closures: Histogram = "fulmar_store_batch_closures", Kind::Histogram(NUMBERS),
        "Transactions made durable by one sync.";
    store_batch_bytes: Histogram = "fulmar_store_batch_bytes", Kind::Histogram(BYTES),
        "Bytes of the rows made durable by one sync.";
    store_failed: Gauge = "fulmar_store_failed", Kind::Gauge,
        "1 after a write or sync failed: the store then accepts nothing until a restart. Else 0.";
    lost_hints_found: Counter = "fulmar_lost_hints_found_total", Kind::Counter,
        "Conversations of which a session knew less than there was when it looked again, and no hint had told it. Some are hints that were on their way.";
    nodes: Gauge = "fulmar_nodes", Kind::Gauge, "Other nodes of the cluster that hold a lease.";
    clock_is_wrong: Gauge = "fulmar_clock_is_wrong", Kind::Gauge,
        "1 while this node's clock differs from most of the others', and it appends nothing. Else 0.";
    leases_lost: Counter = "fulmar_leases_lost_total", Kind::Counter,
        "Times when this node could not renew its lease in time, and ended its sessions.";
    lookups_dropped: Counter = "fulmar_lookups_dropped_total", Kind::Counter,
        "Times when nobody looked up whom to tell on other nodes, since too many look-ups were under way: the others looked for themselves.";
    send_lanes: Gauge = "fulmar_send_lanes", Kind::Gauge, "Send lanes that are open.";
    log_lanes: Gauge = "fulmar_log_lanes", Kind::Gauge, "Log lanes that are open.";
    log_lanes_behind: Gauge = "fulmar_log_lanes_behind", Kind::Gauge,
        "Log lanes that have not reached the head of their conversation.";
    errors: Family = "fulmar_errors_total", Kind::Family("code", error_codes),
        "Refusals and connection errors sent to clients, by the code of the registry.";
    datagrams_dropped: Counter = "fulmar_datagrams_dropped_total", Kind::Counter,
        "Datagrams of clients that were over their rate, and those to clients that were over the budget.";
    hedges_sent: Counter = "fulmar_hedges_sent_total", Kind::Counter,
        "Copies of entries that were sent as datagrams.";
    hedges_received: Counter = "fulmar_hedges_received_total", Kind::Counter,
        "Copies of sends that came as datagrams.";
    hedges_taken: Counter = "fulmar_hedges_taken_total", Kind::Counter,
        "Copies of sends that came as datagrams and went to the log before their copy on the lane.";
    hedges_dropped: Family = "fulmar_hedges_dropped_total", Kind::Family("cause", HedgeDrop::names),
        "Copies of entries that were not sent as datagrams, and copies of sends that were not taken from them.";
    key_set_reload_failures: Counter = "fulmar_key_set_reload_failures_total", Kind::Counter,
        "Times when a changed file of token keys could not be taken, and the former keys stayed in force.";
    tickets: Gauge = "fulmar_tickets", Kind::Gauge,
        "Tickets held, by which clients come back without waiting for a round trip.";
    tickets_stored: Counter = "fulmar_tickets_stored_total", Kind::Counter,
        "Tickets written to the store, where they outlive a restart.";
    tickets_refused: Counter = "fulmar_tickets_refused_total", Kind::Counter,
        "Tickets offered by clients that were not known, or no more: their early data was refused.";
    early_data_accepted: Counter = "fulmar_early_data_accepted_total", Kind::Counter,
        "Connections whose Hello came as early data, before the end of the handshake.";
    certificate_reload_failures: Counter = "fulmar_certificate_reload_failures_total", Kind::Counter,
        "Times when a changed certificate or key could not be taken, and the former stayed in force.";
    node_links: Gauge = "fulmar_node_links", Kind::Gauge,
        "Other nodes to which messages get through.";
    node_links_refused: Family = "fulmar_node_links_refused_total", Kind::Family("cause", LinkRefusal::names),
        "Links of other nodes that this node refused or ended, by the cause.";
    node_messages_sent: Counter = "fulmar_node_messages_sent_total", Kind::Counter,
        "Messages put into the queue of another node.";
    node_messages_received: Counter = "fulmar_node_messages_received_total", Kind::Counter,
        "Messages of other nodes that were taken.";
    node_messages_skipped: Counter = "fulmar_node_messages_skipped_total", Kind::Counter,
        "Messages of other nodes that say something this version does not know.";
    node_messages_dropped: Family = "fulmar_node_messages_dropped_total", Kind::Family("kind", MessageKind::names),
        "Messages that were not sent because the queue of the other node was full, or no such node is known.";
}

impl Metrics {
    /// How often [`Metrics::upkeep`] is to be called.
    pub const UPKEEP_EVERY: Duration = Duration::from_secs(1);

    /// Metrics that all stand at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut builder = PrometheusBuilder::new();
        for row in TABLE {
            if let Kind::Histogram(buckets) = row.kind {
                // Refuses only an empty list of buckets.
                builder = builder
                    .set_buckets_for_metric(Matcher::Full(row.name.to_owned()), buckets)
                    .unwrap_or_else(|_| PrometheusBuilder::new());
            }
        }
        let recorder = Arc::new(builder.build_recorder());
        for row in TABLE {
            let (name, description) = (KeyName::from_const_str(row.name), row.description.into());
            match row.kind {
                Kind::Counter => recorder.describe_counter(name, None, description),
                Kind::Gauge => recorder.describe_gauge(name, None, description),
                Kind::Histogram(_) => recorder.describe_histogram(name, None, description),
                Kind::Family(label, values) => {
                    recorder.describe_counter(name, None, description);
                    let family = Family { name: row.name, label, recorder: Arc::clone(&recorder) };
                    values().into_iter().for_each(|value| family.add(value, 0));
                }
            }
        }
        Arc::new(Self::with(&recorder))
    }

    /// Counts a connection that ended.
    pub fn connection_closed(&self, reason: CloseReason) {
        self.connections_closed.add(reason.name(), 1);
    }

    /// Counts a refusal, or an error that ends a connection.
    pub fn error(&self, code: ErrorCode) {
        self.errors.add(code.name(), 1);
    }

    /// Counts a copy that was not sent, or not taken.
    pub(crate) fn hedge_dropped(&self, cause: HedgeDrop) {
        self.hedges_dropped.add(cause.name(), 1);
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn render(&self) -> String {
        self.recorder.handle().render()
    }

    /// Sorts what was measured since the last call into the buckets. Until then each measurement takes
    /// 8 bytes: whoever owns the metrics calls this every [`Metrics::UPKEEP_EVERY`].
    pub fn upkeep(&self) {
        self.recorder.handle().run_upkeep();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

fn error_codes() -> Vec<&'static str> {
    ErrorCode::ALL.iter().map(|code| code.name()).chain(["unknown"]).collect()
}

/// Counters that differ in the value of one label.
pub struct Family {
    name: &'static str,
    label: &'static str,
    recorder: Arc<PrometheusRecorder>,
}

impl Family {
    /// Counts under one value, which is a constant of the program: see `Metrics::connection_closed`,
    /// `Metrics::error` and `Metrics::hedge_dropped`.
    fn add(&self, value: &'static str, number: u64) {
        let labels = vec![Label::from_static_parts(self.label, value)];
        self.recorder.register_counter(&Key::from_parts(self.name, labels), METADATA).increment(number);
    }
}

const METADATA: &Metadata<'static> = &Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// A kind of handle, made for a row of the table.
trait Handle {
    fn of(name: &'static str, recorder: &Arc<PrometheusRecorder>) -> Self;
}

impl Handle for Counter {
    fn of(name: &'static str, recorder: &Arc<PrometheusRecorder>) -> Self {
        recorder.register_counter(&Key::from_static_name(name), METADATA)
    }
}

impl Handle for Gauge {
    fn of(name: &'static str, recorder: &Arc<PrometheusRecorder>) -> Self {
        recorder.register_gauge(&Key::from_static_name(name), METADATA)
    }
}

impl Handle for Histogram {
    fn of(name: &'static str, recorder: &Arc<PrometheusRecorder>) -> Self {
        recorder.register_histogram(&Key::from_static_name(name), METADATA)
    }
}

impl Handle for Family {
    fn of(name: &'static str, recorder: &Arc<PrometheusRecorder>) -> Self {
        let label = TABLE.iter().find_map(|row| match row.kind {
            Kind::Family(label, _) if row.name == name => Some(label),
            _ => None,
        });
        Self { name, label: label.unwrap_or("value"), recorder: Arc::clone(recorder) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_the_table_is_there_from_the_start_with_its_description() {
        let text = Metrics::new().render();
        for Row { name, kind, description } in TABLE {
            assert!(text.contains(&format!("# HELP {name} {description}\n")), "{name}:\n{text}");
            let (kind, suffix) = match kind {
                Kind::Counter | Kind::Family(..) => ("counter", ""),
                Kind::Gauge => ("gauge", ""),
                Kind::Histogram(_) => ("histogram", "_count"),
            };
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}:\n{text}");
            assert!(
                text.contains(&format!("\n{name}{suffix} 0\n")) || text.contains(&format!("\n{name}{{")),
                "{name}:\n{text}"
            );
        }
    }

    #[test]
    fn two_servers_in_one_process_count_apart() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.entries_accepted.increment(3);
        assert!(one.render().contains("\nfulmar_entries_accepted_total 3\n"));
        assert!(other.render().contains("\nfulmar_entries_accepted_total 0\n"));
    }

    #[test]
    fn reasons_and_codes_are_counted_under_their_names_in_the_registry() {
        let metrics = Metrics::new();
        let series = metrics.render().lines().count();
        for code in ErrorCode::ALL.iter().copied().chain((0x1000..0x2000).map(ErrorCode::Unknown)) {
            metrics.error(code);
        }
        metrics.connection_closed(CloseReason::TimedOut);
        metrics.connection_closed(CloseReason::Code(ErrorCode::SessionReplaced));
        let text = metrics.render();
        assert!(text.contains("\nfulmar_errors_total{code=\"token_expired\"} 1\n"), "{text}");
        assert!(text.contains("\nfulmar_errors_total{code=\"unknown\"} 4096\n"), "{text}");
        assert!(text.contains("\nfulmar_connections_closed_total{reason=\"timed_out\"} 1\n"), "{text}");
        assert!(
            text.contains("\nfulmar_connections_closed_total{reason=\"session_replaced\"} 1\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), series, "the number of series is fixed");
    }

    #[test]
    fn a_measurement_falls_into_its_bucket() {
        let metrics = Metrics::new();
        metrics.store_sync_seconds.record(Duration::from_micros(150));
        metrics.append_batch_entries.record(16.0);
        metrics.upkeep();
        let text = metrics.render();
        assert!(text.contains("\nfulmar_store_sync_seconds_bucket{le=\"0.0001\"} 0\n"), "{text}");
        assert!(text.contains("\nfulmar_store_sync_seconds_bucket{le=\"0.00025\"} 1\n"), "{text}");
        assert!(text.contains("\nfulmar_append_batch_entries_bucket{le=\"16\"} 1\n"), "{text}");
    }
}
