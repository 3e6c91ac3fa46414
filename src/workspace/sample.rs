use std::path::{Path, PathBuf};

use kernel::domain::Job;
use warehouse::import::{ImportReport, Options};

use crate::definitions::write_whole;
use crate::{Error, Project, Result};

/// A data set that the program brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// A synthetic shop's click stream.
    Shop,
    /// Purchases at CDNOW, 1997 and 1998.
    Cdnow,
}

/// What a row of the CDNOW file is called: the file has no column that says it.
pub const CDNOW_EVENT: &str = "order_completed";

const SHOP_EVENTS: &[u8] = include_bytes!("../../sample-data/shop/events.parquet");
const SHOP_CUSTOMERS: &[u8] = include_bytes!("../../sample-data/shop/events-customers.parquet");
const SHOP_VIEW: &str = include_str!("../../sample-data/shop/views/shopper.toml");
const SHOP_EXPERIMENT: &str = include_str!("../../sample-data/shop/experiments/free_shipping.toml");
const SHOP_MODEL: &str = include_str!("../../sample-data/shop/models/repurchase.toml");
const CDNOW_EVENTS: &[u8] = include_bytes!("../../sample-data/cdnow/cdnow_master.txt");
const CDNOW_VIEW: &str = include_str!("../../sample-data/cdnow/views/shopper.toml");
const CDNOW_MODEL: &str = include_str!("../../sample-data/cdnow/models/repurchase.toml");

/// The folder of the sample project: in the person's data folder.
#[must_use]
pub fn sample_folder() -> PathBuf {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(|| {
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local").join("share"))
    });
    data.unwrap_or_else(|| PathBuf::from(".")).join("fullcircle").join("shop")
}

impl Sample {
    /// Fills a project with the sample, if it has no events: data, a view and a model.
    ///
    /// # Errors
    /// The project cannot be written, or the job was canceled.
    pub fn fill(self, project: &Project, job: &Job) -> Result<Option<ImportReport>> {
        if project.summary()?.events > 0 {
            return Ok(None);
        }
        let staging = project.folder().join(".staging");
        let put = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
            let path = staging.join(name);
            std::fs::write(&path, bytes).map_err(Error::io("write in the project", &path))?;
            Ok(path)
        };
        let (view, model, report) = match self {
            Self::Shop => {
                let people = put("customers.parquet", SHOP_CUSTOMERS)?;
                let traits = Options { traits: true, ..Options::default() };
                project.import(&[people], &traits, job)?;
                let events = put("events.parquet", SHOP_EVENTS)?;
                let own = Options { own_events: true, ..Options::default() };
                let report = project.import(&[events], &own, job)?;
                (SHOP_VIEW, SHOP_MODEL, report)
            }
            Self::Cdnow => {
                let events = put("cdnow_master.txt", CDNOW_EVENTS)?;
                let options =
                    Options { event_name: Some(CDNOW_EVENT.to_owned()), ..Options::default() };
                (CDNOW_VIEW, CDNOW_MODEL, project.import(&[events], &options, job)?)
            }
        };
        if self == Self::Shop {
            let path = "experiments/free_shipping.toml";
            put_definition(project.folder(), path, SHOP_EXPERIMENT)?;
        }
        put_definition(project.folder(), "views/shopper.toml", view)?;
        put_definition(project.folder(), "models/repurchase.toml", model)?;
        Ok(Some(report))
    }
}

fn put_definition(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    if path.exists() { Ok(()) } else { write_whole(&path, text) }
}
