//! Walking through a trace, and rebuilding the folder as a power cut would have left it.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    fs::File,
    io::{self, Write},
    ops::Range,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::trace::{Event, Trace};

/// What is left of that which no completed sync covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// Any part, in any order, as the seed has it: writes by sectors, changes of names one by one.
    Some {
        /// What to begin the random choices with.
        seed: u64,
    },
    /// All: as if the process had been killed instead.
    Everything,
}

/// Disks write this much at once.
const SECTOR_BYTES: usize = 512;

/// A moment in a trace: what is durable by then, and what is not.
#[derive(Debug)]
pub struct Replay<'t> {
    trace: &'t Trace,
    position: usize,
    objects: Vec<Object>,
    /// Which object has an inode number at this moment.
    inodes: HashMap<u64, usize>,
    syncs: HashMap<u64, (u64, usize)>,
}

#[derive(Debug)]
enum Object {
    File { durable: Content, pending: Vec<(usize, Change)>, now: Content },
    Folder { durable: Names, pending: Vec<(usize, NameChange)>, now: Names },
}

type Names = BTreeMap<Vec<u8>, usize>;

#[derive(Debug, Clone)]
enum Change {
    Write { offset: u64, written: Range<usize> },
    SetLength(u64),
}

#[derive(Debug, Clone)]
enum NameChange {
    Add { name: Vec<u8>, object: usize },
    Remove { name: Vec<u8> },
    Rename { from: Vec<u8>, to: Vec<u8>, object: usize },
}

/// A file's bytes; behind those held there are zeros up to the length.
#[derive(Debug, Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    length: u64,
}

impl Content {
    fn change(&mut self, trace: &Trace, change: &Change) {
        match change {
            Change::Write { offset, written } => self.write(*offset, trace.written(written)),
            Change::SetLength(length) => self.set_length(*length),
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let Ok(start) = usize::try_from(offset) else { return };
        let end = start + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(place) = self.bytes.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
        self.length = self.length.max(end as u64);
    }

    fn set_length(&mut self, length: u64) {
        self.length = length;
        self.bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
    }
}

impl<'t> Replay<'t> {
    /// Begins before the first event, with an empty root.
    pub fn new(trace: &'t Trace) -> Self {
        let root = Object::Folder { durable: Names::new(), pending: Vec::new(), now: Names::new() };
        Self { trace, position: 0, objects: vec![root], inodes: HashMap::new(), syncs: HashMap::new() }
    }

    /// How many events have happened.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Goes on until `position` events have happened.
    ///
    /// # Panics
    /// When the trace speaks of files that it did not tell of before.
    pub fn advance(&mut self, position: usize) {
        while self.position < position {
            let Some(event) = self.trace.events().get(self.position) else { break };
            assert!(
                self.apply(event).is_some(),
                "event {} is about an unknown file: {event:?}",
                self.position
            );
            self.position += 1;
        }
    }

    /// Builds the folder in `into`, which is there and empty.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rebuild(&self, survival: Survival, into: &Path) -> io::Result<()> {
        let mut chance = Chance::new(survival);
        self.build_folder(0, &mut chance, into)
    }

    /// Demands that the folder is what the whole trace says it is: then nothing has gone past the recorder.
    ///
    /// # Panics
    /// When it is not.
    pub fn assert_all_was_recorded(&mut self, folder: &Path) {
        self.advance(usize::MAX);
        self.assert_folder(0, folder);
    }

