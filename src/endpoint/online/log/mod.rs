//! A log on disk: records by offset, one frame a group, durable before it is acknowledged.
//!
//! Frames lie one after another in segments, files that are named by their first offset. A frame that is not
//! whole at the end of the last segment was never acknowledged, and is cut off when the log is opened;
//! one that is damaged anywhere else is said, and nothing is cut. Where much is written, the next segment is
//! made ready before it is needed, full of zeros: a file that grows is durable only when the file system has
//! noted how long it is, and that waits for what others write. Never: what a record means.

mod disk;
mod frame;

pub use disk::{Disk, Folder, LogFile};
pub use frame::{Frame, MAX_FRAME_BYTES, Range};

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use frame::{HEADER, Header};

/// A segment ends when it has so many bytes.
const SEGMENT: u64 = 64 * 1024 * 1024;
/// What a segment begins with.
const MAGIC: &[u8; 8] = b"FCLOG\0\0\x02";
/// Bytes between places that are remembered in a segment.
const MARK_EVERY: u64 = 256 * 1024;
/// Bytes of a segment from which on the next one is made ready: what is small needs none.
const PREPARE_AT: u64 = SEGMENT / 4;
/// It is made ready only where so much is free.
const PREPARE_ABOVE: u64 = 16 * SEGMENT;
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
    /// It cannot be read.
    #[error("{0}")]
    Unread(#[from] io::Error),
}

/// A log of records.
#[derive(Debug)]
pub struct Log {
    disk: Box<dyn Disk>,
    segments: RwLock<Vec<Arc<Segment>>>,
    /// The offset after the last record that is durable.
    next: AtomicU64,
    tail: Mutex<Tail>,
}

