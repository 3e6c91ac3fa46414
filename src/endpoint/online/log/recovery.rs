//! Opening a log: the manifest, the links between segments, and the end of the last one.

use std::collections::BTreeSet;

use super::frame::{HEADER, Header, Version};
use super::manifest::{Entry, MANIFEST, Manifest};
use super::segment::{
    MAGIC_TWO, START, Segment, SegmentHeader, first_of, is_version_three, name_of, start,
};
use super::{Disk, LogError, begin};

/// An opened log.
pub(super) struct Opened {
    pub(super) segments: Vec<Segment>,
    pub(super) manifest: Manifest,
    /// The end of the last segment: offset, bytes and chain hash.
    pub(super) end: End,
}

/// How far the frames of a segment go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Offset after the last record.
    pub(super) next: u64,
    /// Bytes of the file.
    pub(super) length: u64,
    /// Chain hash of them.
    pub(super) chain: u64,
}

impl Entry {
    /// The entry of a segment that ends there.
    pub(super) fn of(first: u64, end: End, is_closed: bool) -> Self {
        let End { next, length, chain } = end;
        Self { first, end: next, length, hash: chain, link: chain, rewrites: 0, is_closed }
    }
}

/// Opens the log of a disk.
pub(super) fn open(disk: &dyn Disk) -> Result<Opened, LogError> {
    let names = disk.names()?;
    let firsts: BTreeSet<u64> = names.iter().filter_map(|name| first_of(name)).collect();
    if !names.iter().any(|name| name == MANIFEST) {
        return create_or_upgrade(disk, firsts);
    }
    let mut manifest = read_manifest(disk)?.ok_or_else(|| damaged_manifest(0))?;
    let mut segments: Vec<Segment> = Vec::with_capacity(manifest.entries.len());
    let pending = manifest.pending.take();
    for n in 0..manifest.entries.len() {
        let entry = manifest.entries[n];
        if !firsts.contains(&entry.first) {
            return Err(LogError::Missing { file: name_of(entry.first) });
        }
        let before = n.checked_sub(1).map(|before| manifest.entries[before]);
        let (segment, entry) = open_listed(disk, entry, pending.as_ref(), before.as_ref())?;
        if entry.is_closed == (n + 1 == manifest.entries.len()) {
            return Err(damaged_manifest(0));
        }
        manifest.entries[n] = entry;
        segments.push(segment);
    }
    remove_unlisted(disk, &firsts, &manifest)?;
    let (Some(last), Some(entry)) = (segments.last(), manifest.entries.last()) else {
        return Err(damaged_manifest(0));
    };
    let end = recover(last, Some(entry))?;
    Ok(Opened { segments, manifest, end })
}

fn damaged_manifest(place: u64) -> LogError {
    LogError::Damaged { file: MANIFEST.to_owned(), place }
}

/// Reads the manifest; `None` if its bytes are damaged.
pub(super) fn read_manifest(disk: &dyn Disk) -> Result<Option<Manifest>, LogError> {
    let file = disk.open(MANIFEST)?;
    let mut bytes = vec![0; usize::try_from(file.length()?).unwrap_or(usize::MAX)];
    let n = file.read_at(0, &mut bytes)?;
    Ok(Manifest::decode(&bytes[..n]))
}

