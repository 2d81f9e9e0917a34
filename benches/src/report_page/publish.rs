//! The report in its place: whole, or as it was before.
//!
//! It is written into a folder beside the target, which then takes the target's place by renaming. A target that is
//! something else than a report is never touched.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::{
    FIGURES,
    page::{Page, TITLE},
    source::Source,
};
use crate::error::BenchError;

const PAGE: &str = "README.md";

/// Refuses a folder whose contents are no report's: it would be replaced.
pub(super) fn may_replace(to: &Path) -> Result<(), BenchError> {
    let refused = |what: &str| Err(BenchError::Wrong(format!("{}: {what}", to.display())));
    let entries = match fs::read_dir(to) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return refused(&error.to_string()),
    };
    for entry in entries {
        let name = entry?.file_name();
        let extension = Path::new(&name).extension();
        let ours = name == PAGE || name == FIGURES || extension == Some(OsStr::new("svg"));
        if !ours {
            let name = name.to_string_lossy();
            return refused(&format!(
                "is no report, since it has {name:?}: choose another folder, or move that away"
            ));
        }
    }
    match fs::read_to_string(to.join(PAGE)) {
        Ok(page) if !page.starts_with(TITLE) => {
            refused("is no report, since its README.md is something else: choose another folder")
        }
        _ => figures_alone(&to.join(FIGURES)),
    }
}

/// The folder of a report's figures has JSON files and nothing else.
fn figures_alone(folder: &Path) -> Result<(), BenchError> {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry?.path();
        if path.extension() != Some(OsStr::new("json")) {
            return Err(BenchError::Wrong(format!("{}: is no report's: move it away", path.display())));
        }
    }
    Ok(())
}

/// Puts a report with its figures into its place.
pub(super) fn publish(page: &Page, sources: &[Source], to: &Path) -> Result<(), BenchError> {
    let cannot = |error: std::io::Error| BenchError::Wrong(format!("cannot write {}: {error}", to.display()));
    let to = std::path::absolute(to).map_err(cannot)?;
    let beside =
        to.parent().ok_or_else(|| BenchError::Wrong("--to is the root of all folders".to_owned()))?;
    fs::create_dir_all(beside).map_err(cannot)?;
    let staging = tempfile::Builder::new().prefix(".fulmar-report-").tempdir_in(beside).map_err(cannot)?;
    let new = staging.path().join("new");
    write(page, sources, &new).map_err(cannot)?;
    take_place(&new, &to, &staging.path().join("old")).map_err(cannot)
}

fn write(page: &Page, sources: &[Source], new: &Path) -> std::io::Result<()> {
    let figures: PathBuf = new.join(FIGURES);
    fs::create_dir(new)?;
    fs::create_dir(&figures)?;
    for source in sources {
        fs::write(figures.join(format!("{}.json", source.stem)), &source.text)?;
    }
    for picture in &page.pictures {
        fs::write(new.join(&picture.file), &picture.svg)?;
    }
    fs::write(new.join(PAGE), &page.markdown)
}

/// The former one is kept until the new one is there.
fn take_place(new: &Path, to: &Path, old: &Path) -> std::io::Result<()> {
    let was_there = match fs::rename(to, old) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    fs::rename(new, to).inspect_err(|_| {
        if was_there {
            // What there is to say is why the new one could not be put there.
            let _ = fs::rename(old, to);
        }
    })
}
