//! Checking all of a log offline, without writing to it.

use std::collections::BTreeSet;
use std::io;

use serde::Serialize;

use super::Disk;
use super::frame::{HEADER, Header, Version};
use super::manifest::{Entry, MANIFEST, Manifest};
use super::recovery::find_frame;
use super::segment::{MAGIC_TWO, SegmentHeader, chain_two, first_of, name_of, start};

/// The state of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogReport {
    /// Whether nothing is damaged or missing.
    pub intact: bool,
    /// The first offset that is kept.
    pub first: u64,
    /// The offset after the last record.
    pub next: u64,
    /// Records that can be read, erased ones included.
    pub records: u64,
    /// Its segments, in order.
    pub segments: Vec<SegmentReport>,
    /// Everything that is damaged or missing.
    pub damages: Vec<Damage>,
}

/// The state of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SegmentReport {
    /// Its file.
    pub file: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// Ranges of offsets that can be read: the first one, and the one after the last.
    pub intact: Vec<(u64, u64)>,
    /// Bytes at the end that were never acknowledged; the next start cuts them off.
    pub unfinished_bytes: u64,
}

/// A place that is damaged, or a file that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// The byte at which the damage begins.
    pub byte: u64,
    /// What is wrong.
    pub problem: String,
    /// Range of offsets that cannot be read: the first one, and the one after the last; empty if none is lost, or
    /// if it is not known which.
    pub lost: Option<(u64, u64)>,
}

/// Checks every byte of a log, and lists what can be read.
///
/// # Errors
/// A file cannot be read for another reason than damage.
pub fn verify(disk: &dyn Disk) -> io::Result<LogReport> {
    let names = disk.names()?;
    let files: BTreeSet<u64> = names.iter().filter_map(|name| first_of(name)).collect();
    let mut check = Check { disk, report: LogReport::default() };
    let manifest = match names.iter().any(|name| name == MANIFEST) {
        true => Manifest::decode(&check.read(MANIFEST)?).or_else(|| {
            check.damage(MANIFEST, 0, "its checksum is wrong", None);
            None
        }),
        false => {
            if check.has_version_three(&files)? {
                check.damage(MANIFEST, 0, "the file is missing", None);
            }
            None
        }
    };
    match manifest {
        Some(manifest) => check.listed(&manifest, &files)?,
        None => check.unlisted(&files)?,
    }
    let mut report = check.report;
    report.intact = report.damages.is_empty();
    let ranges = || report.segments.iter().flat_map(|segment| &segment.intact);
    report.records = ranges().map(|(first, end)| end - first).sum();
    Ok(report)
}

struct Check<'a> {
    disk: &'a dyn Disk,
    report: LogReport,
}

