use kernel::domain::Time;

use crate::{Error, Result, SplitBy, SplitDefinition, TrainingSet};

/// The rows of each part of a training set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) train: Vec<usize>,
    pub(crate) test: Vec<usize>,
}

/// Splits rows as a definition says.
pub(crate) fn split(
    definition: SplitDefinition,
    seed: u64,
    set: &TrainingSet,
    rows: &[usize],
    horizon: i64,
) -> Result<Split> {
    let (customers, times) = (&set.customers, &set.times);
    let split = match definition.by {
        SplitBy::Time => by_time(times, rows, definition.test, horizon),
        SplitBy::Customer => {
            by_hash(rows, definition.test, |row| format!("{seed}/{}", customers[row]))
        }
        SplitBy::Random => by_hash(rows, definition.test, |row| {
            format!("{seed}/{}/{}", customers[row], times[row].0)
        }),
    };
    if split.train.is_empty() || split.test.is_empty() {
        return Err(Error::Data(format!(
            "the split leaves {} rows to train and {} to test; use more as-of times, a shorter \
             horizon, or split by customer",
            split.train.len(),
            split.test.len()
        )));
    }
    Ok(split)
}

/// The latest rows test, as few as-of times as give the share; rows whose label looks past the first of
/// those are in neither part.
fn by_time(times: &[Time], rows: &[usize], share: f64, horizon: i64) -> Split {
    let mut sorted: Vec<Time> = rows.iter().map(|row| times[*row]).collect();
    sorted.sort_unstable();
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of rows"
    )]
    let n_test = (sorted.len() as f64 * share).ceil() as usize;
    let Some(cut) = sorted.get(sorted.len().saturating_sub(n_test.max(1))).copied() else {
        return Split { train: Vec::new(), test: Vec::new() };
    };
    let part = |keep: &dyn Fn(Time) -> bool| {
        rows.iter().copied().filter(|row| keep(times[*row])).collect::<Vec<_>>()
    };
    Split { train: part(&|time| time.plus(horizon) <= cut), test: part(&|time| time >= cut) }
}

/// Rows test whose key hashes below the share.
fn by_hash(rows: &[usize], share: f64, key: impl Fn(usize) -> String) -> Split {
    let is_test = |row: &usize| hashed_share(&key(*row)) < share;
    let (test, train) = rows.iter().copied().partition(is_test);
    Split { train, test }
}

/// A text as a number from 0 to below 1, the same everywhere and always.
fn hashed_share(key: &str) -> f64 {
    let hash = blake3::hash(key.as_bytes());
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&hash.as_bytes()[..4]);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

/// A customer as a number from 0 to below 1, another one for each salt.
pub(crate) fn customer_share(customer: &str, salt: u64) -> f64 {
    hashed_share(&format!("{salt}/{customer}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::domain::MICROS_PER_DAY;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_training_label_looks_into_the_test_part(
            days in proptest::collection::vec(0..100_i64, 1..80),
            horizon in 1..40_u16,
            share in 0.05..0.9_f64,
        ) {
            let rows: Vec<Time> = days.iter().map(|d| Time(d * MICROS_PER_DAY)).collect();
            let horizon = i64::from(horizon) * MICROS_PER_DAY;
            let all: Vec<usize> = (0..rows.len()).collect();
            let split = by_time(&rows, &all, share, horizon);
            let first_test = split.test.iter().map(|row| rows[*row]).min().unwrap();
            for row in &split.train {
                prop_assert!(rows[*row].plus(horizon) <= first_test);
            }
            prop_assert!(split.test.len() as f64 >= share * rows.len() as f64);
        }
    }
}
