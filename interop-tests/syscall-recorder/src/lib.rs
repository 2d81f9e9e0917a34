//! Records the file operations of a process below one folder, in order and with the data, so that
//! `fulmar-interop-tests` can rebuild the folder as a power cut at any moment would have left it.
//!
//! Preload it (`LD_PRELOAD`) with three variables set:
//! - `FULMAR_RECORD_ROOT`: the folder, which exists;
//! - `FULMAR_RECORD_TRACE`: the file that the trace is appended to, not below the root;
//! - `FULMAR_RECORD_ACKS`: a file that exists, not below the root. What the process writes to it goes into the
//!   trace as an acknowledgement.
//!
//! With `FULMAR_RECORD_SPACE`, writes below the root fail as on a full disk after that many bytes. With
//! `FULMAR_RECORD_SYNCS`, the sync of that number fails. With `FULMAR_RECORD_STOP_AFTER`, the process ends at once after that many records, as if it was killed.
//!
//! Invariants:
//! - Operations that change something are recorded under one lock together with being done, so the trace has
//!   them in an order that really happened. A sync is recorded as begun and as ended, others run
//!   in between, and it covers what was recorded before it began. It is not really done.
//! - What cannot be recorded (shared writable mappings, hard links, copies inside the kernel) is recorded as
//!   forbidden, and the replayer refuses the trace.
//! - Every operation is done by a raw system call, so nothing here calls itself.
//!
//! A program that makes raw system calls of its own gets past this. The replayer finds that out: it rebuilds
//! the folder as it should be at the end and compares.
//!
//! This is the only crate with unsafe code: taking over the C library's functions is unsafe by nature.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

mod calls;
mod state;
