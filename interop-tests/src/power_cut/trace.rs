//! The trace that the recorder writes. `syscall-recorder/src/state.rs` is the other end.

use std::ops::Range;

/// What happened, in order.
#[derive(Debug)]
pub struct Trace {
    bytes: Vec<u8>,
    events: Vec<Event>,
}

/// One thing that happened. Inodes are as the system numbers them, so a number comes back for another file once
/// the first is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A process began; this is the root's inode.
    Start {
        /// The root.
        inode: u64,
    },
    /// A file was made.
    Create {
        /// The folder.
        parent: u64,
        /// The name in it.
        name: Vec<u8>,
        /// The file.
        inode: u64,
    },
    /// A folder was made.
    MakeFolder {
        /// The folder above.
        parent: u64,
        /// The name in it.
        name: Vec<u8>,
        /// The folder.
        inode: u64,
    },
    /// A file or folder was removed.
    Remove {
        /// The folder.
        parent: u64,
        /// The name in it.
        name: Vec<u8>,
    },
    /// A file or folder was renamed within its folder, replacing what had the new name.
    Rename {
        /// The folder.
        parent: u64,
        /// The old name.
        from: Vec<u8>,
        /// The new name.
        to: Vec<u8>,
    },
    /// Bytes were written to a file.
    Write {
        /// The file.
        inode: u64,
        /// Where in the file.
        offset: u64,
        /// Where in the trace the bytes are: see [`Trace::written`].
        written: Range<usize>,
    },
    /// A file was cut or extended with zeros.
    SetLength {
        /// The file.
        inode: u64,
        /// Its new length.
        length: u64,
    },
    /// A sync began.
    SyncBegin {
        /// Which one.
        number: u64,
        /// The file or folder; 0 for everything.
        inode: u64,
    },
    /// A sync ended.
    SyncEnd {
        /// Which one.
        number: u64,
        /// Whether it succeeded.
        succeeded: bool,
    },
    /// The process acknowledged something.
    Acknowledged(Vec<u8>),
}

impl Trace {
    /// Reads a trace.
    ///
    /// # Errors
    /// When it is cut short or holds something that cannot be replayed.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let mut reader = Reader { bytes: &bytes, position: 0 };
        let mut events = Vec::new();
        while let Some(tag) = reader.tag() {
            events.push(reader.event(tag).ok_or("the trace is cut short")??);
        }
        Ok(Self { bytes, events })
    }

    /// What happened.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The bytes of a write.
    pub fn written(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    position: usize,
}

impl Reader<'_> {
    fn tag(&mut self) -> Option<u8> {
        let tag = *self.bytes.get(self.position)?;
        self.position += 1;
        Some(tag)
    }

    fn number(&mut self) -> Option<u64> {
        let bytes = self.bytes.get(self.position..)?.first_chunk()?;
        self.position += bytes.len();
        Some(u64::from_le_bytes(*bytes))
    }

    fn range(&mut self) -> Option<Range<usize>> {
        let length = usize::try_from(self.number()?).ok()?;
        let range = self.position..self.position.checked_add(length)?;
        self.position = range.end;
        (range.end <= self.bytes.len()).then_some(range)
    }

    fn name(&mut self) -> Option<Vec<u8>> {
        let range = self.range()?;
        self.bytes.get(range).map(<[u8]>::to_vec)
    }

    fn event(&mut self, tag: u8) -> Option<Result<Event, String>> {
        Some(Ok(match tag {
            b'S' => Event::Start { inode: self.number()? },
            b'C' => Event::Create { parent: self.number()?, name: self.name()?, inode: self.number()? },
            b'M' => Event::MakeFolder { parent: self.number()?, name: self.name()?, inode: self.number()? },
            b'U' => Event::Remove { parent: self.number()?, name: self.name()? },
            b'R' => Event::Rename { parent: self.number()?, from: self.name()?, to: self.name()? },
            b'W' => Event::Write { inode: self.number()?, offset: self.number()?, written: self.range()? },
            b'T' => Event::SetLength { inode: self.number()?, length: self.number()? },
            b'B' => Event::SyncBegin { number: self.number()?, inode: self.number()? },
            b'E' => Event::SyncEnd { number: self.number()?, succeeded: self.number()? == 1 },
            b'A' => Event::Acknowledged(self.name()?),
            b'F' => {
                let what = String::from_utf8_lossy(&self.name()?).into_owned();
                return Some(Err(format!("the process did what cannot be replayed: {what}")));
            }
            other => return Some(Err(format!("unknown record {other} at byte {}", self.position))),
        }))
    }
}
