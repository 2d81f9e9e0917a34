//! Who may read and write what.

use fulmar_protocol::{
    AddMembers, Content, CreateGroup, GroupNonce, HistoryPolicy, HoleReason, RemoveMembers, Seq, Title,
    UserList,
};

use super::{ALICE, BOB, CAROL, NOW, entry, found, group, message, of_two, recorder, user};
use crate::simulation::recorder::log::Handed;
use crate::simulation::recorder::state::State;
use crate::simulation::recorder::{Invariant, MessageId};

fn users(devices: &[usize]) -> UserList {
    UserList::new(devices.iter().map(|device| user(*device)).collect()).unwrap()
}

/// A group of alice and bob; carol comes at 3 and is removed at 5. `seen` says whom each entry is handed to.
fn in_group(policy: HistoryPolicy, seen: [&[usize]; 6], last: usize) -> State {
    let mut state = recorder();
    let create = CreateGroup {
        nonce: GroupNonce::new([7; 16]),
        title: Title::parse("a group").unwrap(),
        members: users(&[BOB]),
        history_policy: policy,
    };
    let ids: Vec<MessageId> =
        [ALICE, BOB, last].iter().map(|device| state.new_message(NOW, *device, group())).collect();
    let entries = [
        (0, ALICE, Content::CreateGroup(create)),
        (1, ALICE, message(ids[0])),
        (1, ALICE, Content::AddMembers(AddMembers { users: users(&[CAROL]) })),
        (2, BOB, message(ids[1])),
        (2, ALICE, Content::RemoveMembers(RemoveMembers { users: users(&[CAROL]) })),
        (3, last, message(ids[2])),
    ];
    for ((seq, (ordinal, sender, content)), devices) in (1..).zip(entries).zip(seen) {
        for device in devices {
            let unread_after = if *device == sender { 0 } else { ordinal };
            let entry = entry(group(), seq, ordinal, sender, content.clone());
            state.handed(NOW, *device, &Handed { unread_after, ..entry });
        }
        // Who is not handed an entry is told that it is hidden.
        for device in (0..3).filter(|device| !devices.contains(device)) {
            let hole = (Seq::new(seq), Seq::new(seq));
            state.skipped(NOW, device, group(), hole, HoleReason::Hidden);
        }
    }
    state
}

const BOTH: &[usize] = &[ALICE, BOB];
const ALL: &[usize] = &[ALICE, BOB, CAROL];

#[test]
fn reading_outside_of_membership_is_found_for_every_entry() {
    let joining = HistoryPolicy::FromJoining;
    assert_eq!(found(in_group(joining, [BOTH, BOTH, ALL, ALL, ALL, BOTH], BOB)), None);
    assert_eq!(found(in_group(HistoryPolicy::All, [ALL, ALL, ALL, ALL, ALL, BOTH], BOB)), None);
    let early = in_group(joining, [BOTH, ALL, ALL, ALL, ALL, BOTH], BOB);
    assert_eq!(found(early), Some(Invariant::MembersOnly));
    let late = in_group(HistoryPolicy::All, [ALL, ALL, ALL, ALL, ALL, ALL], BOB);
    assert_eq!(found(late), Some(Invariant::MembersOnly));
}

#[test]
fn writing_without_being_a_member_is_found() {
    let state = in_group(HistoryPolicy::FromJoining, [BOTH, BOTH, ALL, ALL, ALL, BOTH], CAROL);
    assert_eq!(found(state), Some(Invariant::MembersOnly));
    let mut state = recorder();
    let id = state.new_message(NOW, CAROL, of_two());
    for device in BOTH {
        state.handed(NOW, *device, &entry(of_two(), 1, 1, CAROL, message(id)));
    }
    assert_eq!(found(state), Some(Invariant::MembersOnly));
}
