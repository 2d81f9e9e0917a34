//! A program in a namespace of the link and in a process namespace of its own: when its first process ends or is
//! killed, the kernel kills all that it has started. So whatever a command leaves behind goes with it, and a kill -9 of
//! this process takes everything along.

use std::{ffi::OsString, net::Ipv4Addr, process::Stdio};

use nix::sched::{CloneFlags, unshare};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use crate::link::{LinkError, Namespace};

/// A program under way. Killed when dropped.
pub(super) struct Child {
    pid: Pid,
    ended: Option<oneshot::Receiver<u8>>,
}

impl Child {
    /// Starts it, from a thread that waits for it: the kernel kills a child with the thread that started it.
    pub(super) fn start(
        namespace: &Namespace,
        server: Ipv4Addr,
        command: Vec<OsString>,
        stdin: Stdio,
    ) -> Result<Self, LinkError> {
        let namespace = namespace.clone();
        let (say_started, started) = std::sync::mpsc::sync_channel(1);
        let (say_ended, ended) = oneshot::channel();
        std::thread::Builder::new().name("child".into()).spawn(move || {
            let spawn = || -> Result<std::process::Child, LinkError> {
                namespace.enter().map_err(LinkError::Namespace)?;
                let apart = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
                unshare(apart).map_err(|error| LinkError::Namespace(error.into()))?;
                let mut inside = std::process::Command::new(std::env::current_exe()?);
                inside
                    .arg("inside")
                    .arg("--parent")
                    .arg(std::process::id().to_string())
                    .arg("--")
                    .args(command);
                Ok(inside.env("FULMAR_LINK_SERVER", server.to_string()).stdin(stdin).spawn()?)
            };
            match spawn() {
                Ok(mut child) => {
                    let _ = say_started.send(Ok(child.id()));
                    let code = child
                        .wait()
                        .ok()
                        .and_then(|status| status.code())
                        .and_then(|code| code.try_into().ok());
                    let _ = say_ended.send(code.unwrap_or(u8::MAX));
                }
                Err(error) => drop(say_started.send(Err(error))),
            }
        })?;
        let gone = || LinkError::Ended("the thread that starts programs is gone".into());
        let pid = started.recv().map_err(|_| gone())??;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
        Ok(Self { pid, ended: Some(ended) })
    }

    /// Waits for its end: its exit code, as a shell would say it. Only once; may be given up and called again.
    pub(super) async fn ended(&mut self) -> u8 {
        let Some(ended) = &mut self.ended else { return std::future::pending().await };
        let code = ended.await.unwrap_or(u8::MAX);
        self.ended = None;
        code
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it and all that it has started.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if self.ended.is_some() {
            // It may just have ended: then there is nobody to tell.
            let _ = kill_process(self.pid, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}
