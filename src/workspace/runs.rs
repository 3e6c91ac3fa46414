use kernel::domain::{Name, Time};
use kernel::scoring::ScoringFunction;
use serde::{Deserialize, Serialize};
use warehouse::Access;

use crate::{Error, Project, Result, TrainReport};

/// Where runs are in a project: a folder a model, two files a run.
const FOLDER: &str = "runs";
/// Letters of a hash that name a run.
const LETTERS: usize = 16;

/// A training that was done: its function, and how good it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// When it ended.
    pub at: Time,
    /// The hash of its function.
    pub hash: String,
    /// The model spec that it was trained with, as TOML: with its seed, and the parameters that a search
    /// found.
    pub spec: String,
    /// The latest event that was in the data.
    pub observed_until: Time,
    /// All that was said of it.
    pub report: TrainReport,
    /// Whether its function is the one that the project deploys under the model's name.
    #[serde(default)]
    pub in_use: bool,
}

impl Project {
    /// Keeps a run. The same training again is the same run.
    pub(crate) fn save_run(&self, function: &ScoringFunction, report: &TrainReport) -> Result<()> {
        let file = function.file();
        let run = Run {
            at: now(),
            hash: file.hash.clone(),
            spec: file.trained.spec.clone(),
            observed_until: file.trained.observed_until,
            report: report.clone(),
            in_use: false,
        };
        let text = serde_json::to_string(&run).map_err(|error| Error::Fault(error.to_string()))?;
        let write = |ending: &str, text: &str| {
            let place = place(&file.name, &file.hash, ending);
            self.files().write(&place, text.as_bytes(), Access::Default)
        };
        write("function.json", &file.to_json()?)?;
        Ok(write("run.json", &text)?)
    }

    /// The runs of a model, latest first. A file that cannot be read is left out.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn runs(&self, model: &Name) -> Result<Vec<Run>> {
        let folder = format!("{FOLDER}/{model}");
        let names = self.files().names(&folder)?;
        let mut runs: Vec<Run> = names
            .iter()
            .filter(|name| name.ends_with(".run.json"))
            .filter_map(|name| self.files().read_text(&format!("{folder}/{name}")).ok()?)
            .filter_map(|text| serde_json::from_str(&text).ok())
            .collect();
        // The function may be missing, or that of a model from elsewhere.
        let used = self.function(model).ok().map(|function| function.hash().to_owned());
        runs.iter_mut().for_each(|run| run.in_use = used.as_ref() == Some(&run.hash));
        runs.sort_by(|left: &Run, right: &Run| {
            right.at.cmp(&left.at).then(left.hash.cmp(&right.hash))
        });
        Ok(runs)
    }

    /// Makes the function of a run the one that the project deploys under the model's name. `run` is its
    /// hash, or the beginning of it.
    ///
    /// # Errors
    /// There is no such run, or its file was changed.
    pub fn use_run(&self, model: &Name, run: &str) -> Result<ScoringFunction> {
        let known = self.runs(model)?;
        let Some(found) = known.iter().find(|known| !run.is_empty() && known.hash.starts_with(run))
        else {
            return Err(Error::NotFound(format!(
                "the model '{model}' has no run '{run}'; see its runs with: fullcircle runs {model}"
            )));
        };
        let place = place(model, &found.hash, "function.json");
        let text = self.files().read_text(&place)?.ok_or_else(|| {
            Error::NotFound(format!("the function of the run '{run}' is gone: {place}"))
        })?;
        let function =
            ScoringFunction::from_json(&text).map_err(|error| self.bad_file(&place, &error))?;
        self.save_function(&function)?;
        Ok(function)
    }
}

/// The time on this machine's clock.
#[expect(clippy::disallowed_methods, reason = "when a run ended is for people to read")]
fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Time(since.ok().and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or_default())
}

/// The place of a file of a run.
fn place(model: &Name, hash: &str, ending: &str) -> String {
    let short = hash.get(..LETTERS).unwrap_or(hash);
    format!("{FOLDER}/{model}/{short}.{ending}")
}
