//! One file that is written and synced again and again, as a journal would be.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::Duration,
};

use tokio::time::Instant;

use crate::{error::BenchError, figures::Times};

/// The file begins anew when it is this long.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Times of so many writes of so many bytes, each with its `fdatasync`.
pub(crate) async fn syncs(folder: &Path, times: u32, bytes: usize) -> Result<Times, BenchError> {
    let path = folder.join("floor");
    tokio::task::spawn_blocking(move || {
        let mut file = File::create(&path)?;
        let payload = vec![b'x'; bytes];
        let mut taken = Times::new()?;
        for _ in 0..times {
            taken.record(sync(&mut file, &payload)?);
        }
        std::fs::remove_file(&path)?;
        Ok(taken)
    })
    .await?
}

fn sync(file: &mut File, payload: &[u8]) -> Result<Duration, BenchError> {
    if file.stream_position()? > FILE_BYTES_MAX {
        file.seek(SeekFrom::Start(0))?;
    }
    let started = Instant::now();
    file.write_all(payload)?;
    file.sync_data()?;
    Ok(started.elapsed())
}