impl Check<'_> {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.disk.open(name)?;
        let mut bytes = vec![0; usize::try_from(file.length()?).unwrap_or(usize::MAX)];
        let n = file.read_at(0, &mut bytes)?;
        bytes.truncate(n);
        Ok(bytes)
    }

    fn damage(&mut self, file: &str, byte: u64, problem: &str, lost: Option<(u64, u64)>) {
        let (file, problem) = (file.to_owned(), problem.to_owned());
        self.report.damages.push(Damage { file, byte, problem, lost });
    }

    fn has_version_three(&self, files: &BTreeSet<u64>) -> io::Result<bool> {
        for first in files {
            let bytes = self.read(&name_of(*first))?;
            if SegmentHeader::decode(&bytes).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Checks the segments that the manifest lists, and that no other has records.
    fn listed(&mut self, manifest: &Manifest, files: &BTreeSet<u64>) -> io::Result<()> {
        let entries = &manifest.entries;
        self.report.first = entries.first().map_or(0, |entry| entry.first);
        for (n, entry) in entries.iter().enumerate() {
            let name = name_of(entry.first);
            if !files.contains(&entry.first) {
                let lost = Some((entry.first, entry.end));
                self.damage(&name, 0, "the file is missing", lost);
                continue;
            }
            let bytes = self.read(&name)?;
            let header = SegmentHeader::decode(&bytes);
            let pending = manifest.pending.filter(|new| {
                new.first == entry.first && header.is_some_and(|h| h.rewrites == new.rewrites)
            });
            let entry = pending.as_ref().unwrap_or(entry);
            let before = n.checked_sub(1).map(|before| &entries[before]);
            self.header(&name, &bytes, header, entry, before);
            let version = version_of(&bytes, entry);
            let chain = match (header, version) {
                (Some(header), Version::Three) => Some(header.chain()),
                (None, Version::Two) => Some(chain_two(entry.first)),
                _ => None,
            };
            self.frames(&name, &bytes, version, entry.first, Some(entry), chain);
        }
        let listed: BTreeSet<u64> = entries.iter().map(|entry| entry.first).collect();
        let kept_from = self.report.first;
        for first in files.difference(&listed).filter(|first| **first >= kept_from) {
            let name = name_of(*first);
            let bytes = self.read(&name)?;
            if find_frame(&bytes, Version::Three, 0, *first, u64::MAX).is_some() {
                self.damage(&name, 0, "it has records, but the manifest does not list it", None);
            }
        }
        Ok(())
    }

    fn header(
        &mut self,
        name: &str,
        bytes: &[u8],
        header: Option<SegmentHeader>,
        entry: &Entry,
        before: Option<&Entry>,
    ) {
        let problem = match header {
            None if bytes.starts_with(MAGIC_TWO) && entry.rewrites == 0 && entry.is_closed => None,
            None => Some("the header of the segment is damaged"),
            Some(header) if header.first != entry.first || header.rewrites != entry.rewrites => {
                Some("it is another segment than the manifest lists")
            }
            Some(header) => before
                .is_some_and(|before| header.previous != Some((before.first, before.link)))
                .then_some("it does not continue the segment before it"),
        };
        if let Some(problem) = problem {
            self.damage(name, 0, problem, None);
        } else if before.is_some_and(|before| before.end != entry.first) {
            self.damage(MANIFEST, 0, "its segments have a gap", None);
        }
    }

    /// Checks what can be read without a manifest: segments follow each other.
    fn unlisted(&mut self, files: &BTreeSet<u64>) -> io::Result<()> {
        self.report.first = files.first().copied().unwrap_or_default();
        let ends = files.iter().skip(1).map(|first| Some(*first)).chain([None]);
        for (first, end) in files.iter().zip(ends) {
            let name = name_of(*first);
            let bytes = self.read(&name)?;
            let header = SegmentHeader::decode(&bytes);
            let is_two = bytes.starts_with(MAGIC_TWO);
            if header.is_none() && !is_two && !(bytes.len() <= MAGIC_TWO.len() && end.is_none()) {
                self.damage(&name, 0, "the header of the segment is damaged", None);
            }
            let version = if is_two { Version::Two } else { Version::Three };
            let entry = end.map(|end| Entry {
                first: *first,
                end,
                length: 0,
                hash: 0,
                link: 0,
                rewrites: 0,
                is_closed: true,
            });
            self.frames(&name, &bytes, version, *first, entry.as_ref(), None);
        }
        Ok(())
    }

    /// Checks the frames of a segment. `chain` is the chain hash before them, where it can be checked.
    fn frames(
        &mut self,
        name: &str,
        bytes: &[u8],
        version: Version,
        first: u64,
        entry: Option<&Entry>,
        mut chain: Option<u64>,
    ) {
        let is_closed = entry.is_some_and(|entry| entry.is_closed);
        // Where records must be whole: of the last segment, as far as the manifest knows.
        let must = entry.map_or(first, |entry| entry.end);
        let mut segment = SegmentReport {
            file: name.to_owned(),
            bytes: bytes.len() as u64,
            ..Default::default()
        };
        let mut at = usize::try_from(start(version)).unwrap_or(usize::MAX);
        let (mut offset, mut begin) = (first, first);
        let mut is_true =
            chain.is_none() || entry.is_none_or(|e| chain == Some(e.hash) && e.end == first);
        while !(is_closed && offset >= must) {
            if let Some(header) = frame_at(bytes, version, at).filter(|h| h.first == offset) {
                chain = chain.map(|chain| header.chain(chain));
                offset = header.end();
                at += usize::try_from(header.frame_bytes()).unwrap_or(usize::MAX);
                is_true |= entry.is_some_and(|e| {
                    chain == Some(e.hash) && e.end == offset && e.length == at as u64
                });
                continue;
            }
            let most = if is_closed { must.saturating_sub(1) } else { u64::MAX };
            let next = find_frame(bytes, version, at.saturating_add(1), offset + 1, most);
            if next.is_none() && offset >= must {
                break;
            }
            let lost = (offset, next.as_ref().map_or(must, |(_, header)| header.first));
            self.damage(name, at as u64, "a frame cannot be read", Some(lost));
            push(&mut segment.intact, begin, offset);
            (offset, begin) = (lost.1, lost.1);
            // After a gap the chain cannot be checked, and the gap is reported.
            (chain, is_true) = (None, true);
            match next {
                Some((found, _)) => at = found,
                None => break,
            }
        }
        push(&mut segment.intact, begin, offset);
        if !is_true {
            self.damage(name, at as u64, "its records are not those that the manifest lists", None);
        }
        if !is_closed {
            let rest = bytes.get(at..).unwrap_or_default();
            let unfinished = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            segment.unfinished_bytes = unfinished as u64;
        }
        self.report.next = self.report.next.max(offset);
        self.report.segments.push(segment);
    }
}

fn push(ranges: &mut Vec<(u64, u64)>, first: u64, end: u64) {
    if end > first {
        ranges.push((first, end));
    }
}

fn version_of(bytes: &[u8], entry: &Entry) -> Version {
    match bytes.starts_with(MAGIC_TWO) && entry.rewrites == 0 && entry.is_closed {
        true => Version::Two,
        false => Version::Three,
    }
}

/// The header of a whole frame at an index of bytes.
fn frame_at(bytes: &[u8], version: Version, at: usize) -> Option<Header> {
    let header = Header::read(version, bytes.get(at..bytes.len().min(at.checked_add(HEADER)?))?)?;
    let start = at + version.header_bytes();
    let records = bytes.get(start..start.checked_add(header.length)?)?;
    header.is_true_of(records).then_some(header)
}
