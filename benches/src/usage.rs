//! What processes have used: processor time, context switches, memory, as `/proc` tells it.
//!
//! Processor time is summed over threads, in nanoseconds, as long as no thread has ended in between; otherwise it is
//! the processes' own count, in hundredths of a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::{
    error::BenchError,
    figures::{Figures, as_f64},
};

const TICK_NS: u64 = 10_000_000;

/// What processes have used until now.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    /// Of each thread.
    threads_ns: BTreeMap<u64, u64>,
    processes_ns: u64,
    switches: u64,
}

impl Usage {
    pub(crate) fn of(processes: &[u32]) -> Result<Self, BenchError> {
        let mut usage = Self { threads_ns: BTreeMap::new(), processes_ns: 0, switches: 0 };
        for process in processes {
            let stat = read(format!("/proc/{process}/stat"))?;
            // Fields are counted after the name, which may hold spaces: utime is the 12th, stime the 13th.
            let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
            usage.processes_ns += TICK_NS * fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
            for thread in fs::read_dir(format!("/proc/{process}/task")).map_err(|_| BenchError::ServerGone)? {
                usage.add_thread(&thread?.path());
            }
        }
        Ok(usage)
    }

    /// A thread that has ended by now counts for nothing.
    fn add_thread(&mut self, folder: &Path) {
        let file = |name| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let id = folder.file_name().and_then(|name| name.to_str()?.parse().ok());
        let spent = file("schedstat").split_whitespace().next().and_then(|field| field.parse().ok());
        if let (Some(id), Some(spent)) = (id, spent) {
            self.threads_ns.insert(id, spent);
        }
        let switches = |line: &str| line.split_once("_ctxt_switches:")?.1.trim().parse::<u64>().ok();
        self.switches += file("status").lines().filter_map(switches).sum::<u64>();
    }

    /// Processor time since `before`, in microseconds.
    pub(crate) fn processor_us_since(&self, before: &Self) -> f64 {
        let ids = |usage: &Self| usage.threads_ns.keys().copied().collect::<BTreeSet<_>>();
        let sum = |usage: &Self| usage.threads_ns.values().sum::<u64>();
        let spent = if ids(self).is_superset(&ids(before)) && !before.threads_ns.is_empty() {
            sum(self).saturating_sub(sum(before))
        } else {
            self.processes_ns.saturating_sub(before.processes_ns)
        };
        as_f64(spent) / 1_000.0
    }

    /// Writes down what each message, and each copy of it that arrived, has cost the server since `before`.
    pub(crate) fn per_message(&self, before: &Self, messages: u64, copies: u64, figures: &mut Figures) {
        let spent = self.processor_us_since(before);
        let switches = as_f64(self.switches.saturating_sub(before.switches));
        if messages > 0 {
            figures.set("server_cpu_us_per_message", spent / as_f64(messages));
            figures.set("server_switches_per_message", switches / as_f64(messages));
        }
        if copies > 0 {
            figures.set("server_cpu_us_per_copy", spent / as_f64(copies));
        }
    }
}

/// Resident memory of processes, in bytes.
pub(crate) fn resident_bytes(processes: &[u32]) -> Result<u64, BenchError> {
    processes.iter().map(|process| Ok(kib(&read(format!("/proc/{process}/status"))?, "VmRSS:") * 1024)).sum()
}

/// Whether all of them still run: one that has ended and that nobody has asked after is dead, too.
pub(crate) fn all_alive(processes: &[u32]) -> bool {
    processes.iter().all(|process| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
        !matches!(state, None | Some("Z" | "X"))
    })
}

/// A line of `/proc/meminfo` or `/proc/PID/status`.
pub(crate) fn kib(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Kernel memory of the sockets of processes, in bytes: for each socket that they hold open the kernel's objects (the
/// socket itself, its inode and its directory entry, the open file), by their sizes in `/proc/slabinfo`, and what
/// waits in its queues. Nothing where these files cannot be read (the first needs root).
///
/// Not counted: routes, timers, epoll's entries, and what the sockets of the clients take.
pub(crate) fn kernel_bytes(processes: &[u32]) -> Option<u64> {
    let slabs = fs::read_to_string("/proc/slabinfo").ok()?;
    let size = |name: &str| -> u64 {
        let line = slabs.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or(0)
    };
    let beside = size("sock_inode_cache") + size("dentry") + size("filp");
    let mut bytes = 0;
    for process in processes {
        let open = inodes(*process);
        for (file, object) in [("tcp", "TCP"), ("tcp6", "TCPv6"), ("udp", "UDP"), ("udp6", "UDPv6")] {
            let table = fs::read_to_string(format!("/proc/{process}/net/{file}")).unwrap_or_default();
            let object = size(object).max(1_024);
            for line in table.lines().skip(1) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let held = fields.get(9).is_some_and(|inode| open.contains(*inode));
                if let (true, Some(queues)) = (held, fields.get(4)) {
                    let queued = queues.split(':').filter_map(|queue| u64::from_str_radix(queue, 16).ok());
                    bytes += object + beside + queued.sum::<u64>();
                }
            }
        }
    }
    Some(bytes)
}

/// The sockets that a process has open.
fn inodes(process: u32) -> BTreeSet<String> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
    targets
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect()
}

fn read(path: String) -> Result<String, BenchError> {
    fs::read_to_string(path).map_err(|_| BenchError::ServerGone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_has_used_only_grows() {
        let me = [std::process::id()];
        let before = Usage::of(&me).unwrap();
        let mut number = 1_u64;
        while Usage::of(&me).unwrap().processor_us_since(&before) < 20_000.0 {
            for _ in 0..10_000 {
                number = std::hint::black_box(number.wrapping_mul(31));
            }
        }
        assert!(resident_bytes(&me).unwrap() > 100_000);
        assert!(all_alive(&me));
    }

    #[test]
    fn a_process_that_has_ended_is_not_alive_even_before_its_parent_asks() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = child.id();
        while all_alive(&[id]) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!all_alive(&[id]), "and after that");
        assert!(matches!(Usage::of(&[id]), Err(BenchError::ServerGone)));
    }

    #[test]
    fn sockets_of_a_process_are_counted() {
        let me = [std::process::id()];
        let Some(before) = kernel_bytes(&me) else {
            return skipped();
        };
        let sockets: Vec<_> = (0..64).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let after = kernel_bytes(&me).unwrap();
        assert!(after >= before + 64 * 1_024, "{before}, then {after} bytes");
        drop(sockets);
    }

    #[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
    fn skipped() {
        eprintln!("SKIPPED: /proc/slabinfo cannot be read, which needs root");
    }
}