/// Opens a segment of the manifest, and checks its header and its link to the one before.
fn open_listed(
    disk: &dyn Disk,
    entry: Entry,
    pending: Option<&Entry>,
    before: Option<&Entry>,
) -> Result<(Segment, Entry), LogError> {
    let file = disk.open(&name_of(entry.first))?;
    let mut bytes = [0; START as usize];
    let n = file.read_at(0, &mut bytes)?;
    let header = SegmentHeader::decode(&bytes[..n]);
    let damaged = |place| LogError::Damaged { file: name_of(entry.first), place };
    let (version, entry) = match header {
        None if bytes.starts_with(MAGIC_TWO) && entry.rewrites == 0 && entry.is_closed => {
            (Version::Two, entry)
        }
        None => return Err(damaged(0)),
        Some(header) => {
            // The file is the old one or the new one of a replacement.
            let new =
                pending.filter(|new| new.first == entry.first && new.rewrites == header.rewrites);
            let entry = new.copied().unwrap_or(entry);
            let is_linked =
                before.is_none_or(|before| header.previous == Some((before.first, before.link)));
            if header.first != entry.first || header.rewrites != entry.rewrites || !is_linked {
                return Err(damaged(0));
            }
            (Version::Three, entry)
        }
    };
    if before.is_some_and(|before| before.end != entry.first) {
        return Err(damaged(0));
    }
    let length = file.length()?;
    if length < entry.length {
        return Err(damaged(length));
    }
    let segment = Segment::open(disk, entry.first, version)?;
    if entry.is_closed {
        segment.close(entry);
    }
    Ok((segment, entry))
}

/// Removes segments that were begun and never used, or dropped and not removed yet.
fn remove_unlisted(
    disk: &dyn Disk,
    firsts: &BTreeSet<u64>,
    manifest: &Manifest,
) -> Result<(), LogError> {
    let listed: BTreeSet<u64> = manifest.entries.iter().map(|entry| entry.first).collect();
    let kept_from = listed.first().copied().unwrap_or_default();
    for first in firsts.difference(&listed) {
        // Frames are written to a segment only once the manifest lists it.
        if *first >= kept_from && has_frames(disk, *first)? {
            return Err(LogError::Unlisted { file: name_of(*first) });
        }
        tracing::info!(file = name_of(*first), "removed a segment that the log does not use");
        disk.remove(&name_of(*first))?;
    }
    Ok(())
}

/// Whether a whole frame is in a segment of version 3.
fn has_frames(disk: &dyn Disk, first: u64) -> Result<bool, LogError> {
    let segment = Segment::open(disk, first, Version::Three)?;
    let rest = rest(&segment, 0)?;
    Ok(find_frame(&rest, Version::Three, 0, first, u64::MAX).is_some())
}

/// Creates a log, or opens one of version 2 and gives it a manifest and a new last segment.
fn create_or_upgrade(disk: &dyn Disk, mut firsts: BTreeSet<u64>) -> Result<Opened, LogError> {
    // A segment without frames is one that was begun when the process ended.
    if let Some(last) = firsts.last().copied() {
        let file = disk.open(&name_of(last))?;
        let mut magic = [0; MAGIC_TWO.len()];
        let n = file.read_at(0, &mut magic)?;
        let is_begun = n < magic.len() || file.length()? <= MAGIC_TWO.len() as u64;
        if is_begun || (is_version_three(&magic) && !has_frames(disk, last)?) {
            disk.remove(&name_of(last))?;
            firsts.remove(&last);
        }
    }
    let mut segments = Vec::with_capacity(firsts.len() + 1);
    let mut manifest = Manifest::default();
    let after: Vec<Option<u64>> =
        firsts.iter().skip(1).map(|first| Some(*first)).chain([None]).collect();
    for (first, next) in firsts.iter().zip(after) {
        let segment = Segment::open(disk, *first, Version::Two)?;
        let mut magic = [0; MAGIC_TWO.len()];
        segment.file.read_at(0, &mut magic)?;
        if is_version_three(&magic) {
            return Err(LogError::Missing { file: MANIFEST.to_owned() });
        }
        if magic != *MAGIC_TWO {
            return Err(segment.damaged(0));
        }
        let end = match next {
            Some(next) => check_all(&segment, next)?,
            None => recover(&segment, None)?,
        };
        let entry = Entry::of(*first, end, true);
        segment.close(entry);
        manifest.entries.push(entry);
        segments.push(segment);
    }
    if !segments.is_empty() {
        tracing::info!(segments = segments.len(), "checked a log of an earlier format");
    }
    let before = manifest.entries.last();
    let first = before.map_or(0, |entry| entry.end);
    let header = SegmentHeader {
        first,
        previous: before.map(|entry| (entry.first, entry.link)),
        rewrites: 0,
    };
    let segment = Segment::open(disk, first, Version::Three)?;
    begin(disk, &segment, &header)?;
    let end = End { next: first, length: START, chain: header.chain() };
    manifest.entries.push(Entry::of(first, end, false));
    disk.replace(MANIFEST, &manifest.encode())?;
    segments.push(segment);
    Ok(Opened { segments, manifest, end })
}

