//! The two ends of a link: in each namespace a TUN device, its address and the way to everything else.
//!
//! A TUN device without a virtio header has no offloads: the kernel cuts large segments and computes checksums before
//! the packets come here, so that what is counted and lost is what would be on a wire. IPv6 is switched off before the
//! device is made: nothing but the programs' own packets is on the link.

use std::{
    ffi::OsStr,
    io::Write,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
};

use tun_rs::{DeviceBuilder, SyncDevice};

use super::{error::LinkError, namespace::Namespace, programs};

/// Packets that wait in the kernel until the emulator reads them; beyond that the kernel drops, and says so in
/// [`kernel_drops`].
const DEVICE_QUEUE_PACKETS: u32 = 10_000;
/// The name of the device, in either namespace.
const NAME: &str = "fulmar";

/// Makes the device of a namespace, with this address, and sends everything its way.
pub(super) fn open(
    namespace: &Namespace,
    end: &'static str,
    address: Ipv4Addr,
    mtu: u16,
) -> Result<SyncDevice, LinkError> {
    let ip = programs::find(OsStr::new("ip")).ok_or(LinkError::NoIp)?;
    if !Path::new("/dev/net/tun").exists() {
        return Err(LinkError::NoTun);
    }
    namespace.run(move || {
        for which in ["all", "default"] {
            // A kernel without IPv6 has no such file. Where it cannot be written, the emulator drops what comes.
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1");
        }
        let device =
            DeviceBuilder::new().name(NAME).inherit_enable_state().build_sync().map_err(LinkError::Device)?;
        device.set_nonblocking(true)?;
        let batch = format!(
            "link set lo up\n\
             link set {NAME} mtu {mtu} txqueuelen {DEVICE_QUEUE_PACKETS} multicast off up\n\
             address add {address}/32 dev {NAME}\n\
             route add default dev {NAME}\n"
        );
        run_ip(&ip, end, &batch)?;
        Ok(device)
    })
}

fn run_ip(ip: &Path, end: &'static str, batch: &str) -> Result<(), LinkError> {
    let mut child = Command::new(ip)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| LinkError::Program { program: ip.display().to_string(), error })?;
    if let Some(mut stdin) = child.stdin.take() {
        // If `ip` has ended early, its complaint says more than the broken pipe.
        let _ = stdin.write_all(batch.as_bytes());
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(LinkError::Ip { name: end, complaint })
}

/// Packets that the kernel dropped because the emulator did not read them in time.
pub(super) fn kernel_drops(namespace: &Namespace) -> Result<u64, LinkError> {
    namespace.run(|| {
        let table = std::fs::read_to_string("/proc/thread-self/net/dev")?;
        sent_drops(&table).ok_or_else(|| LinkError::Ended("its device is gone".into()))
    })
}

/// What the kernel's table of devices has in the fourth column of what ours has sent.
fn sent_drops(table: &str) -> Option<u64> {
    // Behind the name: eight columns of what was received, then bytes, packets, errors and drops sent.
    let ours = table.lines().find_map(|line| line.trim_start().strip_prefix(NAME)?.strip_prefix(':'))?;
    ours.split_whitespace().nth(11)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_read_out_of_the_kernels_table() {
        let table = "Inter-|   Receive                            |  Transmit\n \
                     face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls\n    \
                     lo:       1    2    3    4    5     6          7         8        9       10    11    12    13\n\
                     fulmar:    1607       4    0    3    0     0          0         0      398       6    5   17    0\n";
        assert_eq!(sent_drops(table), Some(17));
        assert_eq!(sent_drops("lo: 1 2 3\n"), None);
        assert_eq!(sent_drops("fulmar: 1 2 3\n"), None);
    }
}
