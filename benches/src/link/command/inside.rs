//! The first process of a process namespace: starts the program, hands on a request to end, reaps whoever is left over,
//! and ends with the program's exit code; with it the kernel ends all others there.
//!
//! Ctrl-C reaches the program from the terminal itself, and this process not at all: the first process of a namespace
//! gets no signal that it has not asked for.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::Args;
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::{Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, wait},
};
use tokio::signal::unix::{SignalKind, signal};

use super::runtime;
use crate::{error::BenchError, link::LinkError, report};

/// What a shell says of a program that cannot be started.
const NOT_STARTED: u8 = 126;
/// What a shell adds to the number of the signal that ended a program.
const BY_SIGNAL: i32 = 128;

/// For `fulmar-bench link`, which starts this.
#[derive(Args)]
pub(crate) struct InsideOptions {
    /// Whoever started this.
    #[arg(long)]
    parent: u32,
    /// The program, and what it takes.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// See the module.
pub(crate) fn inside(options: &InsideOptions) -> ExitCode {
    match runtime().and_then(|runtime| runtime.block_on(run(options))) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report::complain(&BenchError::from(error));
            ExitCode::from(NOT_STARTED)
        }
    }
}

async fn run(options: &InsideOptions) -> Result<u8, LinkError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(std::io::Error::from)?;
    // It may have died before the line above.
    if !PathBuf::from(format!("/proc/{}", options.parent)).exists() {
        return Ok(NOT_STARTED);
    }
    let mut terminate = signal(SignalKind::terminate())?;
    show_own_processes().map_err(LinkError::Namespace)?;
    let Some((program, arguments)) = options.command.split_first() else { return Ok(NOT_STARTED) };
    let child = std::process::Command::new(program)
        .args(arguments)
        .spawn()
        .map_err(|error| LinkError::Program { program: program.to_string_lossy().into_owned(), error })?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let mut ended = tokio::task::spawn_blocking(move || wait_for(pid));
    loop {
        tokio::select! {
            code = &mut ended => return Ok(code.ok().flatten().unwrap_or(NOT_STARTED)),
            _ = terminate.recv() => {
                if let Some(pid) = pid {
                    // It may just have ended.
                    let _ = kill_process(pid, Signal::TERM);
                }
            }
        }
    }
}

/// `/proc` as it is for this namespace, and only here.
fn show_own_processes() -> std::io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("proc", "/proc", "proc", flags, None)?)
}

/// Reaps until it is this one's turn. Orphans come here, as to any first process.
fn wait_for(pid: Option<Pid>) -> Option<u8> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if Some(ended) == pid => {
                let by_signal = status.terminating_signal().map(|signal| BY_SIGNAL + signal);
                return status.exit_status().or(by_signal).and_then(|code| u8::try_from(code).ok());
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}
