use kernel::domain::{MICROS_PER_DAY, Time, Type};

use super::look::Look;
use super::{Options, RowKind, roles};
use crate::{Error, Result};

/// A column that has a role, and why.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) place: usize,
    pub(super) reason: String,
    /// Other columns that could have it.
    pub(super) alternatives: Vec<String>,
    /// Whether later values may show that it has not.
    pub(super) is_doubtful: bool,
}

/// Finds the columns of roles: what a person said, then what names and values show. Never the first column
/// because it is the first one.
pub(super) struct Finder<'a> {
    pub(super) names: &'a [&'a str],
    pub(super) look: &'a Look,
    pub(super) options: &'a Options,
    /// A column that is known to be no id of rows.
    pub(super) counter: Option<&'a str>,
    /// Whether the names are those of the file, and not made.
    pub(super) has_header: bool,
}

/// The calls of the Segment API.
const CALLS: [&str; 6] = ["track", "page", "screen", "identify", "group", "alias"];
/// Columns that an error names.
const MOST_CANDIDATES: usize = 6;
const SAID: &str = "chosen";
const NAMED: &str = "by its name";

impl Choice {
    fn new(place: usize, reason: impl Into<String>) -> Self {
        Self { place, reason: reason.into(), alternatives: Vec::new(), is_doubtful: false }
    }
}

