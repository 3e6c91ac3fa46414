use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::manifest::{u32_at, u64_at};

/// Bytes before the records of a frame.
pub(super) const HEADER: usize = 28;
/// Bytes of the header without its own checksum, and of the whole header in segments of version 2.
const UNCHECKED: usize = 24;
/// The most bytes of records in a frame, the lengths before them included. The reader refuses larger frames, so
/// [`super::Log::append`] refuses to write them.
pub const MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;

/// Records that are written together, each with its length before it. A frame is there whole or not at all:
/// its hash covers its place in the log and all that it holds, so that half of one, or an old one that
/// the file system gave back, is not taken for one.
#[derive(Debug)]
pub struct Frame {
    bytes: Vec<u8>,
    n: u32,
}

/// Where a record is within the bytes of its frame.
pub type Range = std::ops::Range<usize>;

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}

impl Frame {
    /// A frame without records.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: vec![0; HEADER], n: 0 }
    }

    /// Adds a record that `write` appends, and says where it is.
    ///
    /// # Errors
    /// As `write`; then nothing is added.
    pub fn push<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Range, E> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        let length = u32::try_from(self.bytes.len() - start - 4).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.n += 1;
        Ok(start + 4..self.bytes.len())
    }

    /// The number of records.
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::from(self.n)
    }

    /// Whether it has no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Bytes of its records so far, the lengths before them included; at most [`MAX_FRAME_BYTES`] can be written.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        self.bytes.len() - HEADER
    }

    /// Its bytes so far, in which the ranges of its records hold.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The finished frame, whose first record has an offset.
    pub(super) fn seal(mut self, first: u64) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len() - HEADER).unwrap_or(u32::MAX);
        let hash = xxh3_64_with_seed(&self.bytes[HEADER..], seed(first, self.n));
        self.bytes[..4].copy_from_slice(&length.to_le_bytes());
        self.bytes[4..8].copy_from_slice(&self.n.to_le_bytes());
        self.bytes[8..16].copy_from_slice(&first.to_le_bytes());
        self.bytes[16..24].copy_from_slice(&hash.to_le_bytes());
        let checksum = checksum(&self.bytes[..UNCHECKED]);
        self.bytes[UNCHECKED..HEADER].copy_from_slice(&checksum);
        self.bytes
    }
}

fn seed(first: u64, n: u32) -> u64 {
    first ^ u64::from(n).rotate_left(40)
}

/// The low half of the hash of a header.
fn checksum(header: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = xxh3_64(header).to_le_bytes();
    [a, b, c, d]
}

/// The version of a segment, by which its frames are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Headers of frames without a checksum.
    Two,
    Three,
}

impl Version {
    /// Bytes of a frame's header.
    pub(super) const fn header_bytes(self) -> usize {
        match self {
            Self::Two => UNCHECKED,
            Self::Three => HEADER,
        }
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) first: u64,
    pub(super) n: u32,
    /// Bytes after the header.
    pub(super) length: usize,
    hash: u64,
    /// Its bytes.
    own: [u8; HEADER],
    version: Version,
}

impl Header {
    /// Reads a header; `None` if it is not one.
    pub(super) fn read(version: Version, bytes: &[u8]) -> Option<Self> {
        let n = u32_at(bytes, 4)?;
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        if n == 0 || length > MAX_FRAME_BYTES {
            return None;
        }
        let mut own = [0; HEADER];
        let size = version.header_bytes();
        own[..size].copy_from_slice(bytes.get(..size)?);
        if version == Version::Three && checksum(&own[..UNCHECKED]) != own[UNCHECKED..] {
            return None;
        }
        let (first, hash) = (u64_at(&own, 8)?, u64_at(&own, 16)?);
        Some(Self { first, n, length, hash, own, version })
    }

    /// The chain hash after this frame.
    pub(super) fn chain(&self, before: u64) -> u64 {
        xxh3_64_with_seed(&self.own[..self.version.header_bytes()], before)
    }

    /// Bytes of the frame, header included.
    pub(super) fn frame_bytes(&self) -> u64 {
        (self.version.header_bytes() + self.length) as u64
    }

    /// Whether what follows the header is what was written.
    pub(super) fn is_true_of(&self, records: &[u8]) -> bool {
        records.len() == self.length
            && xxh3_64_with_seed(records, seed(self.first, self.n)) == self.hash
    }

    /// The offset after its last record.
    pub(super) fn end(&self) -> u64 {
        self.first + u64::from(self.n)
    }
}

/// The records in the bytes after a header, by their ranges.
pub(super) fn records(bytes: &[u8]) -> impl Iterator<Item = Range> {
    let mut place = 0;
    std::iter::from_fn(move || {
        let length = bytes.get(place..place + 4)?;
        let start = place + 4;
        let end = start + usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
        bytes.get(start..end)?;
        place = end;
        Some(start..end)
    })
}
