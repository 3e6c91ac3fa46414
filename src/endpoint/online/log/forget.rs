//! Rewriting segments without some of their records.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};

use super::frame::{self, Frame, Header, Version};
use super::manifest::Entry;
use super::segment::{START, Segment, SegmentHeader, start};
use super::{Log, LogError, Tail, fail, lock};

/// A segment as it is without the records that are to be forgotten.
struct Rewritten {
    /// All bytes of the file.
    content: Vec<u8>,
    chain: u64,
    /// Whether it differs from the file.
    is_changed: bool,
    /// Whether a record is left.
    has_records: bool,
}

impl Log {
    /// Rewrites segments without the records that are to be forgotten; their offsets stay, with empty records.
    /// Segments at the beginning in which no record is left are removed. The last segment is closed first.
    ///
    /// A damaged segment stays as it is: the others are rewritten, and then the damage is the error.
    ///
    /// # Errors
    /// A segment cannot be read or written; each segment is the old one or the new one.
    pub fn forget(&self, is_forgotten: impl Fn(u64, &[u8]) -> bool) -> Result<(), LogError> {
        let mut tail = lock(&self.tail);
        if let Some(failed) = &tail.failed {
            return Err(LogError::Failed(failed.clone()));
        }
        if tail.length > START {
            let next = self.next();
            self.roll(&mut tail, next)?;
        }
        let segments = self.segments();
        let (mut damage, mut n_dropped) = (None, 0);
        for (n, segment) in segments.iter().take(segments.len().saturating_sub(1)).enumerate() {
            let rewritten = match rewrite(segment, &tail.manifest.entries, n, &is_forgotten) {
                Ok(rewritten) => rewritten,
                Err(error @ LogError::Damaged { .. }) => {
                    damage.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !rewritten.has_records && n_dropped == n {
                n_dropped += 1;
            } else if rewritten.is_changed {
                self.replace(&mut tail, n, segment, &rewritten)?;
            }
        }
        if n_dropped > 0 || tail.manifest.pending.is_some() {
            let mut manifest = tail.manifest.clone();
            manifest.entries.drain(..n_dropped);
            manifest.pending = None;
            self.save(&mut tail, manifest)?;
            let mut all = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            for segment in all.drain(..n_dropped) {
                // What is not removed now is removed by the next open: the manifest does not list it.
                if let Err(error) = self.disk.remove(&segment.name) {
                    tracing::warn!(%error, file = segment.name, "a dropped segment is not removed yet");
                }
            }
        }
        damage.map_or(Ok(()), Err)
    }

    /// Puts a rewritten segment in the place of the old one. The manifest has both until then.
    fn replace(
        &self,
        tail: &mut Tail,
        n: usize,
        segment: &Segment,
        rewritten: &Rewritten,
    ) -> Result<(), LogError> {
        let old = tail.manifest.entries[n];
        let new = Entry {
            length: rewritten.content.len() as u64,
            hash: rewritten.chain,
            rewrites: old.rewrites + 1,
            ..old
        };
        let mut manifest = tail.manifest.clone();
        manifest.pending = Some(new);
        self.save(tail, manifest)?;
        if let Err(error) = self.disk.replace(&segment.name, &rewritten.content) {
            // If it was renamed and only that is not durable, either may be there after a loss of power: both are
            // in the manifest, but this process reads the old one.
            let is_old = header_on_disk(self, segment).is_ok_and(|header| match header {
                Some(header) => header.rewrites == old.rewrites,
                None => segment.version() == Version::Two,
            });
            return Err(if is_old { LogError::Refused(error) } else { fail(tail, &error) });
        }
        let opened = Segment::open(&*self.disk, segment.first, Version::Three);
        let opened = opened.map_err(|error| fail(tail, &error))?;
        opened.close(new);
        tail.manifest.entries[n] = new;
        let mut all = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = all.iter().position(|known| known.first == segment.first) {
            all[place] = Arc::new(opened);
        }
        Ok(())
    }
}

fn header_on_disk(log: &Log, segment: &Segment) -> std::io::Result<Option<SegmentHeader>> {
    let mut bytes = [0; START as usize];
    let n = log.disk.open(&segment.name)?.read_at(0, &mut bytes)?;
    Ok(SegmentHeader::decode(&bytes[..n]))
}

/// Reads all of a closed segment, and writes it without the records that are to be forgotten.
fn rewrite(
    segment: &Segment,
    entries: &[Entry],
    n: usize,
    is_forgotten: &impl Fn(u64, &[u8]) -> bool,
) -> Result<Rewritten, LogError> {
    let entry = entries[n];
    let before = n.checked_sub(1).map(|before| (entries[before].first, entries[before].link));
    let header =
        SegmentHeader { first: segment.first, previous: before, rewrites: entry.rewrites + 1 };
    let mut content = header.encode().to_vec();
    let (mut chain, mut old_chain) = (header.chain(), segment.first_chain()?);
    let (mut is_changed, mut has_records) = (false, false);
    let (mut offset, mut place) = (segment.first, start(segment.version()));
    while offset < entry.end {
        let header = segment.header_of(place, offset)?;
        let records = segment.records(place, &header)?;
        let mut frame = Frame::new();
        for (offset, range) in (header.first..).zip(frame::records(&records)) {
            let record = &records[range];
            let is_gone = !record.is_empty() && is_forgotten(offset, record);
            is_changed |= is_gone;
            let kept: &[u8] = if is_gone { &[] } else { record };
            has_records |= !kept.is_empty();
            let pushed = frame.push(|bytes| {
                bytes.extend_from_slice(kept);
                Ok::<(), Infallible>(())
            });
            let Ok(_) = pushed;
        }
        let sealed = frame.seal(header.first);
        chain = Header::read(Version::Three, &sealed).map_or(chain, |header| header.chain(chain));
        content.extend_from_slice(&sealed);
        old_chain = header.chain(old_chain);
        offset = header.end();
        place += header.frame_bytes();
    }
    if offset != entry.end || place != entry.length || old_chain != entry.hash {
        return Err(segment.damaged(place.min(entry.length)));
    }
    Ok(Rewritten { content, chain, is_changed, has_records })
}
