//! Which conversations there are, and who is in which.

use parking_lot::Mutex;

use crate::system::ConversationHandle;

/// All conversations of one running server.
#[derive(Default)]
pub(super) struct Conversations(Mutex<Vec<ConversationHandle>>);

impl Conversations {
    /// Adds one, named after its number.
    pub(super) fn add(&self, members: &[usize], name: impl FnOnce(usize) -> String) -> ConversationHandle {
        let mut all = self.0.lock();
        let number = all.len();
        all.push(ConversationHandle { number, name: name(number), members: members.to_vec() });
        ConversationHandle {
            number,
            name: all.last().map(|last| last.name.clone()).unwrap_or_default(),
            members: members.to_vec(),
        }
    }

    /// The conversations that a user is in.
    pub(super) fn of(&self, user: usize) -> Vec<ConversationHandle> {
        self.0.lock().iter().filter(|one| one.members.contains(&user)).cloned().collect()
    }
}
