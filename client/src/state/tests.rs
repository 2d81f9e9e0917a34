//! Promises of the state store: what is durable is read back, whatever else happens is an error with a name.

use std::collections::BTreeMap;
use std::path::Path;

use fulmar_protocol::{CursorState, Seq, SeqRange};
use proptest::prelude::*;

use super::*;

fn open(path: &Path) -> (Store, Stored) {
    State::directory(path).unwrap().open().unwrap()
}

async fn write(path: &Path, batch: Batch) {
    let (mut store, _) = open(path);
    let ticket = store.submit(batch);
    while !store.is_durable(ticket) {
        store.committed().await.unwrap();
    }
    store.close().await;
}

fn conversation(n: u8) -> ConversationId {
    ConversationId::new([1, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap()
}

fn row(next: u64) -> ConversationRow {
    let mut cursor = CursorState::default();
    cursor.skip(SeqRange::new(Seq::new(1)..=Seq::new(4)).unwrap());
    cursor.confirm(Seq::new(9));
    ConversationRow {
        peer: Some(UserId::parse("bob").unwrap()),
        next_client_seq: ClientSeq::new(next),
        cursor: Some(cursor),
        cursor_unsent: true,
        read_unsent: Some(Seq::new(3)),
        receipts_from: None,
    }
}

#[tokio::test]
async fn what_was_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut batch = Batch::default();
    batch.device(DeviceId::new([7; 16]));
    batch.user(&UserId::parse("alice").unwrap());
    batch.epoch(Epoch::new(5));
    batch.conversation(conversation(1), &row(3));
    batch.conversation(conversation(2), &ConversationRow::new());
    batch.outbox(conversation(1), ClientSeq::new(2), b"two");
    batch.outbox(conversation(1), ClientSeq::new(1), b"");
    batch.clear_outbox(conversation(1), ClientSeq::new(9));
    write(folder.path(), batch).await;
    let (_store, stored) = open(folder.path());
    let expected = Stored {
        folder: folder.path().to_owned(),
        device: Some(DeviceId::new([7; 16])),
        user: Some(UserId::parse("alice").unwrap()),
        epoch: Some(Epoch::new(5)),
        conversations: vec![(conversation(1), row(3)), (conversation(2), ConversationRow::new())],
        outbox: vec![
            (conversation(1), ClientSeq::new(1), Bytes::new()),
            (conversation(1), ClientSeq::new(2), Bytes::from_static(b"two")),
        ],
    };
    assert_eq!(stored, expected);
}

#[tokio::test]
async fn many_batches_share_a_sync_and_all_become_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path());
    let (mut last, mut syncs) = (Ticket::default(), 0);
    for n in 1..=100 {
        let mut batch = Batch::default();
        batch.outbox(conversation(1), ClientSeq::new(n), b"content");
        while !store.has_room() {
            store.committed().await.unwrap();
            syncs += 1;
        }
        last = store.submit(batch);
    }
    while !store.is_durable(last) {
        store.committed().await.unwrap();
        syncs += 1;
    }
    assert!(syncs < 100, "{syncs} syncs for 100 batches");
    store.close().await;
    assert_eq!(open(folder.path()).1.outbox.len(), 100);
}

#[test]
fn a_folder_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let _open = State::directory(folder.path()).unwrap();
    let error = State::directory(folder.path()).unwrap_err();
    assert!(matches!(error, ClientError::StateInUse { .. }));
    assert!(error.to_string().contains(folder.path().to_str().unwrap()));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    std::fs::write(&file, b"").unwrap();
    let error = State::directory(file.join("below")).unwrap_err();
    assert!(matches!(error, ClientError::StateUnusable { .. }), "{error}");
}

#[tokio::test]
async fn a_file_of_something_else_is_damaged_state() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("client.redb"), vec![0x55; 8_192]).unwrap();
    let error = State::directory(folder.path()).and_then(State::open).map(drop).unwrap_err();
    assert!(matches!(error, ClientError::StateDamaged { .. }), "{error}");
}

