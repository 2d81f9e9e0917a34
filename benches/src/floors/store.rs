//! The embedded store alone: durable appends as Fulmar makes them for a message, and range reads as a device that
//! was away causes them.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use fulmar_server::{KeyRange, Store, StoreError, StoreOptions};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    error::BenchError,
    figures::{as_f64, count},
};

/// Rows that a message in a direct conversation causes: entry, head, sender, two of the inbox.
const ROWS_PER_MESSAGE: usize = 5;
/// Rows that are read at once.
const PAGE_ROWS: usize = 256;
/// Rows of one transaction while the store is filled.
const FILL_ROWS: u64 = 500;

/// Messages a second that so many writers get into an empty store, each waiting for its own to be durable.
pub(crate) async fn appends_per_s(
    folder: &Path,
    writers: usize,
    time: Duration,
    bytes: usize,
) -> Result<f64, BenchError> {
    let store = open(folder).await?;
    let (started, ends) = (Instant::now(), Instant::now() + time);
    let mut writing = JoinSet::new();
    for writer in 0..writers {
        let store = store.clone();
        writing.spawn(async move {
            let mut appended = 0_u64;
            while Instant::now() < ends {
                append(&store, writer, appended, bytes).await?;
                appended += 1;
            }
            Ok::<_, BenchError>(appended)
        });
    }
    let mut appended = 0;
    while let Some(ended) = writing.join_next().await {
        appended += ended??;
    }
    let rate = as_f64(appended) / started.elapsed().as_secs_f64();
    close(store, folder).await?;
    Ok(rate)
}

async fn append(store: &Store, writer: usize, number: u64, bytes: usize) -> Result<(), BenchError> {
    let appended = store.run(move |transaction| {
        Box::pin(async move {
            transaction.set(&key(writer, Some(number)), vec![b'x'; bytes + 64]);
            for row in 1..ROWS_PER_MESSAGE {
                let key = [b"state".as_slice(), &key(writer, None), &[u8::try_from(row).unwrap_or(0)]];
                transaction.set(&key.concat(), vec![b'x'; 24]);
            }
            Ok::<_, StoreError>(())
        })
    });
    appended.await.map_err(BenchError::wrong)
}

/// Messages a second in pages of bare range reads, conversation after conversation.
pub(crate) async fn reads_per_s(
    folder: &Path,
    conversations: usize,
    messages_each: u64,
    bytes: usize,
) -> Result<f64, BenchError> {
    let store = open(folder).await?;
    for conversation in 0..conversations {
        let mut first = 0;
        while first < messages_each {
            let last = messages_each.min(first + FILL_ROWS);
            let body = Bytes::from(vec![b'x'; bytes + 64]);
            let filled = store.run(move |transaction| {
                let body = body.clone();
                Box::pin(async move {
                    for number in first..last {
                        transaction.set(&key(conversation, Some(number)), body.clone());
                    }
                    Ok::<_, StoreError>(())
                })
            });
            filled.await.map_err(BenchError::wrong)?;
            first = last;
        }
    }
    let started = Instant::now();
    let mut read = 0;
    for conversation in 0..conversations {
        let snapshot = store.snapshot();
        let mut range = KeyRange::prefix(key(conversation, None));
        loop {
            let rows = snapshot.range(range.clone(), PAGE_ROWS, false).await?;
            read += rows.len();
            match rows.last() {
                Some((last, _)) if rows.len() == PAGE_ROWS => range = range.after(last),
                _ => break,
            }
        }
    }
    let rate = count(read) / started.elapsed().as_secs_f64();
    if as_f64(messages_each) * count(conversations) > count(read) {
        return Err(BenchError::Wrong(format!("the store gave back only {read} rows")));
    }
    close(store, folder).await?;
    Ok(rate)
}

fn key(conversation: usize, number: Option<u64>) -> Vec<u8> {
    let mut key = format!("log-{conversation:08}-").into_bytes();
    key.extend(number.into_iter().flat_map(u64::to_be_bytes));
    key
}

async fn open(folder: &Path) -> Result<Store, BenchError> {
    let path = folder.join("store-alone");
    Ok(tokio::task::spawn_blocking(move || Store::open(path, StoreOptions::default())).await??)
}

/// Closes it and takes it away.
async fn close(store: Store, folder: &Path) -> Result<(), BenchError> {
    store.close().await;
    drop(store);
    let path: Arc<Path> = folder.join("store-alone").into();
    Ok(tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path)).await??)
}
