//! `fulmar-bench report`: a page for people, made of the JSON files that workloads wrote.
//!
//! `source` reads and checks the files, each of `sections` says what one of them tells, `plot` draws, `page` puts
//! everything in order, and `publish` puts it in its place, whole or not at all. Nothing is measured here.

mod page;
mod plot;
mod publish;
mod sections;
mod source;
mod table;
mod words;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::BenchError;

/// The folder within a report that has the JSON files it was made of.
pub(crate) const FIGURES: &str = "figures";

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The folder with the JSON files, as `fulmar-bench WORKLOAD --json FILE` writes them; other files in it are left
    /// alone.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The folder that the report is to be: a new one, or that of an earlier report, which it replaces.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<(), BenchError> {
    make(&options.from, &options.to, &[])
}

/// Makes the report of one folder's files in another. `missing` are lines about what else should be there.
pub(crate) fn make(from: &Path, to: &Path, missing: &[String]) -> Result<(), BenchError> {
    // Before the work, since it is refused in any case.
    publish::may_replace(to)?;
    let sources = source::read(from)?;
    let page = page::make(&sources, missing)?;
    publish::publish(&page, &sources, to)
}

/// Refuses a folder that is something else than a report.
pub(crate) fn may_replace(to: &Path) -> Result<(), BenchError> {
    publish::may_replace(to)
}
