use std::collections::HashMap;

use kernel::domain::{Time, Type, did_you_mean};
use kernel::features::{AsOf, Catalog, Column, Knowledge};

use super::scene::{Scene, unknown_property};
use super::{Breakdown, Scope};
use crate::{Error, Result};

/// What tells the parts of a chart apart, found in timelines.
#[derive(Debug)]
pub(super) enum By<'a> {
    /// Nothing: there is one part.
    Nothing,
    /// A property, by row.
    Property(&'a Column),
    /// A trait: the key of each customer, and the value of each key.
    Trait(Vec<u64>, Vec<String>),
}

/// The key of what is missing.
const MISSING: u64 = u64::MAX;
/// The most parts; what is left is one more.
const MOST_GROUPS: usize = 25;
const OTHER: &str = "Other";
const NONE: &str = "(none)";

/// What timelines must have for a breakdown.
pub(super) fn reads(scope: &Scope, catalog: &Catalog) -> Result<Catalog> {
    let mut reads = Catalog::default();
    match &scope.breakdown {
        None => {}
        Some(Breakdown::Property(name)) => {
            let type_ =
                catalog.properties.get(name).ok_or_else(|| unknown_property(name, catalog))?;
            if matches!(type_, Type::List(_) | Type::Counts(_)) {
                return Err(Error::Mapping(format!(
                    "'{name}' is a {type_}; break down by one value"
                )));
            }
            reads.properties.insert(name.clone(), *type_);
        }
        Some(Breakdown::Trait(name)) => {
            let type_ = catalog.traits.get(name).ok_or_else(|| {
                let hint = did_you_mean(name, catalog.traits.keys().map(String::as_str));
                Error::Mapping(format!("no customer has a trait '{name}'{hint}"))
            })?;
            reads.traits.insert(name.clone(), *type_);
        }
    }
    Ok(reads)
}

impl<'a> By<'a> {
    pub(super) fn of(scope: &Scope, scene: &Scene<'a>) -> Self {
        match &scope.breakdown {
            None => By::Nothing,
            Some(Breakdown::Property(name)) => {
                scene.timelines.property(name).map_or(By::Nothing, By::Property)
            }
            Some(Breakdown::Trait(name)) => by_trait(scene, name),
        }
    }

    /// The key of an event of a customer.
    #[inline]
    pub(super) fn key(&self, customer: usize, row: usize) -> u64 {
        match self {
            By::Nothing => 0,
            By::Trait(keys, _) => keys.get(customer).copied().unwrap_or(MISSING),
            By::Property(Column::Text(texts)) => match texts.codes().at(row) {
                Column::NO_TEXT => MISSING,
                code => u64::from(code),
            },
            By::Property(Column::Number(numbers)) if numbers[row].is_nan() => MISSING,
            By::Property(Column::Number(numbers)) => numbers[row].to_bits(),
            By::Property(Column::Boolean(values)) if values[row] == 2 => MISSING,
            By::Property(Column::Boolean(values)) => u64::from(values[row]),
            By::Property(Column::Time(times)) if times[row] == Column::NO_TIME => MISSING,
            By::Property(Column::Time(times)) => times[row].cast_unsigned(),
            By::Property(_) => MISSING,
        }
    }

    /// The key that a customer has first among rows: of the first that is not missing.
    pub(super) fn first(&self, customer: usize, mut rows: impl Iterator<Item = usize>) -> u64 {
        match self {
            By::Nothing => 0,
            By::Trait(..) => self.key(customer, 0),
            By::Property(_) => rows
                .find_map(|row| Some(self.key(customer, row)).filter(|key| *key != MISSING))
                .unwrap_or(MISSING),
        }
    }

    fn label(&self, key: u64) -> String {
        match self {
            _ if key == MISSING => NONE.to_owned(),
            By::Nothing => String::new(),
            By::Trait(_, values) => usize::try_from(key)
                .ok()
                .and_then(|key| values.get(key))
                .cloned()
                .unwrap_or_default(),
            By::Property(Column::Text(texts)) => usize::try_from(key)
                .ok()
                .and_then(|code| texts.dictionary().get(code))
                .map(ToString::to_string)
                .unwrap_or_default(),
            By::Property(Column::Number(_)) => f64::from_bits(key).to_string(),
            By::Property(Column::Boolean(_)) => (key == 1).to_string(),
            By::Property(_) => Time(key.cast_signed()).to_string(),
        }
    }
}

fn by_trait<'a>(scene: &Scene<'a>, name: &str) -> By<'a> {
    let as_of = AsOf { time: scene.calendar.until(), knowledge: Knowledge::AsItWas };
    let mut known: HashMap<String, u64> = HashMap::new();
    let mut values = Vec::new();
    let timeline = scene.timelines.trait_timeline(name);
    let keys = (0..scene.timelines.customers().len()).map(|customer| {
        let value = timeline.map(|timeline| timeline.value(customer, as_of));
        let Some(value) = value.filter(|value| !value.is_null()) else { return MISSING };
        let text = value.to_string();
        *known.entry(text).or_insert_with_key(|text| {
            values.push(text.clone());
            values.len() as u64 - 1
        })
    });
    let keys = keys.collect();
    By::Trait(keys, values)
}

/// The parts of a chart: the most frequent values, and the rest.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    places: HashMap<u64, usize>,
    /// What each is called; the one of a chart without a breakdown is empty.
    pub(super) labels: Vec<String>,
}

impl Groups {
    /// The parts, given how often each key is there: the most frequent first.
    pub(super) fn of(by: &By<'_>, counts: HashMap<u64, u64>) -> Self {
        if matches!(by, By::Nothing) {
            return Self { places: HashMap::from([(0, 0)]), labels: vec![String::new()] };
        }
        let mut counts: Vec<(u64, u64, String)> =
            counts.into_iter().map(|(key, n)| (key, n, by.label(key))).collect();
        counts.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.2.cmp(&right.2)));
        let has_other = counts.len() > MOST_GROUPS;
        counts.truncate(MOST_GROUPS);
        let places = counts.iter().enumerate().map(|(place, (key, ..))| (*key, place)).collect();
        let mut labels: Vec<String> = counts.into_iter().map(|(.., label)| label).collect();
        labels.extend(has_other.then(|| OTHER.to_owned()));
        Self { places, labels }
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The part of a key; what is not frequent is in the last one.
    #[inline]
    pub(super) fn place(&self, key: u64) -> usize {
        self.places.get(&key).copied().unwrap_or_else(|| self.labels.len().saturating_sub(1))
    }
}

/// How often keys were there.
pub(super) type Counts = HashMap<u64, u64>;

pub(super) fn add_counts(sum: &mut Counts, piece: Counts) {
    piece.into_iter().for_each(|(key, n)| *sum.entry(key).or_default() += n);
}
