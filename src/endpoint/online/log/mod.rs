//! A log on disk: records by offset, durable before they are acknowledged.
//!
//! Records that are written together are a frame. Frames lie one after another in segments, files of about
//! 64 MiB that are named by their first offset; the manifest lists the segments. A frame that is not whole at the
//! end of the last segment was never acknowledged and is cut off by [`Log::open`]. A frame that is not whole
//! anywhere else is damage: it is reported with file and place, and no operation writes a file that it cannot read.
//! Never: what a record means.
//!
//! # Format 4 of the data folder
//!
//! All numbers are little-endian. A hash is XXH3 with 64 bits.
//!
//! A segment, `OFFSET.log` (20 digits), is a header of 48 bytes and frames:
//!
//! | bytes | |
//! |---|---|
//! | 0..8 | `FCLOG\0\0\x03` |
//! | 8..16 | offset of its first record |
//! | 16..24 | first offset of the segment before it; 2^64 - 1 if there was none |
//! | 24..32 | chain hash of the segment before it, as it was when this one began |
//! | 32..36 | how often the file was rewritten, by erasure or retention |
//! | 36..40 | 0 |
//! | 40..48 | hash of bytes 0..40 |
//!
//! A frame is a header of 28 bytes and its records, each after its length (4 bytes). An erased record has length 0.
//!
//! | bytes | |
//! |---|---|
//! | 0..4 | bytes after the header, at most [`MAX_FRAME_BYTES`] |
//! | 4..8 | number of records, at least 1 |
//! | 8..16 | offset of the first record |
//! | 16..24 | hash of the bytes after the header, with the seed `offset ^ rotate_left(number, 40)` |
//! | 24..28 | low half of the hash of bytes 0..24 |
//!
//! The chain hash of a segment begins as the hash of its header. After each frame it is the hash of the header of
//! that frame, with the chain hash before as its seed. So it commits to all records and their order.
//!
//! `MANIFEST` lists the segments. It is replaced as a whole, by a rename, and synced: before a frame is written to
//! a new segment, before a rewritten segment is put in place, before segments are dropped from the beginning, and
//! when the log is closed.
//!
//! | bytes | |
//! |---|---|
//! | 0..8 | `FCMANI\0\x01` |
//! | 8..12 | number of segments, at least 1 |
//! | 12..16 | 1 if the new state of a segment follows whose file is being replaced, or else 0 |
//! | 16.. | an entry of 48 bytes for each segment, and for that new state |
//! | last 8 | hash of all bytes before |
//!
//! | bytes of an entry | |
//! |---|---|
//! | 0..8 | offset of the first record |
//! | 8..16 | offset after the last record; of the last segment, a record that was durable when this was written |
//! | 16..24 | bytes of the file up to there |
//! | 24..32 | chain hash up to there |
//! | 32..40 | chain hash that the header of the next segment has: that of the file before it was rewritten |
//! | 40..44 | how often the file was rewritten |
//! | 44..48 | 1 if nothing more is appended, 0 for the last segment |
//!
//! `Log::open` checks the manifest, the headers and links of all segments, their lengths, and all of the last
//! segment. [`Log::read`] checks each frame that it reads. [`verify`] checks everything.
//!
//! # Formats 2 and 3 of the data folder
//!
//! Their segments begin with `FCLOG\0\0\x02` and the first frame. The headers of their frames have no checksum (24
//! bytes). There is no manifest. The first open checks all segments, writes a manifest, and begins a new segment;
//! the old ones stay as they are until something in them is erased.

mod disk;
mod forget;
mod frame;
mod manifest;
mod recovery;
mod segment;
mod verify;

pub use disk::{Disk, Folder, LogFile};
pub use frame::{Frame, MAX_FRAME_BYTES, Range};
pub use verify::{Damage, LogReport, SegmentReport, verify};

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use frame::Version;
use manifest::{Entry, MANIFEST, Manifest};
use recovery::End;
use segment::{START, Segment, SegmentHeader, name_of};

/// Bytes of a segment after which the next one begins, unless a test asks for other segments.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// A segment of which this part is written makes the next one ready: small logs need none.
const PREPARE_AFTER: u64 = 4;
/// Free room that preparing needs, in segments.
const PREPARE_ABOVE: u64 = 16;
/// Free bytes below which nothing is taken: what is here needs some to work.
const RESERVE: u64 = 8 * 1024 * 1024;

/// Bytes of a large group: as long as there is room for one, it is ready.
const LARGE: usize = 4 * 1024 * 1024;

