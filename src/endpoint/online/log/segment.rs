use std::sync::{Mutex, OnceLock};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::frame::{HEADER, Header, Version};
use super::manifest::{Entry, u32_at, u64_at};
use super::{Disk, LogError, LogFile, lock};

/// The first bytes of a segment of version 2, and all of its header.
pub(super) const MAGIC_TWO: &[u8; 8] = b"FCLOG\0\0\x02";
/// The first bytes of a segment of version 3.
const MAGIC: &[u8; 8] = b"FCLOG\0\0\x03";
/// Bytes of the header of a segment of version 3.
pub(super) const START: u64 = 48;
/// Bytes between places that are remembered in a segment.
const MARK_EVERY: u64 = 256 * 1024;

/// The header of a segment of version 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Offset of its first record.
    pub(super) first: u64,
    /// First offset and chain hash of the segment before it, as it was when this one began.
    pub(super) previous: Option<(u64, u64)>,
    /// How often its file was rewritten.
    pub(super) rewrites: u32,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; START as usize] {
        let (previous, hash) = self.previous.unwrap_or((u64::MAX, 0));
        let mut bytes = [0; START as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..24].copy_from_slice(&previous.to_le_bytes());
        bytes[24..32].copy_from_slice(&hash.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.rewrites.to_le_bytes());
        let checksum = xxh3_64(&bytes[..40]);
        bytes[40..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(MAGIC) || u64_at(bytes, 40)? != xxh3_64(&bytes[..40]) {
            return None;
        }
        let previous = (u64_at(bytes, 16)?, u64_at(bytes, 24)?);
        Some(Self {
            first: u64_at(bytes, 8)?,
            previous: (previous.0 != u64::MAX).then_some(previous),
            rewrites: u32_at(bytes, 32)?,
        })
    }

    /// The chain hash before the first frame.
    pub(super) fn chain(&self) -> u64 {
        xxh3_64(&self.encode())
    }
}

/// Whether bytes at the beginning of a file could be those of a segment of version 3.
pub(super) fn is_version_three(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// A file of frames, open to be read.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) first: u64,
    pub(super) file: Box<dyn LogFile>,
    version: Version,
    /// Set once nothing more is appended.
    closed: OnceLock<Entry>,
    /// Offsets of some frames, and where they are; the first one is always there.
    marks: Mutex<Vec<(u64, u64)>>,
}

/// The file name of the segment whose first record has an offset.
pub(super) fn name_of(first: u64) -> String {
    format!("{first:020}.log")
}

/// The offset in the file name of a segment.
pub(super) fn first_of(name: &str) -> Option<u64> {
    name.strip_suffix(".log")?.parse().ok()
}

impl Segment {
    /// Opens the file of a segment, and creates it if it is not there.
    pub(super) fn open(disk: &dyn Disk, first: u64, version: Version) -> std::io::Result<Self> {
        let name = name_of(first);
        let file = disk.open(&name)?;
        let marks = Mutex::new(vec![(first, start(version))]);
        Ok(Self { name, first, file, version, closed: OnceLock::new(), marks })
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Notes that nothing more is appended after an entry.
    pub(super) fn close(&self, entry: Entry) {
        // It is closed once.
        let _first = self.closed.set(entry);
    }

    pub(super) fn closed(&self) -> Option<&Entry> {
        self.closed.get()
    }

    /// Remembers where a frame is, if that is far from what is remembered.
    pub(super) fn mark(&self, first: u64, place: u64) {
        let mut marks = lock(&self.marks);
        if marks.last().is_none_or(|(_, last)| place >= last + MARK_EVERY) {
            marks.push((first, place));
        }
    }

    /// First offset and place of a frame from which the one with an offset is found soon.
    pub(super) fn before(&self, offset: u64) -> (u64, u64) {
        let marks = lock(&self.marks);
        let after = marks.partition_point(|(first, _)| *first <= offset);
        marks.get(after.saturating_sub(1)).copied().unwrap_or((self.first, start(self.version)))
    }

    /// The header of the frame at a place, if there is one.
    pub(super) fn header(&self, place: u64) -> Result<Option<Header>, LogError> {
        let mut bytes = [0; HEADER];
        let n = self.file.read_at(place, &mut bytes)?;
        Ok(Header::read(self.version, &bytes[..n]))
    }

    /// The header of the frame at a place, which must be there and begin with an offset.
    pub(super) fn header_of(&self, place: u64, offset: u64) -> Result<Header, LogError> {
        let header = self.header(place)?.filter(|header| header.first == offset);
        header.ok_or_else(|| self.damaged(place))
    }

    /// The records of the frame at a place, checked.
    pub(super) fn records(&self, place: u64, header: &Header) -> Result<Vec<u8>, LogError> {
        let mut records = vec![0; header.length];
        let place_of_records = place + self.version.header_bytes() as u64;
        let n = self.file.read_at(place_of_records, &mut records)?;
        records.truncate(n);
        if header.is_true_of(&records) { Ok(records) } else { Err(self.damaged(place)) }
    }

    pub(super) fn damaged(&self, place: u64) -> LogError {
        LogError::Damaged { file: self.name.clone(), place }
    }

    /// The chain hash before the first frame.
    pub(super) fn first_chain(&self) -> Result<u64, LogError> {
        match self.version {
            Version::Two => Ok(chain_two(self.first)),
            Version::Three => {
                let mut bytes = [0; START as usize];
                let n = self.file.read_at(0, &mut bytes)?;
                let header = SegmentHeader::decode(&bytes[..n]);
                Ok(header.ok_or_else(|| self.damaged(0))?.chain())
            }
        }
    }
}

/// The chain hash before the first frame of a segment of version 2.
pub(super) fn chain_two(first: u64) -> u64 {
    xxh3_64_with_seed(MAGIC_TWO, first)
}

/// Where the first frame of a segment is.
pub(super) const fn start(version: Version) -> u64 {
    match version {
        Version::Two => MAGIC_TWO.len() as u64,
        Version::Three => START,
    }
}
