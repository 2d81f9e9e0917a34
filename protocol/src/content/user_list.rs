//! The users that a change of a group names.

use std::collections::HashSet;
use std::ops::Deref;

use crate::id::UserId;
use crate::limits;

/// Distinct users, at most [`limits::USERS_PER_CHANGE_MAX`], in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserList(Vec<UserId>);

/// Why users cannot be named in one change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserListInvalid {
    /// There are too many.
    #[error("{users} users are more than the {} of one change", limits::USERS_PER_CHANGE_MAX)]
    TooMany {
        /// How many there are.
        users: usize,
    },
    /// One is named twice.
    #[error("the user {user} is named twice")]
    Repeated {
        /// The one.
        user: UserId,
    },
}

impl UserList {
    /// Checks a list of users.
    ///
    /// # Errors
    /// When there are too many, or one is named twice.
    pub fn new(users: Vec<UserId>) -> Result<Self, UserListInvalid> {
        if users.len() > limits::USERS_PER_CHANGE_MAX {
            return Err(UserListInvalid::TooMany { users: users.len() });
        }
        let mut seen = HashSet::with_capacity(users.len());
        match users.iter().find(|user| !seen.insert(*user)) {
            Some(user) => Err(UserListInvalid::Repeated { user: user.clone() }),
            None => Ok(Self(users)),
        }
    }

    /// The users.
    #[must_use]
    pub fn into_vec(self) -> Vec<UserId> {
        self.0
    }
}

impl Deref for UserList {
    type Target = [UserId];

    fn deref(&self) -> &[UserId] {
        &self.0
    }
}

impl From<UserId> for UserList {
    fn from(user: UserId) -> Self {
        Self(vec![user])
    }
}

impl TryFrom<Vec<UserId>> for UserList {
    type Error = UserListInvalid;

    fn try_from(users: Vec<UserId>) -> Result<Self, Self::Error> {
        Self::new(users)
    }
}
