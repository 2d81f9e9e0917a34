//! The rows of tickets: written behind, cleared behind, and read when the server starts.
//!
//! One task writes, many rows in one transaction, and never more than memory remembers to write. When the store
//! fails, tickets live as long as the process.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Held, TICKET_LIFETIME, Tickets};
use crate::{
    rows::{Key, TicketRow, ticket_of},
    store::{RANGE_ROWS_MAX, Store, StoreError},
};

/// What changes within this time is written together.
const WRITE_DELAY: Duration = Duration::from_millis(200);
/// How often those whose time is over are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
/// Rows in one transaction: about 100 kB.
const ROWS_PER_WRITE: usize = 256;
/// Rows in one read.
const ROWS_PER_READ: usize = if RANGE_ROWS_MAX < 4_096 { RANGE_ROWS_MAX } else { 4_096 };

/// A row to write, or to clear.
type Change = (Key, Option<Bytes>);

impl Tickets {
    /// Reads the rows that an earlier process left. The newest are held, the others are to be cleared.
    pub(crate) async fn load(&self, store: &Store) -> Result<(), StoreError> {
        let Some(server_id) = self.server_id else { return Ok(()) };
        let now = self.clock.now();
        let snapshot = store.snapshot();
        let mut range = Key::tickets(server_id);
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        loop {
            // From the end: those given last.
            let rows = snapshot.range(&range, ROWS_PER_READ, true).await?;
            for (key, value) in &rows {
                let row = TicketRow::decode(value).ok().filter(|row| row.settings == self.settings[..]);
                let ticket = ticket_of(key).filter(|(expires_at, _)| {
                    // A clock that was set back must not make a ticket last longer.
                    *expires_at > now && *expires_at <= now.plus(TICKET_LIFETIME)
                });
                match (ticket, row) {
                    (Some((expires_at, id)), Some(row)) if good.len() < self.tickets_max => {
                        good.push((expires_at, id, row.session));
                    }
                    _ => bad.push(Key::of_ticket(key)),
                }
            }
            match rows.last() {
                Some((key, _)) if rows.len() == ROWS_PER_READ => range = range.before(key),
                _ => break,
            }
        }
        let mut held = self.held.lock();
        for (expires_at, id, session) in good.into_iter().rev() {
            held.insert(id, expires_at, session.as_ref().into(), true);
        }
        held.to_clear.extend(bad);
        self.show(&held);
        tracing::debug!(tickets = held.by_id.len(), to_clear = held.to_clear.len(), "tickets were read");
        Ok(())
    }

    /// Writes behind until it is dropped.
    pub(crate) async fn keep(self: Arc<Self>, store: Store) {
        loop {
            // Runs out at times so that the expired ones go.
            let _ = tokio::time::timeout(EXPIRE_EVERY, self.changed.notified()).await;
            tokio::time::sleep(WRITE_DELAY).await;
            self.write(&store).await;
        }
    }

    /// Writes what is to be written, all of it unless the store fails.
    pub(crate) async fn write(&self, store: &Store) {
        self.forget_expired();
        if self.server_id.is_none() {
            return;
        }
        loop {
            let (changes, written) = self.next_changes();
            if changes.is_empty() {
                return;
            }
            let run = store.run(move |transaction| {
                let changes = changes.clone();
                Box::pin(async move {
                    for (key, value) in changes {
                        match value {
                            Some(value) => transaction.set(&key, value),
                            None => transaction.clear(&key),
                        }
                    }
                    Ok::<_, StoreError>(())
                })
            });
            if let Err(error) = run.await {
                tracing::debug!(%error, "tickets were not written");
                return;
            }
            self.metrics.tickets_stored.increment(written);
        }
    }

    /// Some of what is to be written, and how many tickets are among it.
    fn next_changes(&self) -> (Vec<Change>, u64) {
        let mut held = self.held.lock();
        let clears = held.to_clear.len().min(ROWS_PER_WRITE);
        let mut changes: Vec<Change> = held.to_clear.drain(..clears).map(|key| (key, None)).collect();
        let mut written = 0;
        while changes.len() < ROWS_PER_WRITE {
            let Some(id) = held.unwritten.pop_front() else { break };
            if let Some(change) = self.row(&mut held, &id) {
                changes.push(change);
                written += 1;
            }
        }
        (changes, written)
    }

    /// The row of a ticket, unless it was taken before there was one.
    fn row(&self, held: &mut Held, id: &super::TicketId) -> Option<Change> {
        let server_id = self.server_id?;
        let ticket = held.by_id.get_mut(id)?;
        ticket.stored = true;
        let row = TicketRow {
            settings: Bytes::copy_from_slice(&self.settings),
            session: Bytes::copy_from_slice(&ticket.session),
        };
        Some((Key::ticket(server_id, ticket.expires_at, id), Some(row.encode())))
    }
}
