//! The rows of the store: keys and values, and nothing else.
//!
//! A key is `schema version | area | owner | table | rest`, so that all rows of a conversation, and all
//! of a user, lie together and can be read, exported or erased by prefix. Ids of variable length carry
//! their length in front, which keeps every key prefix-free; numbers are big-endian, so that the order of
//! the keys is the order of the numbers. A value begins with its own version; one that is not known is
//! refused by name, never guessed.
//!
//! Absent on purpose: any rule of the domain. What may be written when is decided in `log`.

mod head;
mod held;
mod inbox;
mod key;
mod mark;
mod member;
mod node;
mod ticket;
mod value;

pub(crate) use head::Head;
pub(crate) use held::{Held, SessionKey, hold, release};
pub(crate) use inbox::InboxRow;
pub(crate) use key::{Key, conversation_at_end, device_at_end, node_at_end, ticket_of, user_at_end};
pub(crate) use mark::{ReadMarkRow, decode_seq, encode_seq};
pub(crate) use member::Member;
pub(crate) use node::{NodeNumber, NodeRow};
pub(crate) use ticket::{TICKET_ID_BYTES, TicketRow};
pub(crate) use value::RowError;
