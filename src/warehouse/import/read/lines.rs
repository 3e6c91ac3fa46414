use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::LONGEST_LINE;
use crate::import::source::Source;
use crate::{Error, Result};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// The lines of a text file, unpacked. Several lines can be looked at before they are taken.
pub(super) struct Lines {
    reader: Box<dyn Read>,
    /// What was read and not yet taken is `buffer[start..]`.
    buffer: Vec<u8>,
    start: usize,
    is_at_end: bool,
    /// The byte that ends a line.
    line_end: u8,
    /// The number of the line at `start`, from 1.
    pub(super) number: u64,
    /// Bytes of the file that were read, packed as they are.
    read: Arc<AtomicU64>,
    size: u64,
}

/// Where a line ends, by the bytes after the first one that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// After this many bytes, the line's end included.
    At(usize),
    /// Not within the longest line that there can be.
    TooFar,
}

impl Lines {
    /// Opens a file of a source by its place, after the lines that are skipped.
    pub(super) fn open(source: &Source, place: usize) -> Result<Self> {
        let (file, layout) = source.file(place);
        let opened = File::open(file).map_err(Error::io("read", file))?;
        let size = opened.metadata().map_or(0, |metadata| metadata.len());
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted { inner: opened, read: read.clone() };
        let reader: Box<dyn Read> = match source.gzip {
            true => Box::new(flate2::read::MultiGzDecoder::new(counted)),
            false => Box::new(counted),
        };
        let mut lines = Self {
            reader,
            buffer: Vec::new(),
            start: 0,
            is_at_end: false,
            line_end: layout.line_end,
            number: 1,
            read,
            size,
        };
        lines.fill(file)?;
        // A mark of the byte order is no text.
        if lines.buffer.starts_with("\u{feff}".as_bytes()) {
            lines.start = 3;
        }
        for _ in 0..layout.skipped {
            lines.skip_line(file)?;
        }
        Ok(lines)
    }

    /// How much of the file was read, between 0 and 1.
    #[allow(clippy::cast_precision_loss, reason = "progress for people")]
    pub(super) fn share(&self) -> f32 {
        self.read.load(Ordering::Relaxed) as f32 / self.size.max(1) as f32
    }

    /// How the line that ends before a place ended.
    pub(super) fn end_before(&self, end: usize) -> &'static [u8] {
        match (self.line_end, self.bytes(end)) {
            (b'\n', line) if line.ends_with(b"\r\n") => b"\r\n",
            (b'\n', _) => b"\n",
            _ => b"\r",
        }
    }

    /// The bytes that are not taken, up to a place.
    pub(super) fn bytes(&self, end: usize) -> &[u8] {
        &self.buffer[self.start..self.start + end]
    }

    /// The end of the line that begins after `from` bytes that are not taken; none at the file's end.
    pub(super) fn end_of_line(&mut self, from: usize, file: &Path) -> Result<Option<End>> {
        let mut searched = from;
        loop {
            let rest = &self.buffer[self.start + searched..];
            if let Some(place) = memchr::memchr(self.line_end, rest) {
                return Ok(Some(End::At(searched + place + 1)));
            }
            searched += rest.len();
            if searched > LONGEST_LINE {
                return Ok(Some(End::TooFar));
            }
            if self.is_at_end {
                return Ok((searched > from).then_some(End::At(searched)));
            }
            self.fill(file)?;
        }
    }

    /// Takes so many bytes, which are so many lines.
    pub(super) fn take(&mut self, bytes: usize, lines: u64) {
        self.start += bytes;
        self.number += lines;
    }

    /// Takes what is left of a line that is too long.
    pub(super) fn skip_line(&mut self, file: &Path) -> Result<()> {
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(place) = memchr::memchr(self.line_end, rest) {
                self.take(place + 1, 1);
                return Ok(());
            }
            self.start = self.buffer.len();
            if self.is_at_end {
                return Ok(());
            }
            self.fill(file)?;
        }
    }

    /// Reads on; what was taken gives its place.
    fn fill(&mut self, file: &Path) -> Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let before = self.buffer.len();
        let mut chunk = self.reader.by_ref().take(CHUNK as u64);
        let n = chunk.read_to_end(&mut self.buffer).map_err(Error::io("read", file))?;
        self.is_at_end = n == 0 || self.buffer.len() == before;
        Ok(())
    }
}

/// Counts what is read.
struct Counted {
    inner: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(out)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