/// How often a file is made durable only to see whether that works, at most.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Nothing was written; it may be tried again.
    #[error("{0}")]
    Refused(io::Error),
    /// Nobody knows what is on the disk; nothing is written until the log is opened again.
    #[error("{0}")]
    Failed(String),
    /// A frame that no reader would accept; nothing was written.
    #[error("a frame of {bytes} bytes cannot be written; the limit is {MAX_FRAME_BYTES} bytes")]
    TooLarge {
        /// Bytes of its records, the lengths before them included.
        bytes: usize,
    },
    /// A part that was acknowledged is damaged.
    #[error("{file} is damaged at byte {place}; put back this file from a backup")]
    Damaged {
        /// The segment.
        file: String,
        /// Where in it.
        place: u64,
    },
    /// A file of the log is not there.
    #[error("{file} is missing; put back this file from a backup")]
    Missing {
        /// Its name.
        file: String,
    },
    /// A segment with records that the manifest does not list.
    #[error(
        "{file} has records, but the manifest does not list it; put back the manifest from a backup"
    )]
    Unlisted {
        /// The segment.
        file: String,
    },
    /// It cannot be read.
    #[error("{0}")]
    Unread(#[from] io::Error),
}

/// A log of records.
#[derive(Debug)]
pub struct Log {
    disk: Box<dyn Disk>,
    /// Bytes of a segment after which the next one begins.
    segment_bytes: u64,
    segments: RwLock<Vec<Arc<Segment>>>,
    /// The offset after the last record that is durable.
    next: AtomicU64,
    tail: Mutex<Tail>,
}

#[derive(Debug)]
struct Tail {
    /// Bytes of the last segment that are durable.
    length: u64,
    /// The chain hash up to there.
    chain: u64,
    /// The manifest on the disk, or one that the next write of it makes true.
    manifest: Manifest,
    /// Why nothing can be written any more.
    failed: Option<String>,
    /// When a file was made durable last only to see whether that works.
    probed: Option<Instant>,
    next_segment: NextSegment,
}

