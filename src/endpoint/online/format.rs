//! The file that names the format of a data folder.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use crate::{Error, Result};

/// The name of the file.
pub(super) const FORMAT_FILE: &str = "FORMAT";

/// Checks that a folder has a format from `oldest` to `current`, and writes `current` into it.
///
/// # Errors
/// The file has another format or none, or it cannot be read or written; then it stays as it is.
pub(super) fn check(folder: &Path, oldest: u32, current: u32) -> Result<()> {
    let file = folder.join(FORMAT_FILE);
    let text = match std::fs::read(&file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if folder.join("keyspaces").exists() {
                return Err(Error::TooOld { found: 1 });
            }
            // What the log holds says by itself in which format it is.
            return write(folder, current).map_err(Error::store("write its format"));
        }
        Err(error) => {
            let message = format!("{}: {error}", file.display());
            return Err(Error::Store { action: "read its format", message });
        }
    };
    // A start that was interrupted left the file empty, and nothing beside it.
    if text.is_empty() && !folder.join("log").exists() {
        return write(folder, current).map_err(Error::store("write its format"));
    }
    match text.parse::<u32>() {
        Ok(found) if found == current => Ok(()),
        Ok(found) if (oldest..current).contains(&found) => {
            write(folder, current).map_err(Error::store("write its format"))
        }
        Ok(found) if found > current => Err(Error::TooNew { found, known: current }),
        Ok(found) => Err(Error::TooOld { found }),
        Err(_) => Err(Error::Store {
            action: "read its format",
            message: format!(
                "{} is damaged: it has '{}' in it instead of a number; put it back from a backup, or write {current} \
                 into it if this program used the folder last",
                file.display(),
                text.chars().take(20).collect::<String>()
            ),
        }),
    }
}

/// Writes the file durably: afterwards the old one is there, or the new one.
pub(super) fn write(folder: &Path, format: u32) -> io::Result<()> {
    let unfinished = folder.join(format!("{FORMAT_FILE}.tmp"));
    let mut file = File::create(&unfinished)?;
    file.write_all(format.to_string().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, folder.join(FORMAT_FILE))?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FORMAT_FILE), text).unwrap();
        folder
    }

    fn format_of(folder: &tempfile::TempDir) -> String {
        std::fs::read_to_string(folder.path().join(FORMAT_FILE)).unwrap()
    }

    #[test]
    fn formats_are_read_up_to_the_current_one() {
        for (text, is_read) in [("1", false), ("2", true), ("3", true), (" 4\n", true)] {
            let folder = with(text.as_bytes());
            assert_eq!(check(folder.path(), 2, 4).is_ok(), is_read, "{text}");
            assert_eq!(format_of(&folder).trim(), if is_read { "4" } else { text });
        }
        assert!(matches!(
            check(with(b"5").path(), 2, 4),
            Err(Error::TooNew { found: 5, known: 4 })
        ));
        let new = tempfile::tempdir().unwrap();
        check(new.path(), 2, 4).unwrap();
        assert_eq!(format_of(&new), "4");
    }

    #[test]
    fn a_damaged_file_is_reported_as_that_and_stays() {
        for text in [&b""[..], b"four", b"\xff\xfe", b"-1", b"99999999999"] {
            let folder = with(text);
            std::fs::create_dir(folder.path().join("log")).unwrap();
            let error = check(folder.path(), 2, 4).unwrap_err().to_string();
            assert!(error.contains("is damaged") && error.contains("backup"), "{error}");
            assert_eq!(std::fs::read(folder.path().join(FORMAT_FILE)).unwrap(), text);
        }
        let interrupted = with(b"");
        check(interrupted.path(), 2, 4).unwrap();
        // A folder where the file should be cannot be read, and is not replaced.
        let unreadable = tempfile::tempdir().unwrap();
        std::fs::create_dir(unreadable.path().join(FORMAT_FILE)).unwrap();
        assert!(
            check(unreadable.path(), 2, 4).unwrap_err().to_string().contains("read its format")
        );
    }
}
