//! Reads the log again when the store opens.

use std::path::Path;

use kernel::domain::Time;

use super::index::Index;
use super::log::Log;
use super::recent::Recent;
use super::record::{self, Record};
use super::{LIVE_SEQ, group, room};
use crate::Result;

/// What the log has and the index has not. `clock` is the latest arrival that the index has. Where the index
/// cannot take it, all of it stays in memory: scores and reads do not need a disk that can be written.
pub(super) fn index_tail(
    log: &Log,
    index: &Index,
    (checkpoint, clock): (u64, i64),
    folder: &Path,
    checkpoint_bytes: usize,
) -> Result<Recent> {
    let mut recent = Recent::after(clock);
    let mut failed = Ok(());
    let mut is_writable = true;
    log.read(checkpoint, |offset, bytes| {
        failed = group::replay(offset, bytes, &mut recent, |id| Ok(index.alias(id)?.is_some()));
        if failed.is_ok() && is_writable && recent.bytes() > checkpoint_bytes {
            let taken = room::for_index(folder, recent.bytes()).and_then(|()| index.take(&recent));
            match taken {
                Ok(()) => drop(recent.begin_anew()),
                Err(error) => {
                    tracing::warn!(%error, "the index cannot be brought up to date; memory has the rest");
                    is_writable = false;
                }
            }
        }
        failed.is_ok()
    })?;
    failed.map(|()| recent)
}

/// Forgets what arrived live after a time.
pub(super) fn forget_arrivals(log: &Log, latest: Time) -> Result<()> {
    let is_later = |offset: u64, bytes: &[u8]| {
        !bytes.is_empty()
            && record::read(offset, bytes).is_ok_and(|record| match record {
                Record::Event { event, .. } => event.seq >= LIVE_SEQ && event.received_at > latest,
                Record::Rejected(rejected) => rejected.received_at > latest,
                Record::Erased => false,
            })
    };
    Ok(log.forget(is_later)?)
}
