//! The embedded back end: a log-structured tree on the local disk, with one writer thread.
//!
//! | file | what |
//! |---|---|
//! | `folder` | generations, lock and format on disk |
//! | `journal` | the pass over the journals before the tree opens them |
//! | `tree` | how the tree is set up |
//! | `writer` | the writer thread |
//! | `job` | one closure on its way through it |
//! | `workspace`, `overlay` | what a closure reads and writes |
//! | `view` | a durable state, and reading from it |
//! | `maintenance` | checking and compacting |
//! | `stamp` | what tells a batch in the journal from bytes that look like one |

mod folder;
mod job;
mod journal;
mod maintenance;
mod overlay;
mod stamp;
mod tree;
mod view;
mod workspace;
mod writer;

use std::{
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

pub use self::maintenance::{CompactProgress, StoreCounts};
use self::{
    folder::Folder,
    job::ClosureJob,
    stamp::Stamp,
    tree::Tree,
    writer::{Message, Writer},
};
pub(super) use self::{view::View, workspace::Workspace};
use super::{
    error::{Health, RunError, StoreError},
    limits::QUEUE_CLOSURES_MAX,
    options::StoreOptions,
    transaction::{Snapshot, Transaction},
};
use crate::metrics::Metrics;

/// An open store. Cheap to clone; the folder is given up when the last clone (and the last
/// [`Snapshot`]) is dropped or [`Store::close`] is called.
#[derive(Debug, Clone)]
pub struct Store {
    handle: Arc<Handle>,
}

/// What the last clone of [`Store`] owns.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Message>,
    /// One permit for each closure that waits for the writer.
    places: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Cancelled when the writer has given up the folder.
    ended: CancellationToken,
}

/// What the writer thread tells everybody.
#[derive(Debug)]
struct Shared {
    view: ArcSwapOption<View>,
    failure: OnceLock<Arc<str>>,
    closed: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Shared {
    fn failure(&self) -> Option<Arc<str>> {
        self.failure.get().cloned()
    }

    fn fail(&self, reason: &str) -> Arc<str> {
        let reason = self.failure.get_or_init(|| {
            tracing::error!(reason, "the store takes no more writes");
            self.metrics.store_failed.set(1.0);
            reason.into()
        });
        reason.clone()
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.view.store(None);
    }
}

impl Store {
    /// Opens the store in a folder, which is made if it is not there. Blocks while the journals are read and the
    /// last of them is written anew.
    ///
    /// # Errors
    /// When the folder is in use, cannot be read or written, is of an unknown format, or is damaged.
    pub fn open(path: impl AsRef<Path>, options: StoreOptions) -> Result<Self, StoreError> {
        let folder = Folder::lock(path.as_ref())?;
        let generation = match folder.current()? {
            Some(generation) => generation,
            None => folder.build(None, |tree| Tree::open(tree, &options).map(drop))?,
        };
        let secret = folder.secret(generation)?;
        let tree_path = folder.tree_path(generation);
        journal::settle(&tree_path, secret)?;
        let tree = Tree::open(&tree_path, &options)?;
        let stamp = Stamp::resume(secret, &tree)?;
        Self::start(folder, tree, stamp, options)
    }

    fn start(folder: Folder, tree: Tree, stamp: Stamp, options: StoreOptions) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            view: ArcSwapOption::from_pointee(View::new(&tree.db, &tree.rows)),
            failure: OnceLock::new(),
            closed: AtomicBool::new(false),
            metrics: Arc::clone(&options.metrics),
        });
        let (queue, receiver) = mpsc::channel();
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        let path = folder.path().to_owned();
        let writer = Writer { shared: shared.clone(), queue: receiver, tree, stamp, options, folder };
        let thread = std::thread::Builder::new()
            .name("fulmar-store".into())
            .spawn(move || {
                writer.run();
                drop(end);
            })
            .map_err(|error| StoreError::folder(path, error))?;
        Ok(Self {
            handle: Arc::new(Handle {
                shared,
                queue,
                places: Arc::new(Semaphore::new(QUEUE_CLOSURES_MAX)),
                thread: Mutex::new(Some(thread)),
                ended,
            }),
        })
    }

    /// Runs a closure as one transaction, and answers when what it wrote and read is durable. See the module's
    /// contract. Dropping the future is safe: the closure then runs or does not.
    ///
    /// # Errors
    /// [`RunError::Aborted`] with the closure's own error; [`RunError::Store`] when the store did not run or
    /// commit it.
    pub async fn run<T, E, F>(&self, closure: F) -> Result<T, RunError<E>>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let handle = &*self.handle;
        handle.accepting()?;
        let place = handle.places.clone().acquire_owned().await.map_err(|_| handle.ending())?;
        let (reply, answer) = oneshot::channel();
        let job = Box::new(ClosureJob::new(closure, reply));
        handle.queue.send(Message::Run(job, place)).map_err(|_| handle.ending())?;
        answer.await.map_err(|_| handle.ending())?
    }

    /// The newest synced state.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { view: self.handle.shared.view.load_full() }
    }

    /// Whether the store accepts writes.
    pub fn health(&self) -> Health {
        match self.handle.accepting() {
            Ok(()) => Health::Good,
            Err(StoreError::Failed { reason }) => Health::Failed { reason },
            Err(_) => Health::Closed,
        }
    }

    /// Runs what was handed in before, syncs, and gives up the folder, for all clones. A [`Snapshot`] that
    /// still lives keeps the folder locked until it is dropped.
    pub async fn close(&self) {
        self.handle.shared.closed.store(true, Ordering::Release);
        drop(self.handle.queue.send(Message::Close));
        self.handle.ended.cancelled().await;
        self.handle.join();
    }
}

impl Handle {
    fn accepting(&self) -> Result<(), StoreError> {
        if let Some(reason) = self.shared.failure() {
            return Err(StoreError::Failed { reason });
        }
        if self.shared.closed.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Why a closure that was handed in got no answer.
    fn ending(&self) -> StoreError {
        self.accepting().err().unwrap_or(StoreError::Closed)
    }

    fn join(&self) {
        let Some(thread) = self.thread.lock().take() else { return };
        // The last handle may be one that a closure captured, dropped on the writer thread itself.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.queue.send(Message::Close));
        self.join();
    }
}