/// Reads a segment that ends with an offset, and checks all of it.
fn check_all(segment: &Segment, next: u64) -> Result<End, LogError> {
    let mut end = beginning(segment)?;
    while end.next < next {
        let header = segment.header_of(end.length, end.next)?;
        segment.records(end.length, &header)?;
        end = after(end, &header);
    }
    if end.next == next { Ok(end) } else { Err(segment.damaged(end.length)) }
}

fn beginning(segment: &Segment) -> Result<End, LogError> {
    let (next, length) = (segment.first, start(segment.version()));
    Ok(End { next, length, chain: segment.first_chain()? })
}

fn after(end: End, header: &Header) -> End {
    End {
        next: header.end(),
        length: end.length + header.frame_bytes(),
        chain: header.chain(end.chain),
    }
}

/// Reads the last segment to its end, and cuts off a frame that is not whole there. Until the point that
/// `durable` has, every frame must be whole.
fn recover(segment: &Segment, durable: Option<&Entry>) -> Result<End, LogError> {
    let mut end = beginning(segment)?;
    let is_at = |end: &End, entry: &Entry| {
        *end == End { next: entry.end, length: entry.length, chain: entry.hash }
    };
    let mut is_reached = durable.is_none_or(|entry| is_at(&end, entry));
    while let Some(header) = segment.header(end.length)? {
        if header.first != end.next {
            break;
        }
        match segment.records(end.length, &header) {
            Ok(_) => {}
            Err(LogError::Damaged { .. }) => break,
            Err(other) => return Err(other),
        }
        segment.mark(end.next, end.length);
        end = after(end, &header);
        is_reached |= durable.is_some_and(|entry| is_at(&end, entry));
    }
    if !is_reached {
        return Err(segment.damaged(end.length.min(durable.map_or(0, |entry| entry.length))));
    }
    let rest = rest(segment, end.length)?;
    // Zeros are room that was made ready.
    let written = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if written > 0 {
        // What was torn is the last thing that was written: a whole frame behind it was acknowledged.
        let furthest = end.next.saturating_add(u64::from(u32::MAX));
        if find_frame(&rest[..], segment.version(), 1, end.next + 1, furthest).is_some() {
            return Err(segment.damaged(end.length));
        }
        tracing::warn!(
            file = segment.name,
            place = end.length,
            bytes = written,
            "cut off what was not acknowledged"
        );
        segment.file.cut(end.length)?;
        segment.file.sync()?;
    }
    Ok(end)
}

/// The bytes of a segment behind a place.
pub(super) fn rest(segment: &Segment, place: u64) -> Result<Vec<u8>, LogError> {
    let length = segment.file.length()?;
    let mut rest = vec![0; usize::try_from(length.saturating_sub(place)).unwrap_or(usize::MAX)];
    let n = segment.file.read_at(place, &mut rest)?;
    rest.truncate(n);
    Ok(rest)
}

/// Finds the next whole frame at or after an index of bytes, with a first offset in a range.
pub(super) fn find_frame(
    bytes: &[u8],
    version: Version,
    from: usize,
    least: u64,
    most: u64,
) -> Option<(usize, Header)> {
    let last = bytes.len().checked_sub(version.header_bytes())?;
    (from..=last).find_map(|at| {
        let header = Header::read(version, &bytes[at..bytes.len().min(at + HEADER)])?;
        let start = at + version.header_bytes();
        let records = bytes.get(start..start.checked_add(header.length)?)?;
        let could_be = (least..=most).contains(&header.first);
        (could_be && header.is_true_of(records)).then_some((at, header))
    })
}
