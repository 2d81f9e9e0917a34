//! Which history of the store a server speaks of.

use crate::id::number::number;

number! {
    /// Which history of the store a server speaks of: changes when a backup was restored. Not ordered in
    /// time; only equality means something.
    Epoch
}
