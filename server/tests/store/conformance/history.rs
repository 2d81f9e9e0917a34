//! Random histories against a map. A failure prints its seed.

use std::collections::BTreeMap;

use bytes::Bytes;
use fulmar_server::{KeyRange, RunError, Store, StoreError, Transaction};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::task::JoinSet;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Clone)]
enum Step {
    Get(Vec<u8>),
    Range { start: Vec<u8>, end: Vec<u8>, limit: usize, reverse: bool },
    Set(Vec<u8>, Vec<u8>),
    Clear(Vec<u8>),
    ClearRange(Vec<u8>, Vec<u8>),
    ByteMax(Vec<u8>, Vec<u8>),
}

/// What a transaction saw: one list of rows for each step that reads.
type Seen = Vec<Vec<(Bytes, Bytes)>>;

#[derive(Debug, PartialEq)]
enum End {
    Aborted(Seen),
    Store(StoreError),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn key(rng: &mut StdRng) -> Vec<u8> {
    // Few and short, some prefixes of others, so that steps meet.
    (0..rng.random_range(1..=3)).map(|_| [0, 1, b'm', 0xFE][rng.random_range(0..4)]).collect()
}

fn value(rng: &mut StdRng) -> Vec<u8> {
    let length = if rng.random_ratio(1, 20) { rng.random_range(0..20_000) } else { rng.random_range(0..12) };
    let mut value = vec![0; length];
    rng.fill(value.as_mut_slice());
    value
}

fn step(rng: &mut StdRng) -> Step {
    match rng.random_range(0..12) {
        0..3 => Step::Get(key(rng)),
        3..6 => Step::Range {
            start: key(rng),
            end: key(rng),
            limit: rng.random_range(0..8),
            reverse: rng.random(),
        },
        6..9 => Step::Set(key(rng), value(rng)),
        9 => Step::Clear(key(rng)),
        10 => Step::ClearRange(key(rng), key(rng)),
        _ => Step::ByteMax(key(rng), value(rng)),
    }
}

fn steps(rng: &mut StdRng) -> Vec<Step> {
    (0..rng.random_range(1..10)).map(|_| step(rng)).collect()
}

async fn apply(tx: &Transaction, steps: &[Step]) -> Result<Seen, StoreError> {
    let mut seen = Seen::new();
    for step in steps {
        match step {
            Step::Get(key) => {
                let value = tx.get(key).await?;
                seen.push(value.into_iter().map(|value| (Bytes::copy_from_slice(key), value)).collect());
            }
            Step::Range { start, end, limit, reverse } => {
                seen.push(tx.range(start..end, *limit, *reverse).await?);
            }
            Step::Set(key, value) => tx.set(key, value.clone()),
            Step::Clear(key) => tx.clear(key),
            Step::ClearRange(start, end) => tx.clear_range(start..end),
            Step::ByteMax(key, value) => tx.byte_max(key, value.clone()),
        }
    }
    Ok(seen)
}

fn apply_to_map(map: &mut Map, steps: &[Step]) -> Seen {
    let mut seen = Seen::new();
    let row = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone().into(), value.clone().into());
    for step in steps {
        match step {
            Step::Get(key) => seen.push(map.get_key_value(key).map(row).into_iter().collect()),
            Step::Range { start, end, .. } if start >= end => seen.push(Vec::new()),
            Step::Range { start, end, limit, reverse: false } => {
                seen.push(map.range(start.clone()..end.clone()).take(*limit).map(row).collect());
            }
            Step::Range { start, end, limit, .. } => {
                seen.push(map.range(start.clone()..end.clone()).rev().take(*limit).map(row).collect());
            }
            Step::Set(key, value) => drop(map.insert(key.clone(), value.clone())),
            Step::Clear(key) => drop(map.remove(key)),
            Step::ClearRange(start, end) => map.retain(|key, _| key < start || key >= end),
            Step::ByteMax(key, value) => {
                if map.get(key).is_none_or(|present| present < value) {
                    map.insert(key.clone(), value.clone());
                }
            }
        }
    }
    seen
}

async fn everything(store: &Store) -> Map {
    let rows = store.snapshot().range(KeyRange::all(), 10_000, false).await.unwrap();
    rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

pub(crate) async fn one_after_another_agrees_with_a_map(store: Store) {
    let seed = 7;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut map = Map::new();
    for round in 0..400 {
        let steps = steps(&mut rng);
        let abort = rng.random_ratio(1, 5);
        let mut after = map.clone();
        let wanted = apply_to_map(&mut after, &steps);
        let ran = store
            .run({
                let steps = steps.clone();
                move |tx| {
                    let steps = steps.clone();
                    Box::pin(async move {
                        let seen = apply(tx, &steps).await?;
                        if abort { Err(End::Aborted(seen)) } else { Ok(seen) }
                    })
                }
            })
            .await;
        let seen = match ran {
            Ok(seen) => {
                map = after;
                seen
            }
            Err(RunError::Aborted(End::Aborted(seen))) => seen,
            other => panic!("seed {seed} round {round}: {other:?}"),
        };
        assert_eq!(seen, wanted, "seed {seed} round {round}: {steps:?}");
        assert_eq!(everything(&store).await, map, "seed {seed} round {round}: {steps:?}");
    }
}

/// Every transaction also counts, and so tells its place in the one order that there must be.
pub(crate) async fn concurrent_histories_are_serialisable(store: Store) {
    const COUNTER: &[u8] = b"\x01counter";
    let mut tasks = JoinSet::new();
    for seed in 0..8_u64 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut history = Vec::new();
            for _ in 0..60 {
                let steps = steps(&mut rng);
                let again = steps.clone();
                let (place, seen) = crate::run(&store, move |tx| {
                    let steps = again.clone();
                    Box::pin(async move {
                        let place = crate::number(tx.get(COUNTER).await?) + 1;
                        let seen = apply(tx, &steps).await?;
                        tx.set(COUNTER, place.to_be_bytes().to_vec());
                        Ok((place, seen))
                    })
                })
                .await;
                history.push((place, steps, seen));
            }
            assert!(
                history.is_sorted_by_key(|(place, ..)| *place),
                "seed {seed}: real time is not respected"
            );
            history
        });
    }
    let mut history: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    history.sort_by_key(|(place, ..)| *place);
    let mut map = Map::new();
    for (index, (place, steps, seen)) in history.iter().enumerate() {
        assert_eq!(*place, index as u64 + 1, "seeds 0..8");
        map.retain(|key, _| key != COUNTER);
        if index > 0 {
            map.insert(COUNTER.to_vec(), (index as u64).to_be_bytes().to_vec());
        }
        assert_eq!(apply_to_map(&mut map, steps), *seen, "seeds 0..8, transaction {place}: {steps:?}");
        map.insert(COUNTER.to_vec(), place.to_be_bytes().to_vec());
    }
    assert_eq!(everything(&store).await, map, "seeds 0..8");
}
