use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use super::log::{Frame, Log, SEGMENT_BYTES};
use super::{ConfigStore, Embedded};
use crate::{Error, Result};

/// Named values in a small log of their own, all of which are in memory.
#[derive(Debug)]
pub(super) struct Config {
    log: Log,
    values: RwLock<BTreeMap<String, Arc<[u8]>>>,
}

/// Segments beyond which values that were replaced are dropped when it is opened.
const MOST_SEGMENTS: usize = 2;

impl Config {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let action = "open its configuration";
        let log = Log::open_in(folder, SEGMENT_BYTES).map_err(Error::store(action))?;
        let mut values = BTreeMap::new();
        log.read(0, |_, record| {
            if let Ok((name, value)) = postcard::from_bytes::<(&str, &[u8])>(record) {
                values.insert(name.to_owned(), Arc::from(value));
            }
            true
        })
        .map_err(Error::store(action))?;
        if log.segment_count() > MOST_SEGMENTS {
            log.forget(|_, record| is_replaced(&values, record)).map_err(Error::store(action))?;
        }
        Ok(Self { log, values: RwLock::new(values) })
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }
}

fn is_replaced(values: &BTreeMap<String, Arc<[u8]>>, record: &[u8]) -> bool {
    postcard::from_bytes::<(&str, &[u8])>(record)
        .is_ok_and(|(name, value)| values.get(name).map(AsRef::as_ref) != Some(value))
}

impl ConfigStore for Config {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        Ok(values.get(name).map(|value| value.to_vec()))
    }

    fn put(&self, values: &[(String, Vec<u8>)]) -> Result<()> {
        // A frame of nothing is none.
        if values.is_empty() {
            return Ok(());
        }
        let mut frame = Frame::new();
        for (name, value) in values {
            frame.push(|bytes| {
                let record = (name.as_str(), value.as_slice());
                *bytes = postcard::to_extend(&record, std::mem::take(bytes))
                    .map_err(Error::store("encode its configuration"))?;
                Ok::<(), Error>(())
            })?;
        }
        // Held while it is written, so that readers see what is durable, in its order.
        let mut known = self.values.write().unwrap_or_else(PoisonError::into_inner);
        self.log.append(frame)?;
        known.extend(values.iter().map(|(name, value)| (name.clone(), value.as_slice().into())));
        Ok(())
    }

    fn drop_replaced(&self) -> Result<()> {
        // Held so that nothing is replaced meanwhile.
        let known = self.values.write().unwrap_or_else(PoisonError::into_inner);
        let forgotten = self.log.forget(|_, record| is_replaced(&known, record));
        forgotten.map_err(Error::store("take replaced configuration off the disk"))
    }

    fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        Ok(values.keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }
}

impl ConfigStore for Embedded {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.config.get(name)
    }

    fn put(&self, values: &[(String, Vec<u8>)]) -> Result<()> {
        self.config.put(values)
    }

    fn drop_replaced(&self) -> Result<()> {
        self.config.drop_replaced()
    }

    fn names(&self, prefix: &str) -> Result<Vec<String>> {
        self.config.names(prefix)
    }
}

/// The offset from which on events have a source: kept at the first start of a version that has sources.
pub(super) fn sources_since(config: &Config, log: &Log) -> Result<u64> {
    const NAME: &str = "sources since";
    let kept = config.get(NAME)?.and_then(|bytes| bytes.try_into().ok());
    if let Some(offset) = kept.map(u64::from_be_bytes) {
        return Ok(offset);
    }
    config.put(&[(NAME.to_owned(), log.next().to_be_bytes().to_vec())])?;
    Ok(log.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_replaced_leaves_the_disk_and_nothing_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::open(folder.path()).unwrap();
        let put = |value: &str| config.put(&[("name".to_owned(), value.as_bytes().to_vec())]);
        config.put(&[]).unwrap();
        put("somebody's secret").unwrap();
        put("nobody's").unwrap();
        let on_disk = || {
            let files = std::fs::read_dir(folder.path()).unwrap().flatten();
            let bytes: Vec<u8> =
                files.flat_map(|file| std::fs::read(file.path()).unwrap()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        assert!(on_disk().contains("somebody's secret"));
        config.drop_replaced().unwrap();
        assert!(!on_disk().contains("somebody's secret"));
        config.put(&[]).unwrap();
        drop(config);
        let again = Config::open(folder.path()).unwrap();
        assert_eq!(again.get("name").unwrap().as_deref(), Some("nobody's".as_bytes()));
    }
}
