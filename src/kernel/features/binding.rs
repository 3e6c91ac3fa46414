use super::event_filter::is_among;
use super::needs::Needs;
use super::{Aggregate, Aggregation, Column, Input, Selection, Source, Timelines, View};
use crate::domain::Span;
use crate::expression::Expression;

/// How a view reads given timelines: its aggregates as windows over few series, and every name resolved
/// to a place. Features that select the same events and read the same property share a series.
#[derive(Clone, Debug, Default)]
pub(super) struct Binding {
    /// The number of names of events that it knows.
    n_names: usize,
    /// For each selection of the view, the columns of its condition and the series that it feeds.
    pub(super) selections: Vec<BoundSelection>,
    /// For each eight selections, which of them each name of an event passes, a bit each.
    pub(super) passes: Vec<Vec<u8>>,
    pub(super) series: Vec<BoundSeries>,
    /// The distinct windows of all series, in microseconds, the shortest first; none is all time, and last.
    pub(super) windows: Vec<Option<i64>>,
    /// In the order of the view's features.
    pub(super) features: Vec<BoundFeature>,
    /// How many tallies there are: one for all that need none, and one for each that needs one.
    pub(super) n_tallies: usize,
}

/// Selections that events are picked for together.
pub(super) const TOGETHER: usize = 8;

/// A selection: where its condition finds its columns, and the series that it feeds.
#[derive(Clone, Debug, Default)]
pub(super) struct BoundSelection {
    pub(super) columns: Vec<Option<usize>>,
    pub(super) series: Vec<usize>,
}

/// A series: the events of a selection that have a value.
#[derive(Clone, Debug)]
pub(super) struct BoundSeries {
    selection: usize,
    property: Option<String>,
    /// The place of the property; none without a property.
    pub(super) column: Option<usize>,
    pub(super) needs: Needs,
    /// The distinct windows of its features, by their places among all, the shortest first.
    pub(super) windows: Vec<usize>,
}

/// Where the value of a feature comes from.
#[derive(Clone, Debug)]
pub(super) enum BoundFeature {
    /// A window of a series, by its place among the windows of all series, one series after the other.
    Aggregate {
        series: usize,
        window: usize,
        aggregation: Aggregation,
        /// The place of its tally; none needs none.
        tally: usize,
    },
    /// The place of a trait.
    Trait(Option<usize>),
    /// The places of what an expression reads.
    Expression(Vec<BoundInput>),
}

/// A column of a feature's expression.
#[derive(Clone, Debug)]
pub(super) enum BoundInput {
    Feature(usize),
    Trait(Option<usize>),
    Context(usize),
}

