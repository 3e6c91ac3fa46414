use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use kernel::domain::{Job, Name, Time, Value};
use kernel::features::{
    Bound, Canceled, FeatureDefinition, Knowledge, SpineRows, View, ViewDefinition, compute,
};
use serde::{Deserialize, Serialize};
use warehouse::Relation;
use warehouse::insights::{Insight, InsightSpec, Point};

use crate::definitions::write_whole;
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

impl Project {
    /// Computes an insight.
    ///
    /// # Errors
    /// The spec makes no sense for the data, its segment is not there, or the job was canceled.
    pub fn insight(&self, spec: &InsightSpec, job: &Job) -> Result<Insight> {
        let members = self.members(spec, job)?;
        Ok(self.warehouse.insight(spec, members.as_ref(), job)?)
    }

    /// The customers behind a point of an insight.
    ///
    /// # Errors
    /// As of the insight itself.
    pub fn people(&self, spec: &InsightSpec, point: &Point, job: &Job) -> Result<Vec<String>> {
        let members = self.members(spec, job)?;
        Ok(self.warehouse.people(spec, members.as_ref(), point, job)?)
    }

    /// Writes the numbers of an insight to a file, as its ending says.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_insight(&self, insight: &Insight, out: &Path) -> Result<()> {
        Ok(self.warehouse.write(&insight.relation(), out)?)
    }

    fn members(&self, spec: &InsightSpec, job: &Job) -> Result<Option<HashSet<String>>> {
        let segment = spec.scope.segment.as_ref();
        segment.map(|segment| self.segment_members(&self.segment(segment)?, job)).transpose()
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
        write_whole(&self.definition_path("insights", name, "toml"), &spec.to_toml()?)
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

    /// The segments that a customer was in when their tables were written.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn segments_of(&self, customer_id: &str) -> Result<Vec<Name>> {
        let mut own = Vec::new();
        for name in self.segments()? {
            if self.warehouse.is_listed(SEGMENTS, &name, customer_id)? {
                own.push(name);
            }
        }
        Ok(own)
    }

    /// Saves a segment, and its members as the table `segments.NAME`; gives how many there are.
    ///
    /// # Errors
    /// It makes no sense on this data, or cannot be written.
    pub fn save_segment(&self, segment: &SegmentDefinition, job: &Job) -> Result<usize> {
        let mut members: Vec<String> = self.segment_members(segment, job)?.into_iter().collect();
        members.sort_unstable();
        let relation =
            Relation::default().with_texts("customer_id", members.iter().map(String::as_str));
        self.warehouse.keep(&relation, SEGMENTS, &segment.name, job)?;
        let path = self.definition_path("segments", &segment.name, "toml");
        let text = toml::to_string(segment)
            .map_err(|error| Error::File { path: path.clone(), message: error.to_string() })?;
        write_whole(&path, &text)?;
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
            let table = compute(&view, &bound, &rows, Knowledge::AsItWas, job)
                .map_err(|Canceled| Error::Canceled)?;
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