impl Finder<'_> {
    fn place_of(&self, column: &Option<String>) -> Option<usize> {
        self.names.iter().position(|name| Some(*name) == column.as_deref())
    }

    fn said(&self, column: &Option<String>) -> Option<Choice> {
        self.place_of(column).map(|place| Choice::new(place, SAID))
    }

    fn is_used(&self, place: usize) -> bool {
        !self.options.left_out.iter().any(|left_out| left_out == self.names[place])
    }

    /// The columns with one of some names, in the order of the names; those inside of `properties` are last.
    fn named(&self, list: &[&str]) -> Vec<usize> {
        let plain: Vec<String> = self.names.iter().map(|name| roles::plain(name)).collect();
        let nested: Vec<Option<String>> =
            self.names.iter().map(|name| roles::nested(name)).collect();
        let places = |is: &dyn Fn(usize, &str) -> bool| -> Vec<usize> {
            let of = |wanted: &&str| (0..self.names.len()).find(|place| is(*place, wanted));
            list.iter().filter_map(of).collect()
        };
        let mut found = places(&|place, wanted| plain[place] == wanted);
        found.extend(places(&|place, wanted| nested[place].as_deref() == Some(wanted)));
        found.retain(|place| self.is_used(*place));
        found
    }

    fn is_empty(&self, place: usize) -> bool {
        self.look.facts[place].is_empty()
    }

    /// The column with the type of call, if the file is an archive of calls of the Segment API.
    pub(super) fn call(&self) -> Option<usize> {
        let is_there = |names: &[&str]| names.iter().any(|name| self.names.contains(name));
        let place = self.names.iter().position(|name| *name == "type")?;
        let is_archive = is_there(&["messageId"]) && is_there(&["userId", "anonymousId"]);
        let mut calls = self.look.values(place).peekable();
        let are_calls = calls.peek().is_some() && calls.all(|call| CALLS.contains(&call));
        let is_free = self.options.event.is_none()
            && self.options.event_name.is_none()
            && self.is_used(place);
        (is_archive && are_calls && is_free).then_some(place)
    }

    /// The column that says who.
    pub(super) fn customer(&self, title: &str) -> Result<Choice> {
        if let Some(said) = self.said(&self.options.customer) {
            return Ok(said);
        }
        let mut named = self.named(&roles::CUSTOMER);
        let is_like = |place: &usize| {
            roles::is_like_a_customer(&roles::plain(self.names[*place])) && self.is_used(*place)
        };
        named.extend((0..self.names.len()).filter(is_like));
        let anonymous = self.place_of(&self.options.anonymous);
        named.retain(|place| Some(*place) != anonymous);
        let has_values = |place: &&usize| !self.is_empty(**place);
        if let Some(place) = named.iter().find(has_values).or(named.first()) {
            let mut choice = Choice::new(*place, NAMED);
            let is_other = |other: &&usize| {
                let name = roles::plain(self.names[**other]);
                *other != place
                    && !self.is_empty(**other)
                    && !name.ends_with("email")
                    && !roles::ANONYMOUS.contains(&name.as_str())
            };
            for other in named.iter().filter(is_other) {
                if !choice.alternatives.iter().any(|known| known == self.names[*other]) {
                    choice.alternatives.push(self.names[*other].to_owned());
                }
            }
            return Ok(choice);
        }
        if let Some(place) = (!self.has_header).then(|| self.recurring_ids()).flatten() {
            return Ok(Choice::new(place, "the first column, whose values come again"));
        }
        Err(self.no_customer(title))
    }

    /// The first column of a file without names, if its values are ids that come again, as customers do.
    fn recurring_ids(&self) -> Option<usize> {
        let place = (0..self.names.len()).find(|place| self.is_used(*place))?;
        let (n, different) = self.look.distinct(place);
        let is_many = different > 1 && different * different * 4 >= n;
        let is_id = !self.is_time(place);
        (is_id && is_many && different < n).then_some(place)
    }

    fn no_customer(&self, title: &str) -> Error {
        let may_be = |place: &usize| {
            let (n, different) = self.look.distinct(*place);
            different > 1 && (different < n || n < 10) && !self.is_time(*place)
        };
        let mut candidates: Vec<usize> = (0..self.names.len()).filter(may_be).collect();
        candidates.sort_by_key(|place| std::cmp::Reverse(self.look.distinct(*place).1));
        let named = candidates.iter().take(MOST_CANDIDATES).map(|place| {
            let (n, different) = self.look.distinct(*place);
            format!("'{}' ({different} different in {n} rows)", self.names[*place])
        });
        let named = named.collect::<Vec<_>>().join(", ");
        let candidates = if named.is_empty() {
            "there is no candidate".to_owned()
        } else {
            format!("candidates are {named}")
        };
        let header =
            if self.has_header { "" } else { "; line 1 looks like data and not like a header" };
        Error::Mapping(format!(
            "no column of {title} is known to say who the customer of a row is{header}; name it (--customer COLUMN): \
             {candidates}"
        ))
    }

    /// The column that says who where nobody is signed in.
    pub(super) fn anonymous(&self, customer: usize) -> Option<Choice> {
        if let Some(said) = self.said(&self.options.anonymous) {
            return Some(said);
        }
        // Who chooses the customer chooses it for all rows.
        if self.options.customer.is_some() {
            return None;
        }
        let mut named = self.named(&roles::ANONYMOUS);
        let has = |name: &str| self.names.contains(&name);
        if has("event_type") && (has("amplitude_id") || has("$insert_id")) {
            named.extend(self.names.iter().position(|name| *name == "device_id"));
        }
        let is_other =
            |place: &usize| *place != customer && self.is_used(*place) && !self.is_empty(*place);
        let place = named.into_iter().find(is_other)?;
        let is_anonymous = roles::ANONYMOUS.contains(&roles::plain(self.names[customer]).as_str());
        (!is_anonymous).then(|| Choice::new(place, NAMED))
    }

    fn is_time(&self, place: usize) -> bool {
        let Some(format) = self.look.time_format(place) else { return false };
        let name = self.names[place];
        if !format.is_digits() {
            return !roles::is_like_an_id(name);
        }
        // Digits are ids, counters and amounts too.
        match self.has_header {
            true => roles::is_timely(name) || roles::TIME.contains(&roles::plain(name).as_str()),
            false => {
                const YEARS: std::ops::Range<i64> = 631_152_000_000_000..2_524_608_000_000_000;
                let times = self.look.times(place);
                times.iter().flatten().all(|micros| YEARS.contains(micros))
            }
        }
    }

    /// The column that says when.
    pub(super) fn time(&self, taken: &[usize], kind: RowKind) -> Option<Choice> {
        if let Some(said) = self.said(&self.options.time) {
            return Some(said);
        }
        let is_free = |place: &usize| !taken.contains(place) && self.is_used(*place);
        let mut named = self.named(&roles::TIME);
        named.retain(|place| is_free(place) && self.is_time(*place));
        if let Some(first) = named.first() {
            let finer = named.iter().skip(1).find(|other| self.is_finer(**other, *first));
            let place = *finer.unwrap_or(first);
            let mut choice = match finer {
                None => Choice::new(place, NAMED),
                Some(_) => Choice::new(
                    place,
                    format!("'{}' has the same days without times of day", self.names[*first]),
                ),
            };
            let others = named.iter().filter(|other| **other != place);
            choice.alternatives = others.map(|other| self.names[*other].to_owned()).collect();
            return Some(choice);
        }
        if kind == RowKind::Traits {
            return None;
        }
        let places = || (0..self.names.len()).filter(is_free).filter(|place| self.is_time(*place));
        let is_sure =
            |place: &usize| self.look.time_format(*place).is_some_and(|it| !it.is_digits());
        let place = places().find(is_sure).or_else(|| places().next())?;
        let mut choice = Choice::new(place, "its values are times");
        let others = places().filter(|other| *other != place && is_sure(other));
        choice.alternatives = others.map(|other| self.names[other].to_owned()).collect();
        Some(choice)
    }

    /// Whether one column has the times of day of the days that another one has.
    fn is_finer(&self, one: usize, other: usize) -> bool {
        let (times, days) = (self.look.times(one), self.look.times(other));
        let mut both = times.iter().zip(&days).filter_map(|(time, day)| Some(((*time)?, (*day)?)));
        let is_of_day = |(time, day): (i64, i64)| {
            day.rem_euclid(MICROS_PER_DAY) == 0 && (time - day).abs() <= MICROS_PER_DAY
        };
        let has_times = times.iter().flatten().any(|time| time.rem_euclid(MICROS_PER_DAY) != 0);
        has_times && both.all(is_of_day)
    }

    /// The column with the name of the event.
    pub(super) fn event(&self, taken: &[usize]) -> Option<Choice> {
        if let Some(said) = self.said(&self.options.event) {
            return Some(said);
        }
        let is_free = |place: &usize| {
            !taken.contains(place)
                && self.is_used(*place)
                && self.look.facts[*place].type_of() == Type::Text
        };
        let recurs = |place: usize| {
            let (n, different) = self.look.distinct(place);
            different > 0 && different * 2 <= n
        };
        let mut named = self.named(&roles::EVENT);
        // A column `name` has names of events if they come again; else they may be those of people.
        named.retain(|place| {
            is_free(place) && (roles::plain(self.names[*place]) != "name" || recurs(*place))
        });
        if let Some(place) = named.first() {
            return Some(Choice::new(*place, NAMED));
        }
        if self.has_header {
            return None;
        }
        let mut recurring = (0..self.names.len())
            .filter(|place| is_free(place) && recurs(*place) && self.look.distinct(*place).1 > 1);
        let place = recurring.next()?;
        let is_only = recurring.next().is_none();
        is_only.then(|| Choice::new(place, "the only column with few texts that come again"))
    }

    /// The column with an id for each row. One that repeats in rows that say something else is a counter.
    pub(super) fn message_id(&self) -> Option<Choice> {
        if let Some(said) = self.said(&self.options.message_id) {
            return Some(said);
        }
        let is_warehouse_table = self.names.contains(&"received_at")
            && ["original_timestamp", "sent_at", "uuid_ts"]
                .iter()
                .any(|name| self.names.contains(name));
        let is_id = |place: &usize| {
            let name = roles::plain(self.names[*place]);
            let is_known = name != "id" || is_warehouse_table;
            // Where one of them was a counter after all, the others may be too.
            let is_counter = self.counter.is_some() && name != "messageid";
            is_known
                && !is_counter
                && !self.is_empty(*place)
                && (name == "messageid" || !self.look.repeats(*place))
        };
        let place = self.named(&roles::MESSAGE_ID).into_iter().find(is_id)?;
        let is_doubtful = roles::plain(self.names[place]) != "messageid";
        Some(Choice { is_doubtful, ..Choice::new(place, NAMED) })
    }

    /// The column that says when a row arrived.
    pub(super) fn received_at(&self, time: Option<usize>) -> Option<Choice> {
        if let Some(said) = self.said(&self.options.received_at) {
            return Some(said);
        }
        let is_time = |place: &usize| {
            let format = self.look.time_format(*place);
            format.is_some() && Some(*place) != time && self.is_plausible(*place)
        };
        let place = self.named(&roles::RECEIVED_AT).into_iter().find(is_time)?;
        Some(Choice::new(place, NAMED))
    }

    fn is_plausible(&self, place: usize) -> bool {
        self.look.times(place).iter().flatten().any(|micros| Time(*micros).is_plausible())
    }
}
