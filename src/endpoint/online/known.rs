use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::recent::MessageHash;

/// Which messages the index may have. Almost all that come are new: to find that out in the index takes a
/// look at each of its runs.
#[derive(Debug)]
pub(super) struct Known {
    /// Messages beyond which there is no filter: it would take too much memory.
    max_messages: usize,
    /// Has all messages of the index; none until they were read once.
    ready: RwLock<Option<Arc<Filter>>>,
    /// Has those that came since they are being read.
    growing: RwLock<Option<Arc<Filter>>>,
}

/// The largest `max_messages`.
const MOST_MESSAGES: usize = 1 << 26;
/// It has room for so many at least.
const LEAST_ROOM: usize = 1 << 20;
/// Bits for each message that there is room for: of a thousand that are not there, fewer than two seem to be.
const BITS: usize = 16;

impl Known {
    /// Makes an empty filter that takes at most the given number of bytes.
    pub(super) fn new(max_bytes: usize) -> Self {
        // The filter has room for half as many again as there are.
        let max_messages = (max_bytes / BITS).saturating_mul(8) / 3 * 2;
        let max_messages = max_messages.min(MOST_MESSAGES);
        Self { max_messages, ready: RwLock::default(), growing: RwLock::default() }
    }

    /// Whether the index may have a message.
    pub(super) fn may_have(&self, hash: &MessageHash) -> bool {
        get(&self.ready).is_none_or(|filter| filter.may_have(hash))
    }

    /// Takes messages that the index has now.
    pub(super) fn add<'m>(&self, hashes: impl Iterator<Item = &'m MessageHash> + Clone) {
        for filter in [get(&self.ready), get(&self.growing)].into_iter().flatten() {
            hashes.clone().for_each(|hash| filter.add(hash));
        }
    }

    /// Whether the messages of the index, so many, should be read.
    pub(super) fn is_due(&self, n_messages: usize) -> bool {
        let is_full = |filter: Arc<Filter>| filter.n.load(Ordering::Relaxed) > filter.room;
        n_messages <= self.max_messages && get(&self.ready).is_none_or(is_full)
    }

    /// Begins to read so many messages: what is added from now on is added to the filter, too.
    pub(super) fn begin(&self, n_messages: usize) -> Arc<Filter> {
        let filter = Arc::new(Filter::new((n_messages + n_messages / 2).max(LEAST_ROOM)));
        set(&self.growing, Some(filter.clone()));
        filter
    }

    /// All were read, or with none that was in vain.
    pub(super) fn end(&self, filter: Option<Arc<Filter>>) {
        if filter.is_some() {
            set(&self.ready, filter);
        }
        set(&self.growing, None);
    }

    /// The memory that it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let filters = [get(&self.ready), get(&self.growing)].into_iter().flatten();
        filters.map(|filter| filter.blocks.len() * size_of::<Block>()).sum()
    }
}

fn get(filter: &RwLock<Option<Arc<Filter>>>) -> Option<Arc<Filter>> {
    filter.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn set(filter: &RwLock<Option<Arc<Filter>>>, to: Option<Arc<Filter>>) {
    *filter.write().unwrap_or_else(PoisonError::into_inner) = to;
}

/// A Bloom filter in blocks of a cache line, with one bit in each of its eight words for a message (F. Putze,
/// P. Sanders, J. Singler: Cache-, Hash- and Space-Efficient Bloom Filters, 2007).
#[derive(Debug)]
pub(super) struct Filter {
    blocks: Box<[Block]>,
    /// Messages that were added, and for how many there is room.
    n: AtomicUsize,
    room: usize,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Block([AtomicU64; 8]);

impl Filter {
    fn new(room: usize) -> Self {
        let n_blocks = (room * BITS).div_ceil(8 * size_of::<Block>());
        let blocks = std::iter::repeat_with(Block::default).take(n_blocks.max(1)).collect();
        Self { blocks, n: AtomicUsize::new(0), room }
    }

    /// The block of a message, and its bit in each word. The hash is as good as random.
    fn place(&self, hash: &MessageHash) -> (&Block, impl Iterator<Item = u64> + use<>) {
        let hash = u128::from_le_bytes(*hash);
        #[allow(clippy::cast_possible_truncation, reason = "a part of the hash")]
        let (block, bits) = ((hash >> 64) as usize % self.blocks.len(), hash as u64);
        (&self.blocks[block], (0..8).map(move |word| 1 << (bits >> (8 * word) & 63)))
    }

    pub(super) fn add(&self, hash: &MessageHash) {
        let (block, bits) = self.place(hash);
        for (word, bit) in block.0.iter().zip(bits) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        self.n.fetch_add(1, Ordering::Relaxed);
    }

    fn may_have(&self, hash: &MessageHash) -> bool {
        let (block, mut bits) = self.place(hash);
        block
            .0
            .iter()
            .all(|word| bits.next().is_none_or(|bit| word.load(Ordering::Relaxed) & bit != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: usize) -> MessageHash {
        let mut hash = [0; 16];
        hash.copy_from_slice(&blake3::hash(&n.to_le_bytes()).as_bytes()[..16]);
        hash
    }

    #[test]
    fn nothing_that_was_added_is_missed_and_little_else_seems_to_be_there() {
        let filter = Filter::new(50_000);
        (0..50_000).for_each(|n| filter.add(&hash(n)));
        assert!((0..50_000).all(|n| filter.may_have(&hash(n))));
        let wrong = (50_000..150_000).filter(|n| filter.may_have(&hash(*n))).count();
        assert!(wrong < 200, "{wrong} of 100,000");
    }

    #[test]
    fn what_is_added_while_messages_are_read_is_known_after_it() {
        let known = Known::new(usize::MAX);
        let add = |range: std::ops::Range<usize>| {
            let hashes: Vec<MessageHash> = range.map(hash).collect();
            known.add(hashes.iter());
        };
        assert!(known.is_due(0) && known.may_have(&hash(0)), "all may be there");
        let filter = known.begin(2);
        add(0..1);
        filter.add(&hash(1));
        known.end(Some(filter));
        assert!(!known.is_due(2) && known.may_have(&hash(0)) && known.may_have(&hash(1)));
        assert!(!known.may_have(&hash(2)));
        add(2..3);
        assert!(known.may_have(&hash(2)));
        add(3..LEAST_ROOM + 2);
        assert!(known.is_due(LEAST_ROOM + 1), "it is full");
        assert!(!Known::new(usize::MAX).is_due(MOST_MESSAGES + 1));
        // Three bytes for a message: two, and half as many again.
        let small = Known::new(3_000_000);
        assert!(small.is_due(999_000) && !small.is_due(1_001_000));
        known.begin(5);
        known.end(None);
        assert!(known.may_have(&hash(2)) && known.bytes() > 0, "the one before stays");
    }
}
