use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use kernel::domain::{Job, Name, Time, Value};
use kernel::features::{
    AsOf, Bound, FeatureDefinition, Knowledge, SpineRows, View, ViewDefinition, compute,
};
use serde::{Deserialize, Serialize};
use warehouse::Relation;
use warehouse::insights::{Insight, InsightSpec, Point};

use crate::{Error, Project, Result};

/// Customers that are meant together: by a rule over their features, by a list, or both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentDefinition {
    /// Its name, also that of its file.
    pub name: Name,
    /// Who is in it: a condition over the features below and traits (`traits.name`).
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// As of when; without it, as of the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Time>,
    /// Customers who are in it whatever the rule says.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub customers: BTreeSet<String>,
    /// The features that the condition reads, as of views.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<FeatureDefinition>,
}

/// The schema of the warehouse that has the members of segments, for queries.
const SEGMENTS: &str = "segments";
/// The feature that says whether a customer is in a segment.
const IS_MEMBER: &str = "is_member";
/// The segment of those who are chosen in the window. It has a table like any other, and no file.
pub const SELECTION: &str = "selection";

/// What is known of the tables of segments.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// What each was made from: the definition, and the state of the data.
    made_from: Mutex<HashMap<Name, (SegmentDefinition, String)>>,
    /// Those who are chosen.
    selection: Mutex<Option<Arc<HashSet<String>>>>,
}

impl Project {
    /// Computes an insight.
    ///
    /// # Errors
    /// The spec makes no sense for the data, its segment is not there, or the job was canceled.
    pub fn insight(&self, spec: &InsightSpec, job: &Job) -> Result<Insight> {
        let members = self.members(spec, job)?;
        Ok(self.warehouse.insight(spec, members.as_deref(), job)?)
    }

    /// The customers behind a point of an insight.
    ///
    /// # Errors
    /// As of the insight itself.
    pub fn people(&self, spec: &InsightSpec, point: &Point, job: &Job) -> Result<Vec<String>> {
        let members = self.members(spec, job)?;
        Ok(self.warehouse.people(spec, members.as_deref(), point, job)?)
    }

