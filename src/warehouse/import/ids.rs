use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::io::Write as _;

use duckdb::arrow::array::ArrayRef;
use kernel::domain::Cell;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::check::Heads;
use super::facts::RawValues;
pub(super) use crate::message_id::MessageId;

/// Gives each row the id that counts it once: its own, or one made of what it says.
///
/// A made id is the 128-bit XXH3 of who, when, what and all properties by name, as they are written; the
/// second and later rows of the same file that say the same have their number hashed in. So the same file
/// gives the same ids again, in any order of its columns and also as a copy beside it, and two equal rows of one
/// file stay two events.
pub(super) struct Ids {
    /// The hash of a property's name and its column, in the order of the hashes.
    properties: Vec<(u64, usize)>,
    /// Half of each hash of a row so far, by the day of the row: a repeated half only has its row counted
    /// on its own. Rows that say the same are of one day, and files are mostly in the order of time: what is
    /// looked up then is near.
    seen: HashMap<i64, Halves, BuildHasherDefault<Hashed>>,
    /// How often a row was there, for those that were there before.
    repeated: HashMap<u128, u32>,
    /// The file that is read, and how often each of its rows was in it, if it is not the first.
    file: usize,
    here: HashMap<u128, u32>,
    /// The ids of the files that were there, and what their rows said.
    given: HashMap<u128, u64>,
    /// Rows whose own id was there in a row that said something else.
    pub(super) repeats: u64,
    /// What a row says, as bytes.
    said: Vec<u8>,
}

impl Ids {
    pub(super) fn new(properties: impl Iterator<Item = (String, usize)>) -> Self {
        let hashed = properties.map(|(name, place)| (xxh3_64(name.as_bytes()), place));
        let mut properties: Vec<(u64, usize)> = hashed.collect();
        properties.sort_unstable();
        Self {
            properties,
            seen: HashMap::default(),
            repeated: HashMap::new(),
            file: 0,
            here: HashMap::new(),
            given: HashMap::new(),
            repeats: 0,
            said: Vec::new(),
        }
    }

    /// Takes a property too, which no row had before.
    pub(super) fn add(&mut self, name: &str, place: usize) {
        let property = (xxh3_64(name.as_bytes()), place);
        let after = self.properties.partition_point(|known| *known < property);
        self.properties.insert(after, property);
    }

    /// The ids of the rows that are kept; those whose own id was there before are kept no longer.
    pub(super) fn of_rows(
        &mut self,
        columns: &[ArrayRef],
        heads: &Heads<'_>,
        times: &[i64],
        keep: &mut [bool],
    ) -> Vec<MessageId> {
        let says_something = |(_, place): &&(u64, usize)| {
            let values = &columns[*place];
            values.null_count() < values.len()
        };
        let properties = self.properties.iter().filter(says_something);
        let properties: Vec<(u64, RawValues<'_>)> =
            properties.map(|(name, place)| (*name, RawValues::of(&columns[*place]))).collect();
        // What is said is hashed first and looked up then, so that many look-ups run at once.
        let mut hashes = Vec::with_capacity(keep.len());
        for (row, keep) in keep.iter_mut().enumerate().filter(|(_, keep)| **keep) {
            match heads.message_id(row) {
                Some(given) => {
                    let customer = xxh3_64(heads.customers.value(row).as_bytes());
                    let event = xxh3_64(heads.events.value(row).as_bytes());
                    let said = customer ^ event.rotate_left(1) ^ times[row].cast_unsigned();
                    let known = self.given.insert(xxh3_128(given.as_bytes()), said);
                    self.repeats += u64::from(known.is_some_and(|known| known != said));
                    *keep = known.is_none();
                    if *keep {
                        hashes.push(Err(MessageId::of(&given)));
                    }
                }
                None => {
                    self.say(row, heads, times, &properties);
                    hashes.push(Ok((times[row].div_euclid(DAY), xxh3_128(&self.said))));
                }
            }
        }
        // A row that an earlier file has as often is there already.
        let kept: Vec<usize> = (0..keep.len()).filter(|row| keep[*row]).collect();
        let mut ids = Vec::with_capacity(kept.len());
        for (row, hash) in kept.into_iter().zip(hashes) {
            match hash {
                Err(given) => ids.push(given),
                Ok((day, hash)) => match self.numbered(day, hash) {
                    Some(id) => ids.push(MessageId::Uuid(id)),
                    None => keep[row] = false,
                },
            }
        }
        ids
    }

    /// Writes what a row says: each part with its length, so that no two rows are written alike.
    fn say(
        &mut self,
        row: usize,
        heads: &Heads<'_>,
        times: &[i64],
        properties: &[(u64, RawValues<'_>)],
    ) {
        let said = &mut self.said;
        said.clear();
        said.extend_from_slice(&times[row].to_le_bytes());
        for head in [heads.customers.value(row), heads.events.value(row)] {
            said.extend_from_slice(&head.len().to_le_bytes());
            said.extend_from_slice(head.as_bytes());
        }
        for (name, values) in properties {
            let start = said.len();
            match (values, values.cell(row)) {
                (_, Cell::Null) => continue,
                (_, Cell::Text(text)) => said.extend_from_slice(text.as_bytes()),
                // A number as a text file has it, so that both files give the same id.
                (RawValues::Other(_), Cell::Number(number)) => write_number(number, said),
                _ => said.extend_from_slice(values.text(row).unwrap_or_default().as_bytes()),
            }
            let length = said.len() - start;
            said.extend_from_slice(&name.to_le_bytes());
            said.extend_from_slice(&length.to_le_bytes());
        }
    }

    /// Begins a file, unless it is the one that is read.
    pub(super) fn begin_file(&mut self, file: usize) {
        if self.file != file {
            self.file = file;
            self.here.clear();
        }
    }

    /// A row's hash, with its number in its file hashed in if it was there before; none if an earlier file has it
    /// as often.
    #[allow(clippy::cast_possible_truncation, reason = "half of the hash")]
    fn numbered(&mut self, day: i64, hash: u128) -> Option<u128> {
        let is_new = self.seen.entry(day).or_default().insert(hash as u64);
        let known = if is_new { 0 } else { self.repeated.get(&hash).copied().unwrap_or(1) };
        let n = match self.file {
            0 => known + 1,
            _ => {
                let here = self.here.entry(hash).or_default();
                *here += 1;
                *here
            }
        };
        if n <= known {
            return None;
        }
        if n == 1 {
            return Some(hash);
        }
        self.repeated.insert(hash, n);
        let mut bytes = [0; 20];
        bytes[..16].copy_from_slice(&hash.to_le_bytes());
        bytes[16..].copy_from_slice(&n.to_le_bytes());
        Some(xxh3_128(&bytes))
    }
}

/// The microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Halves of hashes.
type Halves = HashSet<u64, BuildHasherDefault<Hashed>>;

/// Writes a number as `Display` does, which takes longer for what may have a fraction.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "it is seen to be whole"
)]
fn write_number(number: f64, said: &mut Vec<u8>) {
    let whole = number as i64;
    let is_whole = whole as f64 == number && whole.unsigned_abs() < 1 << 53;
    let written = match is_whole && (whole != 0 || number.is_sign_positive()) {
        true => write!(said, "{whole}"),
        false => write!(said, "{number}"),
    };
    // Memory takes all that is written.
    drop(written);
}

/// Hashes what is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