#[derive(Debug)]
struct Tail {
    /// Bytes of the last segment that are durable.
    length: u64,
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

#[derive(Debug)]
struct Segment {
    name: String,
    first: u64,
    file: Box<dyn LogFile>,
    /// Offsets of some frames, and where they are; the first one is always there.
    marks: Mutex<Vec<(u64, u64)>>,
}

fn name_of(first: u64) -> String {
    format!("{first:020}.log")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Segment {
    fn open(disk: &dyn Disk, first: u64) -> io::Result<Self> {
        let name = name_of(first);
        let file = disk.open(&name)?;
        Ok(Self { name, first, file, marks: Mutex::new(vec![(first, MAGIC.len() as u64)]) })
    }

    /// Remembers where a frame is, if that is far from what is remembered.
    fn mark(&self, first: u64, place: u64) {
        let mut marks = lock(&self.marks);
        if marks.last().is_none_or(|(_, last)| place >= last + MARK_EVERY) {
            marks.push((first, place));
        }
    }

    /// A place from which the frame with an offset is found soon.
    fn before(&self, offset: u64) -> u64 {
        let marks = lock(&self.marks);
        let after = marks.partition_point(|(first, _)| *first <= offset);
        marks.get(after.saturating_sub(1)).map_or(MAGIC.len() as u64, |(_, place)| *place)
    }

    fn header(&self, place: u64) -> io::Result<Option<Header>> {
        let mut bytes = [0; HEADER];
        let n = self.file.read_at(place, &mut bytes)?;
        Ok(Header::read(&bytes[..n]))
    }

    /// The frame at a place, checked.
    fn frame(&self, place: u64, header: &Header) -> Result<Vec<u8>, LogError> {
        let mut records = vec![0; header.length];
        let n = self.file.read_at(place + HEADER as u64, &mut records)?;
        records.truncate(n);
        if header.is_true_of(&records) { Ok(records) } else { Err(self.damaged(place)) }
    }

    fn damaged(&self, place: u64) -> LogError {
        LogError::Damaged { file: self.name.clone(), place }
    }
}

impl Log {
    /// Opens the log in a folder of the file system, as [`Self::open`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(folder: &Path) -> Result<Self, LogError> {
        Self::open(Box::new(Folder::new(folder)?))
    }

    /// Opens the log on a disk, and makes it if it is not there. The last segment is read to its end, and
    /// what was torn there is cut off; the others are checked when they are read.
    ///
    /// # Errors
    /// It cannot be read or written, or is damaged where it was acknowledged.
    pub fn open(disk: Box<dyn Disk>) -> Result<Self, LogError> {
        let mut firsts: Vec<u64> = disk
            .names()?
            .iter()
            .filter_map(|name| name.strip_suffix(".log")?.parse().ok())
            .collect();
        firsts.sort_unstable();
        let mut segments = Vec::with_capacity(firsts.len());
        for first in firsts {
            segments.push(Segment::open(&*disk, first)?);
        }
        let (mut next, mut length) = (0, 0);
        while let Some(last) = segments.last() {
            let mut magic = [0; MAGIC.len()];
            last.file.read_at(0, &mut magic)?;
            if magic != *MAGIC {
                if last.file.length()? > MAGIC.len() as u64 {
                    return Err(last.damaged(0));
                }
                // It was begun when the end came, and never had a frame.
                if segments.len() > 1 {
                    disk.remove(&last.name)?;
                    segments.pop();
                    continue;
                }
                begin(&*disk, last)?;
            }
            (next, length) = recover(last)?;
            break;
        }
        if segments.is_empty() {
            let first = Segment::open(&*disk, 0)?;
            begin(&*disk, &first)?;
            length = MAGIC.len() as u64;
            segments.push(first);
        }
        Ok(Self {
            disk,
            segments: RwLock::new(segments.into_iter().map(Arc::new).collect()),
            next: AtomicU64::new(next),
            tail: Mutex::new(Tail {
                length,
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
        if tail.length >= SEGMENT {
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
        self.next.store(first + n, Ordering::Release);
        Ok(bytes.into())
    }

    /// Whether it is time to make the next segment ready: who hears that it is does so, by
    /// [`Self::prepare`].
    #[must_use]
    pub fn wants_room(&self) -> bool {
        let mut tail = lock(&self.tail);
        let is_due = tail.length >= PREPARE_AT && tail.next_segment == NextSegment::Unmade;
        let has_room = || self.disk.free().is_some_and(|free| free >= PREPARE_ABOVE);
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
        let prepared = self.disk.prepare(MAGIC, SEGMENT);
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

    /// Begins a segment.
    fn roll(&self, tail: &mut Tail, first: u64) -> Result<(), LogError> {
        let was_ready = tail.next_segment == NextSegment::Ready;
        if was_ready {
            tail.next_segment = NextSegment::Unmade;
        }
        let began = match was_ready {
            true => self.disk.take_prepared(&name_of(first)),
            false => Ok(()),
        };
        let began = began.and_then(|()| Segment::open(&*self.disk, first));
        let began = began.and_then(|segment| match was_ready {
            true => Ok(segment),
            false => begin(&*self.disk, &segment).map(|()| segment),
        });
        let segment = began.map_err(|error| {
            // A segment that was begun in vain must not come after what is still written to the last one.
            drop(self.disk.remove(&name_of(first)));
            LogError::Refused(error)
        })?;
        if let Some(last) = self.segments().last() {
            // What was ready and is not needed; there it does no harm either.
            drop(last.file.cut(tail.length));
        }
        tail.length = MAGIC.len() as u64;
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        segments.push(Arc::new(segment));
        Ok(())
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
        let mut seen: Option<u64> = None;
        for segment in segments.get(after.saturating_sub(1)..).unwrap_or_default() {
            if seen.is_some_and(|seen| seen != segment.first) {
                return Err(segment.damaged(0));
            }
            let mut place = segment.before(from);
            while next < end {
                let Some(header) = segment.header(place)? else { break };
                if seen.is_some_and(|seen| seen != header.first) {
                    return Err(segment.damaged(place));
                }
                seen = Some(header.end());
                if header.end() > from {
                    let records = segment.frame(place, &header)?;
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
                segment.mark(header.first, place);
                place += (HEADER + header.length) as u64;
            }
        }
        Ok(next)
    }

    /// Writes segments anew without the records that are to be forgotten; their offsets stay, with nothing
    /// at them. The last segment is ended first.
    ///
    /// # Errors
    /// It cannot be read or written; each segment is the old one or the new one.
    pub fn forget(&self, is_forgotten: impl Fn(u64, &[u8]) -> bool) -> Result<(), LogError> {
        let mut tail = lock(&self.tail);
        if let Some(failed) = &tail.failed {
            return Err(LogError::Failed(failed.clone()));
        }
        if tail.length > MAGIC.len() as u64 {
            let next = self.next();
            self.roll(&mut tail, next)?;
        }
        let segments = self.segments();
        for segment in segments.iter().take(segments.len().saturating_sub(1)) {
            let Some(content) = without(segment, &is_forgotten)? else { continue };
            self.disk.replace(&segment.name, &content)?;
            let anew = Segment::open(&*self.disk, segment.first)?;
            let mut all = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = all.iter().position(|known| known.first == segment.first) {
                all[place] = Arc::new(anew);
            }
        }
        Ok(())
    }

    /// The files of the log and how many bytes of each are durable, as of now.
    #[must_use]
    pub fn files(&self) -> Vec<(String, Option<u64>)> {
        let tail = lock(&self.tail);
        let segments = self.segments();
        let last = segments.len().saturating_sub(1);
        let length = |n: usize| (n == last).then_some(tail.length);
        segments.iter().enumerate().map(|(n, s)| (s.name.clone(), length(n))).collect()
    }
}

fn fail(tail: &mut Tail, error: &io::Error) -> LogError {
    tail.failed = Some(error.to_string());
    LogError::Failed(error.to_string())
}

/// Writes the beginning of a segment, durably.
fn begin(disk: &dyn Disk, segment: &Segment) -> io::Result<()> {
    segment.file.cut(0)?;
    segment.file.write_at(0, MAGIC)?;
    segment.file.sync()?;
    disk.sync()
}

/// Reads the last segment to its end, and cuts off a frame that is not whole. Gives the next offset and the
/// length of the segment.
fn recover(segment: &Segment) -> Result<(u64, u64), LogError> {
    let (mut next, mut place) = (segment.first, MAGIC.len() as u64);
    while let Some(header) = segment.header(place)? {
        if header.first != next {
            break;
        }
        match segment.frame(place, &header) {
            Ok(_) => {}
            Err(LogError::Damaged { .. }) => break,
            Err(other) => return Err(other),
        }
        segment.mark(next, place);
        next = header.end();
        place += (HEADER + header.length) as u64;
    }
    let length = segment.file.length()?;
    let rest = rest(segment, place, length)?;
    // Zeros are room that was made ready.
    let written = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if written > 0 {
        // What was torn is the last thing that was written: a whole frame behind it was acknowledged.
        if has_frame_after(&rest, written, next) {
            return Err(segment.damaged(place));
        }
        tracing::warn!(
            file = segment.name,
            place,
            bytes = written,
            "cut off what was not acknowledged"
        );
        segment.file.cut(place)?;
        segment.file.sync()?;
    }
    Ok((next, place))
}

/// What lies behind a place.
fn rest(segment: &Segment, place: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut rest = vec![0; usize::try_from(length.saturating_sub(place)).unwrap_or(usize::MAX)];
    let n = segment.file.read_at(place, &mut rest)?;
    rest.truncate(n);
    Ok(rest)
}

/// Whether a frame that comes after an offset begins somewhere in what was written of a rest.
fn has_frame_after(rest: &[u8], written: usize, next: u64) -> bool {
    (1..written.min(rest.len().saturating_sub(HEADER))).any(|start| {
        let bytes = &rest[start..];
        Header::read(bytes).is_some_and(|header| {
            let could_be = header.first > next && header.first - next <= u64::from(u32::MAX);
            let records = bytes.get(HEADER..HEADER + header.length);
            could_be && records.is_some_and(|records| header.is_true_of(records))
        })
    })
}

/// A segment without some records, if it has such.
fn without(
    segment: &Segment,
    is_forgotten: &impl Fn(u64, &[u8]) -> bool,
) -> Result<Option<Vec<u8>>, LogError> {
    let mut content = MAGIC.to_vec();
    let mut found = false;
    let mut place = MAGIC.len() as u64;
    while let Some(header) = segment.header(place)? {
        let records = segment.frame(place, &header)?;
        let mut anew = Frame::new();
        for (offset, range) in (header.first..).zip(frame::records(&records)) {
            let record = &records[range];
            let gone = is_forgotten(offset, record);
            found |= gone;
            let kept: &[u8] = if gone { &[] } else { record };
            let written = anew.push(|bytes| {
                bytes.extend_from_slice(kept);
                Ok::<(), std::convert::Infallible>(())
            });
            let Ok(_) = written;
        }
        content.extend_from_slice(&anew.seal(header.first));
        place += (HEADER + header.length) as u64;
    }
    Ok(found.then_some(content))
}