#[tokio::test]
async fn a_state_of_a_later_version_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let batch = Batch { changes: vec![(rows::KEY_SCHEMA.to_vec(), Some(2_u16.to_be_bytes().to_vec()))] };
    write(folder.path(), batch).await;
    let error = State::directory(folder.path()).unwrap_err();
    assert!(matches!(error, ClientError::StateTooNew { found: 2, known: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_row_that_does_not_decode_is_damaged_state() {
    for (key, value) in [
        (rows::KEY_DEVICE.to_vec(), vec![1, 2, 3]),
        (rows::KEY_EPOCH.to_vec(), vec![]),
        (rows::KEY_USER.to_vec(), vec![1, 0xff]),
        (vec![rows::PREFIX_CONVERSATION, 9], vec![1]),
        ([&[rows::PREFIX_CONVERSATION][..], conversation(1).as_bytes()].concat(), vec![1, 7]),
        ([&[rows::PREFIX_OUTBOX][..], conversation(1).as_bytes()].concat(), vec![1]),
        (b"strange".to_vec(), vec![1]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), Batch { changes: vec![(key.clone(), Some(value))] }).await;
        let error = State::directory(folder.path()).unwrap_err();
        assert!(matches!(error, ClientError::StateDamaged { .. }), "{key:?}: {error}");
    }
}

#[tokio::test]
async fn a_file_that_was_cut_is_an_error_or_whole_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut batch = Batch::default();
    for n in 1..=200 {
        batch.outbox(conversation(1), ClientSeq::new(n), &[7; 1_000]);
    }
    batch.conversation(conversation(1), &row(201));
    write(folder.path(), batch).await;
    let whole = std::fs::read(folder.path().join("client.redb")).unwrap();
    for part in [0, 1, 100, 4_096, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("client.redb"), &whole[..part]).unwrap();
        match State::directory(folder.path()).and_then(State::open) {
            Ok((_, stored)) => assert!(part == 0 || stored.outbox.len() == 200, "cut at {part}"),
            Err(ClientError::StateDamaged { .. } | ClientError::StateUnusable { .. }) => {}
            Err(error) => panic!("cut at {part}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_file_with_a_changed_byte_is_an_error_or_readable_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut batch = Batch::default();
    for n in 1..=50 {
        batch.outbox(conversation(1), ClientSeq::new(n), &[7; 300]);
    }
    batch.conversation(conversation(1), &row(51));
    write(folder.path(), batch).await;
    let whole = std::fs::read(folder.path().join("client.redb")).unwrap();
    for change in 0..64 {
        // Spread over the header and the pages in use.
        let at = if change < 32 { change * 17 } else { (change * 977 * 31) % whole.len() };
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("client.redb"), &bytes).unwrap();
        match State::directory(folder.path()).and_then(State::open) {
            Ok((store, _)) => store.close().await,
            Err(
                ClientError::StateDamaged { .. }
                | ClientError::StateUnusable { .. }
                | ClientError::StateTooNew { .. },
            ) => {}
            Err(error) => panic!("byte {at} changed: {error}"),
        }
    }
}

/// What a client may do to its store.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, u64, Vec<u8>),
    Clear(u8, u64),
    Conversation(u8, u64),
    Forget(u8),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u8..4, 1_u64..20, proptest::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(id, n, content)| Step::Put(id, n, content)),
        3 => (0_u8..4, 1_u64..20).prop_map(|(id, n)| Step::Clear(id, n)),
        2 => (0_u8..4, 1_u64..20).prop_map(|(id, n)| Step::Conversation(id, n)),
        1 => (0_u8..4).prop_map(Step::Forget),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_store_is_a_map_that_survives(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let (mut store, _) = open(folder.path());
            let (mut outbox, mut rows) = (BTreeMap::new(), BTreeMap::new());
            for step in steps {
                let mut batch = Batch::default();
                match step {
                    Step::Put(id, n, content) => {
                        batch.outbox(conversation(id), ClientSeq::new(n), &content);
                        outbox.insert((conversation(id), ClientSeq::new(n)), Bytes::from(content));
                    }
                    Step::Clear(id, n) => {
                        batch.clear_outbox(conversation(id), ClientSeq::new(n));
                        outbox.remove(&(conversation(id), ClientSeq::new(n)));
                    }
                    Step::Conversation(id, n) => {
                        batch.conversation(conversation(id), &row(n));
                        rows.insert(conversation(id), row(n));
                    }
                    Step::Forget(id) => {
                        batch.forget_conversation(conversation(id));
                        rows.remove(&conversation(id));
                    }
                    Step::Reopen => {
                        store.close().await;
                        let (opened, stored) = open(folder.path());
                        store = opened;
                        let expected: Vec<_> =
                            outbox.iter().map(|((id, n), content)| (*id, *n, content.clone())).collect();
                        prop_assert_eq!(stored.outbox, expected);
                        let expected: Vec<_> = rows.iter().map(|(id, row)| (*id, row.clone())).collect();
                        prop_assert_eq!(stored.conversations, expected);
                        continue;
                    }
                }
                while !store.has_room() {
                    store.committed().await.unwrap();
                }
                store.submit(batch);
            }
            store.close().await;
            let (_store, stored) = open(folder.path());
            prop_assert_eq!(stored.outbox.len(), outbox.len());
            prop_assert_eq!(stored.conversations.len(), rows.len());
            Ok(())
        })?;
    }

    #[test]
    fn no_bytes_make_a_row_panic(value: Vec<u8>) {
        let _ = ConversationRow::decode(&value);
        let _ = rows::decode_outbox(&value, &value);
    }
}