impl Binding {
    /// Binds a view to timelines. What the timelines do not have is null.
    pub(super) fn new(view: &View, timelines: &Timelines) -> Self {
        let mut binding = Self { n_tallies: 1, ..Self::default() };
        for selection in view.selections() {
            let place = |(name, type_): &(String, _)| {
                let place = timelines.place_of(name)?;
                (timelines.properties[place].1.type_of() == *type_).then_some(place)
            };
            let columns = selection.condition.iter().flat_map(|(_, condition)| condition.columns());
            binding.selections.push(BoundSelection {
                columns: columns.map(place).collect(),
                ..BoundSelection::default()
            });
        }
        binding.windows.extend(view.windows().iter().map(|window| window.map(Span::micros)));
        binding.windows.sort_unstable_by_key(|window| window.unwrap_or(i64::MAX));
        for feature in view.features() {
            let Source::Aggregate(aggregate) = &feature.source else { continue };
            let series =
                binding.series(aggregate.selection, aggregate.property.as_ref(), timelines);
            let (place, window) = binding.window(view, aggregate);
            let bound = &mut binding.series[series];
            bound.needs.add(aggregate.aggregation, window);
            if let Err(at) = bound.windows.binary_search(&place) {
                bound.windows.insert(at, place);
            }
        }
        for feature in view.features() {
            let bound = match &feature.source {
                Source::Aggregate(aggregate) => {
                    let property = aggregate.property.as_ref();
                    let series = binding.series(aggregate.selection, property, timelines);
                    let (window, _) = binding.window(view, aggregate);
                    let own = &binding.series[series].windows;
                    let before: usize =
                        binding.series[..series].iter().map(|series| series.windows.len()).sum();
                    let window = before + own.partition_point(|place| *place < window);
                    let aggregation = aggregate.aggregation;
                    let mut tally = 0;
                    if aggregation.needs_tally(feature.type_) {
                        tally = binding.n_tallies;
                        binding.n_tallies += 1;
                    }
                    BoundFeature::Aggregate { series, window, aggregation, tally }
                }
                Source::Trait(name) => BoundFeature::Trait(timelines.place_of_trait(name)),
                Source::Expression(_, inputs) => {
                    let inputs = inputs.iter().map(|input| match input {
                        Input::Feature(place) => BoundInput::Feature(*place),
                        Input::Trait(name) => BoundInput::Trait(timelines.place_of_trait(name)),
                        Input::Context(place) => BoundInput::Context(*place),
                    });
                    BoundFeature::Expression(inputs.collect())
                }
            };
            binding.features.push(bound);
        }
        binding.passes.resize_with(view.selections().chunks(TOGETHER).len(), Vec::new);
        timelines.names().iter().for_each(|name| binding.add_name(view, name));
        binding
    }

    /// The window of an aggregate: its place among all, and its length.
    fn window(&self, view: &View, aggregate: &Aggregate) -> (usize, Option<i64>) {
        let window = view.windows()[aggregate.window].map(Span::micros);
        let place = self.windows.iter().position(|known| *known == window);
        (place.unwrap_or_default(), window)
    }

    /// The series of a selection and a property, a new one if it is new.
    fn series(
        &mut self,
        selection: usize,
        property: Option<&String>,
        timelines: &Timelines,
    ) -> usize {
        let same = |known: &BoundSeries| {
            known.selection == selection && known.property.as_ref() == property
        };
        if let Some(known) = self.series.iter().position(same) {
            return known;
        }
        let place = self.series.len();
        let column = property.and_then(|property| timelines.place_of(property));
        // Without the property there is no value, so nothing ever feeds the series.
        if property.is_none() || column.is_some() {
            self.selections[selection].series.push(place);
        }
        self.series.push(BoundSeries {
            selection,
            property: property.cloned(),
            column,
            needs: Needs::default(),
            windows: Vec::new(),
        });
        place
    }

    /// The number of names of events that it knows.
    pub(super) const fn n_names(&self) -> usize {
        self.n_names
    }

    /// Adds the next name of an event.
    pub(super) fn add_name(&mut self, view: &View, name: &str) {
        let groups = view.selections().chunks(TOGETHER);
        for (selections, passes) in groups.zip(&mut self.passes) {
            let bit = |selection: &Selection| u8::from(is_among(name, &selection.events));
            passes.push(selections.iter().rev().fold(0, |bits, it| bits << 1 | bit(it)));
        }
        self.n_names += 1;
    }

    /// The columns of the timelines that it reads values of.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let all = || self.series.iter().filter_map(|series| series.column);
        all()
            .enumerate()
            .filter(move |(at, place)| !all().take(*at).any(|p| p == *place))
            .map(|(_, place)| place)
    }

    /// The column of a series in timelines.
    pub(super) fn column<'t>(&self, series: usize, timelines: &'t Timelines) -> Option<&'t Column> {
        self.series[series].column.map(|place| &timelines.properties[place].1)
    }
}

/// Whether a row of the timelines passes a condition.
pub(super) fn holds(
    condition: &Expression,
    columns: &[Option<usize>],
    timelines: &Timelines,
    row: usize,
) -> bool {
    condition.is_true(&|index| match columns.get(index) {
        Some(Some(place)) => timelines.properties[*place].1.cell(row),
        _ => crate::domain::Cell::Null,
    })
}
