use std::path::Path;

use serde::Serialize;

use super::log::{Folder, LogReport, verify};
use crate::{Error, Result};

/// The state of the logs of a data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether nothing is damaged or missing.
    pub intact: bool,
    /// Events, scores and rejected events.
    pub log: LogReport,
    /// Functions, deployments and keys.
    pub config: LogReport,
}

/// Checks all of the logs in a data folder, or in a backup of one, and writes nothing. The index is not checked: it
/// follows from the log. Stop the endpoint first: of a log that is being written the end may look unfinished.
///
/// # Errors
/// `Error::NotFound` if it is not a data folder; `Error::Store` if a file cannot be read for another reason than
/// damage.
pub fn verify_log(data: &Path) -> Result<Verification> {
    let check = |name: &str| {
        let folder = data.join(name);
        if !folder.is_dir() {
            let folder = folder.display();
            return Err(Error::NotFound(format!(
                "{folder} is not there; name the data folder of an endpoint, or a backup of one"
            )));
        }
        verify(&Folder::read_only(&folder)).map_err(Error::store("read its log"))
    };
    let (log, config) = (check("log")?, check("config")?);
    Ok(Verification { intact: log.intact && config.intact, log, config })
}
