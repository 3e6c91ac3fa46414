use std::path::PathBuf;

use kernel::domain::Job;
use warehouse::Access;
use warehouse::import::{ImportReport, Options};

use crate::{Project, Result};

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
        let import = |name: &str, bytes: &[u8], options: &Options| -> Result<ImportReport> {
            let staged = project.warehouse.stage(name, bytes)?;
            let imported = project.import(std::slice::from_ref(&staged), options, job);
            project.warehouse.unstage(&staged)?;
            imported
        };
        let (view, model, report) = match self {
            Self::Shop => {
                let traits = Options { traits: true, ..Options::default() };
                import("customers.parquet", SHOP_CUSTOMERS, &traits)?;
                let own = Options { own_events: true, ..Options::default() };
                let report = import("events.parquet", SHOP_EVENTS, &own)?;
                (SHOP_VIEW, SHOP_MODEL, report)
            }
            Self::Cdnow => {
                let options =
                    Options { event_name: Some(CDNOW_EVENT.to_owned()), ..Options::default() };
                (CDNOW_VIEW, CDNOW_MODEL, import("cdnow_master.txt", CDNOW_EVENTS, &options)?)
            }
        };
        let put_definition = |place: &str, text: &str| -> Result<()> {
            match project.files().read(place)? {
                Some(_) => Ok(()),
                None => Ok(project.files().write(place, text.as_bytes(), Access::Default)?),
            }
        };
        if self == Self::Shop {
            put_definition("experiments/free_shipping.toml", SHOP_EXPERIMENT)?;
        }
        put_definition("views/shopper.toml", view)?;
        put_definition("models/repurchase.toml", model)?;
        Ok(Some(report))
    }
}
