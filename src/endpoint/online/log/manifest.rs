use xxhash_rust::xxh3::xxh3_64;

/// Name of the file.
pub(super) const MANIFEST: &str = "MANIFEST";
const MAGIC: &[u8; 8] = b"FCMANI\0\x01";
const HEADER_BYTES: usize = 16;
const ENTRY_BYTES: usize = 48;
const HASH_BYTES: usize = 8;

/// The segments that a log has, in order. The module docs of the log specify its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) entries: Vec<Entry>,
    /// The new state of a segment whose file is replaced: its entry or this one is true of the file.
    pub(super) pending: Option<Entry>,
}

/// A segment, up to a point until which its frames are durable; of a closed segment, its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Offset of its first record.
    pub(super) first: u64,
    /// Offset after its last record.
    pub(super) end: u64,
    /// Bytes of the file up to that record.
    pub(super) length: u64,
    /// Chain hash of the file up to there.
    pub(super) hash: u64,
    /// The chain hash that the header of the next segment has: that of the file before it was first rewritten.
    pub(super) link: u64,
    /// How often the file was rewritten.
    pub(super) rewrites: u32,
    pub(super) is_closed: bool,
}

impl Manifest {
    pub(super) fn encode(&self) -> Vec<u8> {
        let n = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&n.to_le_bytes());
        bytes.extend_from_slice(&u32::from(self.pending.is_some()).to_le_bytes());
        for entry in self.entries.iter().chain(&self.pending) {
            for number in [entry.first, entry.end, entry.length, entry.hash, entry.link] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(&entry.rewrites.to_le_bytes());
            bytes.extend_from_slice(&u32::from(entry.is_closed).to_le_bytes());
        }
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    /// Returns `None` if the bytes are not those of a manifest.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH_BYTES)?)?;
        if xxh3_64(content).to_le_bytes() != hash || !content.starts_with(MAGIC) {
            return None;
        }
        let n = usize::try_from(u32_at(content, 8)?).ok()?;
        let has_pending = u32_at(content, 12)? == 1;
        let mut entries = content.get(HEADER_BYTES..)?.chunks_exact(ENTRY_BYTES);
        if entries.len() != n + usize::from(has_pending) || !entries.remainder().is_empty() {
            return None;
        }
        let read = entries.by_ref().take(n).map(Entry::decode).collect::<Option<Vec<_>>>()?;
        let pending = entries.next().map(Entry::decode);
        if read.is_empty() || pending == Some(None) {
            return None;
        }
        Some(Self { entries: read, pending: pending.flatten() })
    }
}

impl Entry {
    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            first: u64_at(bytes, 0)?,
            end: u64_at(bytes, 8)?,
            length: u64_at(bytes, 16)?,
            hash: u64_at(bytes, 24)?,
            link: u64_at(bytes, 32)?,
            rewrites: u32_at(bytes, 40)?,
            is_closed: u32_at(bytes, 44)? == 1,
        })
    }
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
