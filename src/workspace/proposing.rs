use kernel::domain::{Name, Span, Type, is_system};
use kernel::features::{AggregationName, Catalog, FeatureDefinition, View, ViewDefinition};

use crate::{Error, Project, Result};

/// Events and properties that a proposal reads, the most frequent ones.
const EVENTS: usize = 5;
const NUMBERS: usize = 3;
const TEXTS: usize = 3;
const TRAITS: usize = 10;
/// Windows of counts, in days; and that of sums.
const WINDOWS: [u16; 2] = [30, 90];
const SUM_WINDOW: u16 = 90;

impl Project {
    /// A first view of data that nobody has made one for: how often and how lately each frequent event was, on
    /// how many days, sums and means of numbers, the last of texts, and traits.
    ///
    /// # Errors
    /// The project has no events, or cannot be read.
    pub fn propose_view(&self, name: &Name) -> Result<ViewDefinition> {
        let (catalog, summary) = (self.catalog()?, self.summary()?);
        let frequent: Vec<&str> = summary
            .by_event
            .iter()
            .map(|(event, _)| event.as_str())
            .filter(|event| !is_system(event))
            .take(EVENTS)
            .collect();
        if frequent.is_empty() {
            return Err(Error::BadInput("the project has no events; import some first".to_owned()));
        }
        let mut proposal = Proposal::default();
        for event in frequent {
            for days in WINDOWS {
                proposal.add(&format!("{event}_{days}d"), |feature| FeatureDefinition {
                    aggregation: Some(AggregationName::Count),
                    events: vec![event.to_owned()],
                    window: Some(Span::days(days)),
                    ..feature
                });
            }
            proposal.add(&format!("days_since_{event}"), |feature| FeatureDefinition {
                aggregation: Some(AggregationName::DaysSinceLast),
                events: vec![event.to_owned()],
                ..feature
            });
        }
        for (name, aggregation, window) in [
            ("active_days_30d", AggregationName::ActiveDays, Some(Span::days(30))),
            ("days_since_first", AggregationName::DaysSinceFirst, None),
        ] {
            proposal.add(name, |feature| FeatureDefinition {
                aggregation: Some(aggregation),
                window,
                ..feature
            });
        }
        proposal.add_values(&catalog);
        let definition = ViewDefinition { name: name.clone(), features: proposal.features };
        View::check(&definition, &catalog)?;
        Ok(definition)
    }
}

#[derive(Default)]
struct Proposal {
    features: Vec<FeatureDefinition>,
}

impl Proposal {
    /// Adds a feature under a name that is one; two that would have the same are one.
    fn add(&mut self, text: &str, make: impl FnOnce(FeatureDefinition) -> FeatureDefinition) {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let mut text: String = text.chars().map(plain).take(60).collect();
        if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            text.insert(0, '_');
        }
        if let Ok(name) = text.parse::<Name>()
            && self.features.iter().all(|known| known.name != name)
        {
            self.features.push(make(FeatureDefinition::named(name)));
        }
    }

    /// Sums and means of numbers, the last of texts, and traits.
    fn add_values(&mut self, catalog: &Catalog) {
        let of = |wanted: Type| {
            let properties = catalog.properties.iter();
            properties.filter(move |(_, type_)| **type_ == wanted).map(|(name, _)| name)
        };
        for property in of(Type::Number).take(NUMBERS) {
            for (aggregation, name, window) in [
                (AggregationName::Sum, format!("{property}_{SUM_WINDOW}d"), Some(SUM_WINDOW)),
                (AggregationName::Mean, format!("mean_{property}"), None),
            ] {
                self.add(&name, |feature| FeatureDefinition {
                    aggregation: Some(aggregation),
                    property: Some(property.clone()),
                    window: window.map(Span::days),
                    ..feature
                });
            }
        }
        for property in of(Type::Text).take(TEXTS) {
            self.add(&format!("last_{property}"), |feature| FeatureDefinition {
                aggregation: Some(AggregationName::Last),
                property: Some(property.clone()),
                ..feature
            });
        }
        for name in catalog.traits.keys().take(TRAITS) {
            self.add(name, |feature| FeatureDefinition {
                trait_name: Some(name.clone()),
                ..feature
            });
        }
    }
}
