use super::{Aggregation, Column};
use crate::domain::{MICROS_PER_DAY, Time, Value};

/// The selected events of one window of one customer, in order, with the property's column.
pub(super) struct Selected<'a, I> {
    /// Rows of the timelines, ascending.
    pub(super) rows: I,
    /// The event times by row.
    pub(super) times: &'a [i64],
    /// The property, if the aggregation reads one.
    pub(super) column: Option<&'a Column>,
    /// The as-of time.
    pub(super) as_of: Time,
}

#[allow(clippy::cast_precision_loss, reason = "a day count needs no more than 53 bits")]
fn days(micros: i64) -> f64 {
    micros as f64 / MICROS_PER_DAY as f64
}

#[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 events")]
fn count(n: usize) -> Value {
    Value::Number(n as f64)
}

impl<I: Iterator<Item = usize>> Selected<'_, I> {
    /// The value of an aggregation.
    pub(super) fn aggregate(mut self, aggregation: Aggregation) -> Value {
        let as_of = self.as_of;
        match aggregation {
            Aggregation::Count => count(match self.column {
                None => self.rows.count(),
                Some(column) => self.rows.filter(|row| !column.is_null(*row)).count(),
            }),
            Aggregation::Sum => Value::Number(self.numbers().fold(0.0, |sum, (_, x)| sum + x)),
            Aggregation::Mean => {
                let (n, sum) =
                    self.numbers().fold((0.0, 0.0), |(n, sum), (_, x)| (n + 1.0, sum + x));
                if n > 0.0 { Value::Number(sum / n) } else { Value::Null }
            }
            Aggregation::Min => self.extreme(std::cmp::Ordering::Less),
            Aggregation::Max => self.extreme(std::cmp::Ordering::Greater),
            Aggregation::Variance => variance(self.numbers().map(|(_, x)| x)),
            Aggregation::Stddev => square_root(variance(self.numbers().map(|(_, x)| x))),
            Aggregation::Quantile(p) => quantile(self.numbers().map(|(_, x)| x).collect(), p),
            Aggregation::First => self.values().next().map_or(Value::Null, |(_, value)| value),
            Aggregation::Last => self.values().last().map_or(Value::Null, |(_, value)| value),
            Aggregation::Distinct => self.distinct(),
            Aggregation::Mode => self.mode(),
            Aggregation::DaysSinceFirst => self
                .rows
                .next()
                .map_or(Value::Null, |row| Value::Number(days(as_of.0 - self.times[row]))),
            Aggregation::DaysSinceLast => self
                .rows
                .last()
                .map_or(Value::Null, |row| Value::Number(days(as_of.0 - self.times[row]))),
            Aggregation::ActiveDays => self.active_days(),
            Aggregation::MeanGapDays => mean(&self.gaps()),
            Aggregation::StddevGapDays => square_root(variance(self.gaps().into_iter())),
            Aggregation::Sessions(gap) => self.sessions(gap.micros()),
            Aggregation::Trend => self.trend(),
            Aggregation::DecayedCount(half_life) => {
                let (times, span) = (self.times, half_life.micros());
                let weight = |row: usize| decay(as_of.0 - times[row], span);
                Value::Number(self.rows.fold(0.0, |sum, row| sum + weight(row)))
            }
            Aggregation::DecayedSum(half_life) => {
                let (times, span) = (self.times, half_life.micros());
                let weight = |row: usize| decay(as_of.0 - times[row], span);
                Value::Number(self.numbers().fold(0.0, |sum, (row, x)| sum + x * weight(row)))
            }
        }
    }

    /// The rows with a number, and the number.
    fn numbers(self) -> impl Iterator<Item = (usize, f64)> {
        let numbers: &[f64] = match self.column {
            Some(Column::Number(numbers)) => numbers,
            _ => &[],
        };
        self.rows.filter_map(|row| numbers.get(row).map(|x| (row, *x))).filter(|(_, x)| !x.is_nan())
    }

    /// The rows with a value, and the value.
    fn values(self) -> impl DoubleEndedIterator<Item = (usize, Value)> {
        let column = self.column;
        // Collected rows are indexes only; the values are made one by one.
        let rows: Vec<usize> = self.rows.collect();
        rows.into_iter()
            .map(move |row| (row, column.map_or(Value::Null, |column| column.value(row))))
            .filter(|(_, value)| !value.is_null())
    }

    fn extreme(self, wanted: std::cmp::Ordering) -> Value {
        let column = self.column;
        self.values().fold(Value::Null, |best, (_, value)| {
            let better = column.is_some() && (best.is_null() || order(&value, &best) == wanted);
            if better { value } else { best }
        })
    }

    fn distinct(self) -> Value {
        let Some(column) = self.column else { return count(0) };
        let mut keys: Vec<u64> =
            self.rows.filter(|row| !column.is_null(*row)).map(|row| column.key(row)).collect();
        keys.sort_unstable();
        keys.dedup();
        count(keys.len())
    }

    fn mode(self) -> Value {
        let Some(column) = self.column else { return Value::Null };
        let mut rows: Vec<(u64, usize)> = self
            .rows
            .filter(|row| !column.is_null(*row))
            .map(|row| (column.key(row), row))
            .collect();
        rows.sort_unstable();
        rows.chunk_by(|left, right| left.0 == right.0)
            .map(|same| (same.len(), column.value(same[0].1)))
            .reduce(|best, next| {
                let more = next.0.cmp(&best.0).then_with(|| order(&best.1, &next.1));
                if more.is_gt() { next } else { best }
            })
            .map_or(Value::Null, |(_, value)| value)
    }

    fn active_days(self) -> Value {
        let mut n = 0;
        let mut last_day = None;
        // Rows are in time order, so equal days are neighbors.
        for row in self.rows {
            let day = self.times[row].div_euclid(MICROS_PER_DAY);
            if last_day != Some(day) {
                last_day = Some(day);
                n += 1;
            }
        }
        count(n)
    }

    fn gaps(self) -> Vec<f64> {
        let times: Vec<i64> = self.rows.map(|row| self.times[row]).collect();
        times.windows(2).map(|pair| days(pair[1] - pair[0])).collect()
    }

    fn sessions(self, gap: i64) -> Value {
        let mut n = 0;
        let mut last: Option<i64> = None;
        for row in self.rows {
            let time = self.times[row];
            if last.is_none_or(|last| time - last >= gap) {
                n += 1;
            }
            last = Some(time);
        }
        count(n)
    }

    /// Slope of `x` over days, computed around the means so that large epochs cancel exactly.
    fn trend(self) -> Value {
        let (times, as_of) = (self.times, self.as_of);
        let points: Vec<(f64, f64)> =
            self.numbers().map(|(row, x)| (days(times[row] - as_of.0), x)).collect();
        #[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 events")]
        let n = points.len() as f64;
        let (sum_t, sum_x) = points.iter().fold((0.0, 0.0), |(t, x), p| (t + p.0, x + p.1));
        let (mean_t, mean_x) = (sum_t / n, sum_x / n);
        let (covariance, spread) = points.iter().fold((0.0, 0.0), |(c, s), (t, x)| {
            (c + (t - mean_t) * (x - mean_x), s + (t - mean_t) * (t - mean_t))
        });
        let distinct = points.iter().any(|(t, _)| *t != points[0].0);
        if distinct && spread > 0.0 { Value::Number(covariance / spread) } else { Value::Null }
    }
}

