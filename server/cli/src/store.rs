//! `fulmar store`: checks and compacts the store of a server that is stopped.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use fulmar_server::{Store, StoreCounts, StoreError, StoreOptions};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use crate::output;

/// Check or compact the store of a stopped server
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Example:\n  fulmar store check --data /var/lib/fulmar\n  fulmar store compact --data /var/lib/fulmar"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read everything, and verify checksums and order
    #[command(after_help = "Example:\n  fulmar store check --data /var/lib/fulmar")]
    Check(Folder),
    /// Rewrite the store, so that nothing that was redacted or overwritten is left in any file
    #[command(after_help = "Example:\n  fulmar store compact --data /var/lib/fulmar\n\n\
                      Needs as much free space as the store takes. May be interrupted at any moment.")]
    Compact(Folder),
}

#[derive(Debug, Args)]
struct Folder {
    /// The server's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Check(folder) => {
            let counts = check(&store_in(&folder.data)?).map_err(failed)?;
            output::line(format!("the store is sound: {}", in_words(&counts)))
        }
        Command::Compact(folder) => {
            let counts = compact(&store_in(&folder.data)?).map_err(failed)?;
            output::line(format!("the store is compacted: {}", in_words(&counts)))
        }
    }
}

/// The store's folder, which must be there: these commands make none.
fn store_in(data: &Path) -> Result<PathBuf, Failure> {
    let store = data.join("store");
    if store.is_dir() {
        return Ok(store);
    }
    let data = data.display();
    Err(Failure::failed(format!(
        "there is no store in {data}: name the folder that fulmar serve --data names; a store on FoundationDB is \
         checked and compacted by its cluster"
    )))
}

fn check(store: &Path) -> Result<StoreCounts, StoreError> {
    Store::open(store, StoreOptions::default())?.check()
}

fn compact(store: &Path) -> Result<StoreCounts, StoreError> {
    let bar = if output::is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} rows") {
        bar.set_style(style);
    }
    let outcome = Store::compact(store, &StoreOptions::default(), |progress| {
        bar.set_length(progress.rows_estimate.max(progress.rows_done));
        bar.set_position(progress.rows_done);
    });
    bar.finish_and_clear();
    outcome
}

fn in_words(counts: &StoreCounts) -> String {
    let StoreCounts { rows, key_bytes, value_bytes } = counts;
    format!("{rows} rows, {key_bytes} bytes of keys, {value_bytes} bytes of values")
}

fn failed(error: StoreError) -> Failure {
    Failure::failed(error.to_string())
}
