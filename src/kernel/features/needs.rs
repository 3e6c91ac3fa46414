use super::Aggregation;

/// What the features over a series need to know of it beside its values.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    pub(super) sums: bool,
    pub(super) squares: bool,
    pub(super) moments: bool,
    pub(super) extremes: bool,
    pub(super) distinct: bool,
    pub(super) days: bool,
    pub(super) gaps: bool,
    /// Gaps that start a session, in microseconds.
    pub(super) sessions: Vec<i64>,
    /// Half-lives, in microseconds.
    pub(super) decays: Vec<i64>,
    /// Events after the first one.
    pub(super) more: bool,
}

impl Needs {
    /// Adds what an aggregation over windows of a length, or over all time, needs.
    pub(super) fn add(&mut self, aggregation: Aggregation, window: Option<i64>) {
        fn once(list: &mut Vec<i64>, micros: i64) {
            if !list.contains(&micros) {
                list.push(micros);
            }
        }
        let of_first = matches!(aggregation, Aggregation::First | Aggregation::DaysSinceFirst);
        self.more |= !of_first || window.is_some();
        match aggregation {
            Aggregation::Sum | Aggregation::Mean => self.sums = true,
            Aggregation::Variance | Aggregation::Stddev => {
                self.sums = true;
                self.squares = true;
            }
            Aggregation::Trend => {
                self.sums = true;
                self.moments = true;
            }
            Aggregation::Min | Aggregation::Max => self.extremes = true,
            Aggregation::Distinct => self.distinct = true,
            Aggregation::ActiveDays => self.days = true,
            Aggregation::StddevGapDays => self.gaps = true,
            Aggregation::Sessions(gap) => once(&mut self.sessions, gap.micros()),
            Aggregation::DecayedCount(half_life) | Aggregation::DecayedSum(half_life) => {
                once(&mut self.decays, half_life.micros());
            }
            _ => {}
        }
    }

    /// Makes it that of windows that begin anywhere.
    pub(super) const fn add_later_windows(&mut self) {
        self.more = true;
    }

    /// The place of the session counts for a gap.
    pub(super) fn session(&self, gap: i64) -> usize {
        self.sessions.iter().position(|known| *known == gap).unwrap_or(0)
    }

    /// The place of the decayed sums for a half-life.
    pub(super) fn decay(&self, half_life: i64) -> usize {
        self.decays.iter().position(|known| *known == half_life).unwrap_or(0)
    }
}
