//! The embedded back end: a log-structured tree on the local disk, with one writer thread.
//!
//! | file | what |
//! |---|---|
//! | `folder` | generations, lock and format on disk |
//! | `journal` | the pass over the journals before the tree opens them |
//! | `tree` | how the tree is set up |
//! | `writer` | the writer thread |
//! | `view` | a durable state, and reading from it |
//! | `maintenance` | checking and compacting |
//! | `stamp` | what tells a batch in the journal from bytes that look like one |

mod folder;
mod journal;
mod maintenance;
mod stamp;
mod tree;
mod view;
mod writer;

use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::{folder::Folder, stamp::Stamp, tree::Tree, writer::Writer};
pub(super) use self::{maintenance::compact, view::View};
use super::{
    error::{RunError, StoreError},
    limits::QUEUE_CLOSURES_MAX,
    options::StoreOptions,
    serial::{ClosureJob, Message, Status},
    transaction::Transaction,
};

/// An open store. The folder is given up when the last clone (and the last snapshot) is dropped or
/// [`EmbeddedStore::close`] is called.
#[derive(Debug, Clone)]
pub(super) struct EmbeddedStore {
    handle: Arc<Handle>,
}

/// What the last clone of [`EmbeddedStore`] owns.
#[derive(Debug)]
struct Handle {
    status: Arc<Status<View>>,
    queue: mpsc::Sender<Message>,
    /// One permit for each closure that waits for the writer.
    places: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Cancelled when the writer has given up the folder.
    ended: CancellationToken,
}

impl EmbeddedStore {
    pub(super) fn open(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let folder = Folder::lock(path)?;
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
        let view = View::new(&tree.db, &tree.rows);
        let status = Arc::new(Status::new(view, &options));
        let (queue, receiver) = mpsc::channel();
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        let path = folder.path().to_owned();
        let writer = Writer { status: status.clone(), queue: receiver, tree, stamp, options, folder };
        let thread = std::thread::Builder::new()
            .name("fulmar-store".into())
            .spawn(move || {
                writer.run();
                drop(end);
            })
            .map_err(|error| StoreError::folder(path, error))?;
        Ok(Self {
            handle: Arc::new(Handle {
                status,
                queue,
                places: Arc::new(Semaphore::new(QUEUE_CLOSURES_MAX)),
                thread: Mutex::new(Some(thread)),
                ended,
            }),
        })
    }

    pub(super) async fn run<T, E, F>(&self, closure: F) -> Result<T, RunError<E>>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Handle { status, queue, places, .. } = &*self.handle;
        status.accepting()?;
        let place = places.clone().acquire_owned().await.map_err(|_| status.ending())?;
        let (job, answer) = ClosureJob::new(closure, false);
        queue.send(Message::Run(job, place)).map_err(|_| status.ending())?;
        answer.await.map_err(|_| status.ending())?
    }

    pub(super) fn status(&self) -> &Status<View> {
        &self.handle.status
    }

    pub(super) async fn close(&self) {
        self.handle.status.refuse();
        drop(self.handle.queue.send(Message::Close));
        self.handle.ended.cancelled().await;
        self.handle.join();
    }
}

impl Handle {
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
