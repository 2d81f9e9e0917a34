//! How often a server syncs its files for each message that it answers: counted with strace, one message at a time.
//!
//! Counted are the calls that wait for a disk, and writes to files that were opened so that each write does. A server
//! that syncs now and then, in the background, shows as a small fraction; one that syncs before each answer as one or
//! more. Counting slows the server down: no times are taken here.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    error::BenchError,
    system::{ConversationHandle, Running, Session},
};

const SYNCS: &[&str] = &["fsync", "fdatasync", "sync_file_range", "msync", "sync", "syncfs"];
const WRITES: &[&str] = &["write", "pwrite64", "writev", "pwritev", "pwritev2"];
/// How long strace may take to attach to all threads, and to leave them.
const STRACE_MAX: Duration = Duration::from_secs(20);
/// How long an answer may take while every call is watched.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(60);
/// `O_DSYNC`, which `O_SYNC` includes, in the flags that `/proc` shows.
const DATA_SYNC: u32 = 0o10_000;

/// Sends so many messages one after the other, each when the one before was answered; returns the server's syncs for
/// each.
pub(crate) async fn per_message(
    running: &dyn Running,
    session: &Session,
    to: &ConversationHandle,
    messages: u32,
) -> Result<f64, BenchError> {
    let folder = tempfile::Builder::new().prefix("fulmar-bench-strace-").tempdir()?;
    let trace = folder.path().join("trace");
    let processes = running.processes();
    let strace = Strace::attach(&processes, &trace).await?;
    for _ in 0..messages {
        let answered = session.sender.send(to, vec![b'x'; 200].into()).await?;
        let late = |_| BenchError::Wrong("a message was not answered while calls were counted".into());
        timeout(ANSWER_MAX, answered).await.map_err(late)??;
    }
    let synced_files = synced_files(&processes);
    strace.detach().await?;
    let count = fs::read_to_string(trace)?.lines().filter(|line| is_sync(line, &synced_files)).count();
    Ok(f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / f64::from(messages.max(1)))
}

/// strace, attached to a server.
struct Strace {
    child: Child,
}

impl Strace {
    async fn attach(processes: &[u32], trace: &Path) -> Result<Self, BenchError> {
        let mut command = Command::new(installed()?);
        command.args(["--follow-forks", "-e"]).arg(format!("trace={},{}", SYNCS.join(","), WRITES.join(",")));
        command.args(["-e", "signal=none", "--output"]).arg(trace);
        for process in processes {
            command.args(["--attach", &process.to_string()]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = child.stderr.take().ok_or(BenchError::ServerGone)?;
        let mut lines = BufReader::new(stderr).lines();
        let attached = async {
            let mut waiting = processes.len();
            while waiting > 0 {
                match lines.next_line().await? {
                    Some(line) if line.ends_with("attached") || line.contains("attached with") => {
                        waiting -= 1
                    }
                    Some(line) => return Err(refused(&line)),
                    None => return Err(refused("it ended")),
                }
            }
            Ok(())
        };
        timeout(STRACE_MAX, attached).await.map_err(|_| refused("it took too long"))??;
        // It says something of each thread, and must not block on that.
        tokio::spawn(async move { lines.into_inner().read_to_end(&mut Vec::new()).await });
        Ok(Self { child })
    }

    /// Lets the server go, and waits until everything is written.
    async fn detach(mut self) -> Result<(), BenchError> {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            kill_process(id, Signal::INT).map_err(std::io::Error::from)?;
        }
        timeout(STRACE_MAX, self.child.wait()).await.map_err(|_| refused("it does not end"))??;
        Ok(())
    }
}

fn installed() -> Result<PathBuf, BenchError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("strace")).find(|path| path.is_file()).ok_or_else(
        || BenchError::NotInstalled { what: "strace".into(), install: "apt-get install strace".into() },
    )
}

fn refused(line: &str) -> BenchError {
    BenchError::Wrong(format!(
        "cannot count a server's calls: strace: {line} (it needs root, or kernel.yama.ptrace_scope=0)"
    ))
}

/// The open files of these processes each write to which is a sync.
fn synced_files(processes: &[u32]) -> HashSet<String> {
    let folders = processes.iter().filter_map(|process| fs::read_dir(format!("/proc/{process}/fdinfo")).ok());
    let files = folders.flatten().flatten().filter(|file| {
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & DATA_SYNC != 0)
    });
    files.map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}

/// Whether a line of the trace is a call that waits for a disk. The second line of a call that another thread's
/// interrupted does not count again.
fn is_sync(line: &str, synced_files: &HashSet<String>) -> bool {
    let call = line.split_once(char::is_whitespace).map_or(line, |(_, call)| call.trim_start());
    let Some((name, arguments)) = call.split_once('(') else { return false };
    if SYNCS.contains(&name) {
        return true;
    }
    let file = arguments.split([',', ')']).next().unwrap_or_default();
    WRITES.contains(&name) && synced_files.contains(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_wait_for_the_disk_count_once() {
        let synced = HashSet::from(["7".to_owned()]);
        let counted = [
            "123 fdatasync(9) = 0",
            "123   fsync(9 <unfinished ...>",
            "124 pwrite64(7, \"x\", 1, 0) = 1",
            "124 write(7,  <unfinished ...>",
        ];
        let passed = [
            "123 <... fsync resumed>) = 0",
            "123 write(8, \"fsync(1)\", 8) = 8",
            "123 write(77, \"\", 0) = 0",
            "123 +++ exited with 0 +++",
        ];
        for line in counted {
            assert!(is_sync(line, &synced), "{line}");
        }
        for line in passed {
            assert!(!is_sync(line, &synced), "{line}");
        }
    }
}
