//! What nothing can be faster than, measured in the same run: raw QUIC connections with Fulmar's settings, one sync
//! of the disk, the embedded store alone. The raw relay, a floor too, is a `System`: see `system::relay`.

pub(crate) mod disk;
pub(crate) mod quic;
pub(crate) mod raw_client;
pub(crate) mod raw_server;
pub(crate) mod store;
