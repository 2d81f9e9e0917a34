//! The tickets that the scripted server gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

/// Tickets that the server may be made to forget.
#[derive(Debug)]
pub(crate) struct Tickets {
    kept: Arc<dyn StoresServerSessions>,
    forgotten: AtomicBool,
}

impl Tickets {
    pub(crate) fn new() -> Self {
        Self { kept: ServerSessionMemoryCache::new(64), forgotten: AtomicBool::new(false) }
    }

    pub(crate) fn forget(&self) {
        self.forgotten.store(true, Ordering::SeqCst);
    }
}

impl StoresServerSessions for Tickets {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.kept.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.kept.get(key).filter(|_| !self.forgotten.load(Ordering::SeqCst))
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.kept.take(key).filter(|_| !self.forgotten.load(Ordering::SeqCst))
    }

    fn can_cache(&self) -> bool {
        true
    }
}