    fn apply(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::Start { inode } => {
                self.inodes.insert(*inode, 0);
            }
            Event::Create { parent, name, inode } => {
                self.add(*parent, name, *inode, Object::new_file())?;
            }
            Event::MakeFolder { parent, name, inode } => {
                let folder = Object::Folder { durable: Names::new(), pending: Vec::new(), now: Names::new() };
                self.add(*parent, name, *inode, folder)?;
            }
            Event::Remove { parent, name } => {
                self.change_names(*parent, NameChange::Remove { name: name.clone() })?;
            }
            Event::Rename { parent, from, to } => {
                let Object::Folder { now, .. } = self.object(*parent)? else { return None };
                let object = *now.get(from)?;
                self.change_names(
                    *parent,
                    NameChange::Rename { from: from.clone(), to: to.clone(), object },
                )?;
            }
            Event::Write { inode, offset, written } => {
                self.change(*inode, Change::Write { offset: *offset, written: written.clone() })?;
            }
            Event::SetLength { inode, length } => self.change(*inode, Change::SetLength(*length))?,
            Event::SyncBegin { number, inode } => {
                self.syncs.insert(*number, (*inode, self.position));
            }
            Event::SyncEnd { number, succeeded } => {
                // A process that was stopped left some syncs without an end, and their numbers come again.
                let (inode, begun) = self.syncs.remove(number)?;
                self.synced(inode, begun, *succeeded)?;
            }
            Event::Acknowledged(_) => {}
        }
        Some(())
    }

    fn object(&mut self, inode: u64) -> Option<&mut Object> {
        self.objects.get_mut(*self.inodes.get(&inode)?)
    }

    fn add(&mut self, parent: u64, name: &[u8], inode: u64, object: Object) -> Option<()> {
        self.objects.push(object);
        let object = self.objects.len() - 1;
        self.inodes.insert(inode, object);
        self.change_names(parent, NameChange::Add { name: name.to_vec(), object })
    }

    fn change_names(&mut self, parent: u64, change: NameChange) -> Option<()> {
        let position = self.position;
        let Object::Folder { pending, now, .. } = self.object(parent)? else { return None };
        apply_name(now, &change);
        pending.push((position, change));
        Some(())
    }

    fn change(&mut self, inode: u64, change: Change) -> Option<()> {
        let position = self.position;
        let trace = self.trace;
        let Object::File { pending, now, .. } = self.object(inode)? else { return None };
        now.change(trace, &change);
        pending.push((position, change));
        Some(())
    }

    /// What happened before `begun` is durable; or, of a file whose sync failed, never will be: the system takes it
    /// for written.
    fn synced(&mut self, inode: u64, begun: usize, succeeded: bool) -> Option<()> {
        let trace = self.trace;
        if inode == 0 {
            self.objects.iter_mut().for_each(|object| object.synced(trace, begun, succeeded));
        } else {
            self.object(inode)?.synced(trace, begun, succeeded);
        }
        Some(())
    }

    fn build_folder(&self, object: usize, chance: &mut Chance, into: &Path) -> io::Result<()> {
        let Some(Object::Folder { durable, pending, .. }) = self.objects.get(object) else { return Ok(()) };
        let mut names = durable.clone();
        for (_, change) in pending {
            if chance.survives() {
                apply_name(&mut names, change);
            }
        }
        for (name, object) in names {
            let path = into.join(OsStr::from_bytes(&name));
            match self.objects.get(object) {
                Some(Object::Folder { .. }) => {
                    std::fs::create_dir(&path)?;
                    self.build_folder(object, chance, &path)?;
                }
                Some(Object::File { durable, pending, .. }) if pending.is_empty() => {
                    build_file(durable, &path)?
                }
                Some(Object::File { durable, pending, .. }) => {
                    let mut content = durable.clone();
                    for (_, change) in pending {
                        self.survive(&mut content, change, chance);
                    }
                    build_file(&content, &path)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    fn survive(&self, content: &mut Content, change: &Change, chance: &mut Chance) {
        match change {
            Change::SetLength(length) if chance.survives() => content.set_length(*length),
            Change::SetLength(_) => {}
            Change::Write { offset, written } => {
                let sectors = self.trace.written(written).chunks(SECTOR_BYTES);
                let fate = chance.fate();
                for (offset, sector) in (*offset..).step_by(SECTOR_BYTES).zip(sectors) {
                    if chance.sector_survives(fate) {
                        content.write(offset, sector);
                    }
                }
            }
        }
    }

    fn assert_folder(&self, object: usize, folder: &Path) {
        let Some(Object::Folder { now, .. }) = self.objects.get(object) else { return };
        let listed = std::fs::read_dir(folder).and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name().as_bytes().to_vec())).collect::<io::Result<Vec<_>>>()
        });
        let mut listed = listed.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        listed.sort();
        let recorded: Vec<_> = now.keys().cloned().collect();
        assert_eq!(
            listed.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>(),
            recorded.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>(),
            "{} is not as recorded",
            folder.display()
        );
        for (name, object) in now {
            let path = folder.join(OsStr::from_bytes(name));
            match self.objects.get(*object) {
                Some(Object::File { now, .. }) => {
                    let bytes = std::fs::read(&path).unwrap_or_default();
                    let (held, zeros) = bytes.split_at(now.bytes.len().min(bytes.len()));
                    let is_as_recorded = bytes.len() as u64 == now.length
                        && held == now.bytes
                        && zeros.chunks(4096).all(|chunk| Some(chunk) == [0; 4096].get(..chunk.len()));
                    assert!(is_as_recorded, "{} is not as recorded", path.display());
                }
                _ => self.assert_folder(*object, &path),
            }
        }
    }
}

impl Object {
    fn new_file() -> Self {
        Self::File { durable: Content::default(), pending: Vec::new(), now: Content::default() }
    }

    fn synced(&mut self, trace: &Trace, begun: usize, succeeded: bool) {
        match self {
            Self::File { durable, pending, .. } => {
                let covered = pending.partition_point(|(position, _)| *position < begun);
                for (_, change) in pending.drain(..covered).filter(|_| succeeded) {
                    durable.change(trace, &change);
                }
            }
            Self::Folder { .. } if !succeeded => {}
            Self::Folder { durable, pending, .. } => {
                let covered = pending.partition_point(|(position, _)| *position < begun);
                for (_, change) in pending.drain(..covered) {
                    apply_name(durable, &change);
                }
            }
        }
    }
}

fn apply_name(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Add { name, object } => drop(names.insert(name.clone(), *object)),
        NameChange::Remove { name } => drop(names.remove(name)),
        NameChange::Rename { from, to, object } => {
            // The old name may be one that was not there yet: its making did not survive.
            names.remove(from);
            names.insert(to.clone(), *object);
        }
    }
}

fn build_file(content: &Content, path: &Path) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(&content.bytes)?;
    file.set_len(content.length)
}

/// The random choices of one rebuilding.
struct Chance {
    survival: Survival,
    rng: StdRng,
}

/// What became of one write.
#[derive(Clone, Copy)]
enum Fate {
    Lost,
    Whole,
    Torn,
}

impl Chance {
    fn new(survival: Survival) -> Self {
        let seed = if let Survival::Some { seed } = survival { seed } else { 0 };
        Self { survival, rng: StdRng::seed_from_u64(seed) }
    }

    fn survives(&mut self) -> bool {
        match self.survival {
            Survival::Nothing => false,
            Survival::Some { .. } => self.rng.random(),
            Survival::Everything => true,
        }
    }

    fn fate(&mut self) -> Fate {
        match self.survival {
            Survival::Nothing => Fate::Lost,
            Survival::Everything => Fate::Whole,
            Survival::Some { .. } => match self.rng.random_range(0..4) {
                0 => Fate::Lost,
                1 => Fate::Whole,
                _ => Fate::Torn,
            },
        }
    }

    fn sector_survives(&mut self, fate: Fate) -> bool {
        match fate {
            Fate::Lost => false,
            Fate::Whole => true,
            Fate::Torn => self.rng.random(),
        }
    }
}