/// Order of two values of one type.
fn order(left: &Value, right: &Value) -> std::cmp::Ordering {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => (left + 0.0).total_cmp(&(right + 0.0)),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
        (Value::Time(left), Value::Time(right)) => left.cmp(right),
        _ => std::cmp::Ordering::Equal,
    }
}

#[allow(clippy::cast_precision_loss, reason = "a span has less than 53 bits")]
fn decay(age: i64, half_life: i64) -> f64 {
    (-(age as f64) / half_life as f64).exp2()
}

fn mean(numbers: &[f64]) -> Value {
    if numbers.is_empty() {
        return Value::Null;
    }
    #[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 events")]
    let n = numbers.len() as f64;
    Value::Number(numbers.iter().sum::<f64>() / n)
}

/// Sample variance by Welford's update, which does not cancel.
fn variance(numbers: impl Iterator<Item = f64>) -> Value {
    let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for x in numbers {
        n += 1.0;
        let delta = x - mean;
        mean += delta / n;
        squares += delta * (x - mean);
    }
    if n < 2.0 { Value::Null } else { Value::Number(squares / (n - 1.0)) }
}

fn square_root(variance: Value) -> Value {
    variance.as_number().map_or(Value::Null, |variance| Value::Number(variance.sqrt()))
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the position is between 0 and the number of values"
)]
fn quantile(mut numbers: Vec<f64>, p: f64) -> Value {
    if numbers.is_empty() {
        return Value::Null;
    }
    numbers.sort_unstable_by(f64::total_cmp);
    let position = (numbers.len() - 1) as f64 * p;
    let (below, above) = (position.floor(), position.ceil());
    let (low, high) = (numbers[below as usize], numbers[above as usize]);
    Value::Number(low + (high - low) * (position - below))
}
