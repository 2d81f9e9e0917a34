//! The key by which a server answers for connections that it has forgotten, kept in the data folder or made from the
//! secret of its cluster.
//!
//! A server that was killed knows nothing of the connections it had. When their packets arrive after its
//! restart it answers with a stateless reset, which clients believe only when it was made with the key of the
//! server that they were connected to. The ids of its connections are made with it, too: a server does not
//! answer for ids that it cannot have given out. With a key of its own at each start clients would wait for
//! the idle timeout, a minute, before they connected again.
//!
//! The file is private: who has it can end connections, though neither read nor write on them. When it is not
//! there, or not whole, a new one is made, and old connections wait once more.
//!
//! In a cluster whose nodes have server ids, key and ids are made from the cluster's secret, so that a node that comes
//! up on another machine answers for what it had, too.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use quinn::EndpointConfig;
use quinn_proto::HashedConnectionIdGenerator;

use super::connection_ids::{KeyRefused, Scheme, ServerId};
use super::secret::ClusterSecret;
use crate::clock::Rng;

/// quinn sends a stateless reset every 20 ms, and after a restart each client waits for its own. A reset is smaller
/// than the packet that it answers, so that nobody gains by asking for many.
const RESET_INTERVAL_MIN: Duration = Duration::from_micros(100);
const KEY_BYTES: usize = 64;
const FILE: &str = "reset-key";
/// What the key of connection ids is made from.
const CONNECTION_IDS: &[u8] = b"fulmar connection ids";

/// The configuration of an endpoint whose connections a later process of the same data folder can answer for.
/// Call it while the folder's store is open, so that one process makes the key.
pub(crate) fn endpoint_config(data: &Path) -> io::Result<EndpointConfig> {
    let key = open(data)?;
    let tag = hmac::sign(&key, CONNECTION_IDS);
    let octets = tag.as_ref().first_chunk().copied().unwrap_or_default();
    let connection_ids = u64::from_be_bytes(octets);
    let mut config = EndpointConfig::new(Arc::new(key));
    config.min_reset_interval(RESET_INTERVAL_MIN);
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(connection_ids)));
    Ok(config)
}

/// The configuration of a node whose connection ids tell balancers where they belong.
pub(crate) fn endpoint_config_in_cluster(
    secret: &ClusterSecret,
    server_id: ServerId,
    plain: bool,
    rng: &Rng,
) -> Result<EndpointConfig, KeyRefused> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.reset_key(server_id));
    let scheme = if plain {
        Scheme::plain(server_id)
    } else {
        Scheme::encrypted(server_id, &secret.connection_id_key())?
    };
    let mut config = EndpointConfig::new(Arc::new(key));
    config.min_reset_interval(RESET_INTERVAL_MIN);
    let rng = rng.clone();
    config.cid_generator(move || Box::new(scheme.generator(rng.clone())));
    Ok(config)
}

/// Reads the key, or makes it.
fn open(data: &Path) -> io::Result<hmac::Key> {
    let path = data.join(FILE);
    let octets = match read(&path) {
        Ok(octets) => octets,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
            make(&path)?
        }
        Err(error) => return Err(error),
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &octets))
}

fn read(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut octets = [0; KEY_BYTES];
    File::open(path)?.read_exact(&mut octets)?;
    Ok(octets)
}

fn make(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut octets = [0; KEY_BYTES];
    rand::fill(&mut octets).map_err(|_| io::Error::other("the system gives no randomness"))?;
    let part = path.with_extension("part");
    // Left by a process that died here.
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&part)?.write_all(&octets)?;
    fs::rename(&part, path)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_with(key: &hmac::Key) -> Vec<u8> {
        hmac::sign(key, b"a connection id").as_ref().to_vec()
    }

    #[test]
    fn a_restarted_server_has_the_key_it_had_and_another_server_another() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = made_with(&open(one.path()).unwrap());
        assert_eq!(made_with(&open(one.path()).unwrap()), first);
        assert_ne!(made_with(&open(other.path()).unwrap()), first);
    }

    #[test]
    fn a_key_that_is_not_whole_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), b"half").unwrap();
        fs::write(folder.path().join("reset-key.part"), b"left over").unwrap();
        let made = made_with(&open(folder.path()).unwrap());
        assert_eq!(made_with(&open(folder.path()).unwrap()), made);
    }
}