    /// Writes the numbers of an insight to a file, as its ending says.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_insight(&self, insight: &Insight, out: &Path) -> Result<()> {
        Ok(self.warehouse.write(&insight.relation(), out)?)
    }

    fn members(&self, spec: &InsightSpec, job: &Job) -> Result<Option<Arc<HashSet<String>>>> {
        let Some(segment) = &spec.scope.segment else { return Ok(None) };
        if segment.as_str() == SELECTION {
            let selection = &self.segments.selection;
            let chosen = selection.lock().unwrap_or_else(PoisonError::into_inner).clone();
            return Ok(Some(chosen.unwrap_or_default()));
        }
        Ok(Some(Arc::new(self.segment_members(&self.segment(segment)?, job)?)))
    }

    /// Chooses customers: they are the segment [`SELECTION`] until others are chosen.
    ///
    /// # Errors
    /// Its table cannot be written.
    pub fn select(&self, customers: &[String], job: &Job) -> Result<()> {
        let name: Name =
            SELECTION.parse().map_err(|error| Error::Fault(format!("{SELECTION}: {error}")))?;
        let chosen: HashSet<String> = customers.iter().cloned().collect();
        self.write_members(&name, &chosen, job)?;
        let mut selection = self.segments.selection.lock().unwrap_or_else(PoisonError::into_inner);
        *selection = Some(Arc::new(chosen));
        Ok(())
    }

    /// Makes the tables of the segments that a query names what they are on the data of now.
    ///
    /// # Errors
    /// A segment makes no sense any more, or the job was canceled.
    pub fn refresh_segments(&self, sql: &str, job: &Job) -> Result<()> {
        let read = read_segments(sql);
        if read.is_empty() {
            return Ok(());
        }
        for name in self.segments()? {
            if read.contains(&name.as_str().to_lowercase()) {
                self.refresh_segment(&name, job)?;
            }
        }
        Ok(())
    }

    /// Makes the table of a segment what it is on the data of now, if it is not.
    ///
    /// # Errors
    /// As of [`Self::refresh_segments`].
    pub fn refresh_segment(&self, name: &Name, job: &Job) -> Result<()> {
        if name.as_str() == SELECTION {
            return Ok(());
        }
        let now = (self.segment(name)?, self.warehouse.state()?);
        let made_from = || self.segments.made_from.lock().unwrap_or_else(PoisonError::into_inner);
        if made_from().get(name) != Some(&now) {
            self.write_members(name, &self.segment_members(&now.0, job)?, job)?;
            made_from().insert(name.clone(), now);
        }
        Ok(())
    }

    fn write_members(&self, name: &Name, members: &HashSet<String>, job: &Job) -> Result<()> {
        let mut members: Vec<&str> = members.iter().map(String::as_str).collect();
        members.sort_unstable();
        let relation = Relation::default().with_texts("customer_id", members.into_iter());
        Ok(self.warehouse.keep(&relation, SEGMENTS, name, job)?)
    }

    /// The names of its saved insights.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn insights(&self) -> Result<Vec<Name>> {
        self.names("insights", "toml")
    }

    /// A saved insight.
    ///
    /// # Errors
    /// There is none of that name, or its file is not one.
    pub fn saved_insight(&self, name: &Name) -> Result<InsightSpec> {
        Ok(InsightSpec::parse(None, &self.read("insights", name, "toml")?)?)
    }

    /// Saves an insight.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_insight(&self, name: &Name, spec: &InsightSpec) -> Result<()> {
        self.save("insights", name, "toml", &spec.to_toml()?)
    }

    /// The names of its segments.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn segments(&self) -> Result<Vec<Name>> {
        self.names("segments", "toml")
    }

    /// A segment as it is written.
    ///
    /// # Errors
    /// There is no such segment, or its file is not one.
    pub fn segment(&self, name: &Name) -> Result<SegmentDefinition> {
        let text = self.read("segments", name, "toml")?;
        let path = self.definition_path("segments", name, "toml");
        toml::from_str(&text).map_err(|error| Error::File { path, message: error.to_string() })
    }

    /// The segments that a customer is in. One that makes no sense on this data has nobody in it.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn segments_of(&self, customer_id: &str) -> Result<Vec<Name>> {
        let mut own = Vec::new();
        for name in self.segments()? {
            let Ok(segment) = self.segment(&name) else { continue };
            if segment.customers.contains(customer_id) || self.is_meant(&segment, customer_id)? {
                own.push(name);
            }
        }
        Ok(own)
    }

    /// Whether the rule of a segment holds of a customer.
    fn is_meant(&self, segment: &SegmentDefinition, customer_id: &str) -> Result<bool> {
        let Some(condition) = &segment.condition else { return Ok(false) };
        let Ok(view) = self.segment_view(segment, condition) else { return Ok(false) };
        let as_of = segment.as_of.map_or_else(|| self.now(), Ok)?;
        let timelines = self.warehouse.timeline_of(customer_id, view.reads())?;
        let Some(position) = timelines.position(customer_id) else { return Ok(false) };
        let values = Bound::new(&view, &timelines).row(position, AsOf::at(as_of), &[]);
        Ok(values.last() == Some(&Value::Boolean(true)))
    }

    /// Saves a segment, and its members as the table `segments.NAME`; gives how many there are.
    ///
    /// # Errors
    /// It makes no sense on this data, or cannot be written.
    pub fn save_segment(&self, segment: &SegmentDefinition, job: &Job) -> Result<usize> {
        if segment.name.as_str() == SELECTION {
            let message = "'selection' are those who are chosen in the window; name it otherwise";
            return Err(Error::BadInput(message.to_owned()));
        }
        let members = self.segment_members(segment, job)?;
        self.write_members(&segment.name, &members, job)?;
        let path = self.definition_path("segments", &segment.name, "toml");
        let text = toml::to_string(segment)
            .map_err(|error| Error::File { path, message: error.to_string() })?;
        self.save("segments", &segment.name, "toml", &text)?;
        Ok(members.len())
    }

    /// The customers of a segment.
    ///
    /// # Errors
    /// Its rule makes no sense on this data, or the job was canceled.
    pub fn segment_members(
        &self,
        segment: &SegmentDefinition,
        job: &Job,
    ) -> Result<HashSet<String>> {
        let mut members: HashSet<String> = segment.customers.iter().cloned().collect();
        let Some(condition) = &segment.condition else { return Ok(members) };
        let view = self.segment_view(segment, condition)?;
        let as_of = segment.as_of.map_or_else(|| self.now(), Ok)?;
        self.warehouse.each_timelines(view.reads(), job, |timelines| {
            let rows = SpineRows::at(&timelines, as_of);
            let bound = Bound::new(&view, &timelines);
            let table = compute(&view, &bound, &rows, Knowledge::AsItWas, job)?;
            let Some(is_member) = table.values.last() else { return Ok(()) };
            for (at, (customer, _)) in rows.rows.iter().enumerate() {
                if is_member.value(at) == Value::Boolean(true) {
                    members.insert(rows.customer_id(&timelines, *customer).to_owned());
                }
            }
            Ok::<(), Error>(())
        })?;
        Ok(members)
    }

    /// The features of a segment, and whether a customer is in it as the last of them.
    fn segment_view(&self, segment: &SegmentDefinition, condition: &str) -> Result<View> {
        let name: Name = IS_MEMBER
            .parse()
            .map_err(|error| Error::Fault(format!("{IS_MEMBER} is no name: {error}")))?;
        let mut features = segment.features.clone();
        features.push(FeatureDefinition {
            expression: Some(condition.to_owned()),
            ..FeatureDefinition::named(name)
        });
        let definition = ViewDefinition { name: segment.name.clone(), features };
        let view = View::check(&definition, &self.catalog()?)?;
        let type_ = view.features().last().map(|feature| feature.type_);
        if type_.is_some_and(|type_| type_ != kernel::domain::Type::Boolean) {
            return Err(Error::BadInput(format!("'{condition}' must be true or false")));
        }
        Ok(view)
    }
}

/// The segments that a query may read: what stands after `segments.`, quoted or not, in small letters.
fn read_segments(sql: &str) -> BTreeSet<String> {
    let sql = sql.to_lowercase();
    let after = sql.match_indices(SEGMENTS).filter_map(|(at, _)| {
        let rest = sql[at + SEGMENTS.len()..].trim_start_matches('"').trim_start();
        let name = rest.strip_prefix('.')?.trim_start().trim_start_matches('"');
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
        Some(name[..end].to_owned())
    });
    after.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::read_segments;

    #[test]
    fn the_segments_of_a_query_are_those_after_the_dot() {
        let read = |sql| read_segments(sql).into_iter().collect::<Vec<_>>();
        assert_eq!(
            read("FROM segments.vip_2024 JOIN Segments.\"BigSpenders\" USING (customer_id)"),
            ["bigspenders", "vip_2024"]
        );
        assert_eq!(read("FROM \"segments\" . \"a\""), ["a"]);
        assert!(read("SELECT segments FROM events").is_empty());
    }
}