/// How far the next segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextSegment {
    /// Nobody makes it.
    Unmade,
    /// Somebody makes it.
    Made,
    /// It is ready.
    Ready,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    /// Opens the log in a folder of the file system, as [`Self::open`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(folder: &Path, segment_bytes: u64) -> Result<Self, LogError> {
        Self::open(Box::new(Folder::new(folder)?), segment_bytes)
    }

    /// Opens the log on a disk, or creates it. The last segment is read to its end, and a frame that was torn
    /// there is cut off; the frames of other segments are checked when they are read.
    ///
    /// # Errors
    /// The disk cannot be read or written, or a file that was acknowledged is missing or damaged.
    pub fn open(disk: Box<dyn Disk>, segment_bytes: u64) -> Result<Self, LogError> {
        let recovery::Opened { segments, manifest, end } = recovery::open(&*disk)?;
        Ok(Self {
            disk,
            segment_bytes,
            segments: RwLock::new(segments.into_iter().map(Arc::new).collect()),
            next: AtomicU64::new(end.next),
            tail: Mutex::new(Tail {
                length: end.length,
                chain: end.chain,
                manifest,
                failed: None,
                probed: None,
                next_segment: NextSegment::Unmade,
            }),
        })
    }

    /// The offset of the next record.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// The first offset that is kept.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.segments().first().map_or(0, |segment| segment.first)
    }

    fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a frame durable; gives its bytes, in which the ranges of its records hold. Its first record has
    /// the offset that [`Self::next`] said before.
    ///
    /// # Errors
    /// [`LogError::Refused`] or [`LogError::TooLarge`] if nothing was written; any other error is the last.
    pub fn append(&self, frame: Frame) -> Result<Arc<[u8]>, LogError> {
        let mut tail = lock(&self.tail);
        if let Some(failed) = &tail.failed {
            return Err(LogError::Failed(failed.clone()));
        }
        let (first, n) = (self.next(), frame.len());
        if frame.record_bytes() > MAX_FRAME_BYTES {
            return Err(LogError::TooLarge { bytes: frame.record_bytes() });
        }
        let bytes = frame.seal(first);
        self.has_room_for(bytes.len())?;
        if tail.length >= self.segment_bytes {
            self.roll(&mut tail, first)?;
        }
        let Some(last) = self.segments().pop() else {
            return Err(LogError::Failed("it has no segment".to_owned()));
        };
        if let Err(error) = last.file.write_at(tail.length, &bytes) {
            // A part may be there. It is taken back, so that what comes next does not lie behind it.
            return match last.file.cut(tail.length) {
                Ok(()) => Err(LogError::Refused(error)),
                Err(_) => Err(fail(&mut tail, &error)),
            };
        }
        // A sync that failed is not tried again: the system may have dropped what it could not write.
        last.file.sync().map_err(|error| fail(&mut tail, &error))?;
        last.mark(first, tail.length);
        tail.length += bytes.len() as u64;
        let header = frame::Header::read(Version::Three, &bytes);
        tail.chain = header.map_or(tail.chain, |header| header.chain(tail.chain));
        self.next.store(first + n, Ordering::Release);
        Ok(bytes.into())
    }

    /// Whether it is time to make the next segment ready: who hears that it is does so, by
    /// [`Self::prepare`].
    #[must_use]
    pub fn wants_room(&self) -> bool {
        let mut tail = lock(&self.tail);
        let is_due = tail.length >= self.segment_bytes / PREPARE_AFTER
            && tail.next_segment == NextSegment::Unmade;
        let needed = PREPARE_ABOVE * self.segment_bytes;
        let has_room = || self.disk.free().is_some_and(|free| free >= needed);
        let wants = is_due && tail.failed.is_none() && has_room();
        if wants {
            tail.next_segment = NextSegment::Made;
        }
        wants
    }

    /// Makes the next segment ready, which may take a second. Without it a segment grows as it is written.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn prepare(&self) -> Result<(), LogError> {
        let prepared = self.disk.prepare(self.segment_bytes);
        lock(&self.tail).next_segment = match prepared {
            Ok(()) => NextSegment::Ready,
            Err(_) => NextSegment::Unmade,
        };
        prepared.map_err(LogError::Refused)
    }

    /// Whether something could be written now: the disk takes a file and makes it durable.
    ///
    /// # Errors
    /// Why not.
    pub fn try_it(&self) -> Result<(), LogError> {
        let mut tail = lock(&self.tail);
        if let Some(failed) = &tail.failed {
            return Err(LogError::Failed(failed.clone()));
        }
        self.has_room_for(LARGE)?;
        // Anybody may ask, and often.
        if tail.probed.is_none_or(|at| at.elapsed() >= PROBE_EVERY) {
            self.disk.replace("probe", b"ready").map_err(LogError::Refused)?;
            tail.probed = Some(Instant::now());
        }
        Ok(())
    }

    fn has_room_for(&self, bytes: usize) -> Result<(), LogError> {
        let needed = RESERVE + bytes as u64;
        if self.disk.free().is_some_and(|free| free < needed) {
            return Err(LogError::Refused(io::Error::from(io::ErrorKind::StorageFull)));
        }
        Ok(())
    }

    /// Closes the last segment and begins the next one.
    fn roll(&self, tail: &mut Tail, first: u64) -> Result<(), LogError> {
        let Some(last) = self.segments().pop() else {
            return Err(LogError::Failed("it has no segment".to_owned()));
        };
        let end = End { next: first, length: tail.length, chain: tail.chain };
        let closed = Entry::of(last.first, end, true);
        let header =
            SegmentHeader { first, previous: Some((last.first, closed.link)), rewrites: 0 };
        let name = name_of(first);
        let was_ready = tail.next_segment == NextSegment::Ready;
        let began = match was_ready {
            true => self.disk.take_prepared(&name),
            false => Ok(()),
        };
        if was_ready {
            tail.next_segment = NextSegment::Unmade;
        }
        let began = began.and_then(|()| Segment::open(&*self.disk, first, Version::Three));
        let began = began.and_then(|segment| {
            match was_ready {
                true => {
                    segment.file.write_at(0, &header.encode()).and_then(|()| segment.file.sync())
                }
                false => begin(&*self.disk, &segment, &header),
            }
            .map(|()| segment)
        });
        let segment = began.map_err(|error| {
            // No frame is in it, and the manifest does not list it.
            drop(self.disk.remove(&name));
            LogError::Refused(error)
        })?;
        let mut manifest = tail.manifest.clone();
        manifest.entries.pop();
        manifest.entries.push(closed);
        let begun = End { next: first, length: START, chain: header.chain() };
        manifest.entries.push(Entry::of(first, begun, false));
        if let Err(error) = self.save(tail, manifest) {
            if matches!(error, LogError::Refused(_)) {
                drop(self.disk.remove(&name));
            }
            return Err(error);
        }
        last.close(closed);
        // What was ready and is not needed; there it does no harm either.
        drop(last.file.cut(tail.length));
        tail.length = START;
        tail.chain = header.chain();
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        segments.push(Arc::new(segment));
        Ok(())
    }

    /// Replaces the manifest.
    ///
    /// # Errors
    /// [`LogError::Refused`] if the old one is in place; otherwise the log has failed.
    fn save(&self, tail: &mut Tail, manifest: Manifest) -> Result<(), LogError> {
        let old = recovery::read_manifest(&*self.disk);
        match self.disk.replace(MANIFEST, &manifest.encode()) {
            Ok(()) => {
                tail.manifest = manifest;
                Ok(())
            }
            // If it was renamed and only that is not durable, either may be there after a loss of power.
            Err(error) => match (old, recovery::read_manifest(&*self.disk)) {
                (Ok(Some(old)), Ok(Some(now))) if old == now => Err(LogError::Refused(error)),
                _ => Err(fail(tail, &error)),
            },
        }
    }

    /// Records in the manifest how far the log goes, so that a later loss of its end is recognized. The log does
    /// this when it is closed; call it from time to time for processes that are killed.
    ///
    /// # Errors
    /// The manifest cannot be written.
    pub fn save_end(&self) -> Result<(), LogError> {
        let mut tail = lock(&self.tail);
        self.save_end_of(&mut tail)
    }

    fn save_end_of(&self, tail: &mut Tail) -> Result<(), LogError> {
        if let Some(failed) = &tail.failed {
            return Err(LogError::Failed(failed.clone()));
        }
        let end = End { next: self.next(), length: tail.length, chain: tail.chain };
        let mut manifest = tail.manifest.clone();
        let Some(last) = manifest.entries.last_mut() else { return Ok(()) };
        let entry = Entry::of(last.first, end, false);
        if *last == entry {
            return Ok(());
        }
        *last = entry;
        self.save(tail, manifest)
    }

    /// Reads records from an offset on, in order, with their offsets, until `each` says that it has enough.
    /// Gives the offset after the last one.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn read(
        &self,
        from: u64,
        mut each: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<u64, LogError> {
        let end = self.next();
        let segments = self.segments();
        let after = segments.partition_point(|segment| segment.first <= from);
        let mut next = from;
        for segment in segments.get(after.saturating_sub(1)..).unwrap_or_default() {
            let until = segment.closed().map_or(end, |closed| closed.end.min(end));
            let (mut offset, mut place) = segment.before(from);
            while offset < until {
                let header = segment.header_of(place, offset)?;
                if header.end() > from {
                    let records = segment.records(place, &header)?;
                    for (offset, range) in (header.first..).zip(frame::records(&records)) {
                        if offset < from {
                            continue;
                        }
                        next = offset + 1;
                        if !each(offset, &records[range]) {
                            return Ok(next);
                        }
                    }
                }
                segment.mark(offset, place);
                offset = header.end();
                place += header.frame_bytes();
            }
        }
        // Segments that were dropped have no records to call `each` with.
        Ok(next.max(end))
    }

    /// The number of segments.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.segments().len()
    }

    /// Calls `copy` with the files of the log and the bytes of each that are durable, `None` for a file that is
    /// never written again. Nothing is appended or erased meanwhile.
    ///
    /// # Errors
    /// The manifest cannot be written.
    pub fn with_files<T>(
        &self,
        copy: impl FnOnce(&[(String, Option<u64>)]) -> T,
    ) -> Result<T, LogError> {
        let mut tail = lock(&self.tail);
        self.save_end_of(&mut tail)?;
        let segments = self.segments();
        let last = segments.len().saturating_sub(1);
        let length = |n: usize| (n == last).then_some(tail.length);
        let mut files: Vec<_> =
            segments.iter().enumerate().map(|(n, s)| (s.name.clone(), length(n))).collect();
        files.push((MANIFEST.to_owned(), None));
        Ok(copy(&files))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Err(error) = self.save_end() {
            tracing::debug!(%error, "the end of the log is not in its manifest");
        }
    }
}

fn fail(tail: &mut Tail, error: &io::Error) -> LogError {
    tail.failed = Some(error.to_string());
    LogError::Failed(error.to_string())
}

/// Writes the beginning of a segment, durably.
fn begin(disk: &dyn Disk, segment: &Segment, header: &SegmentHeader) -> io::Result<()> {
    segment.file.cut(0)?;
    segment.file.write_at(0, &header.encode())?;
    segment.file.sync()?;
    disk.sync()
}
