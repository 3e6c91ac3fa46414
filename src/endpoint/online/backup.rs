use std::io::{self, Read as _};
use std::path::Path;

use super::{format, room};
use crate::{Error, Result};

/// In a copy that no endpoint has begun with yet.
pub(crate) const COPY_FILE: &str = "COPY";

/// A file of a copy for people, and what it says.
const README_FILE: &str = "README.txt";
const README: &str = "\
This is a backup of a Full Circle endpoint. It keeps the data of customers who are erased after it was made.
An endpoint that starts from it (fullcircle serve --data FOLDER) repeats those erasures: it reads them from the
file erasures.jsonl in this folder or beside it. Copy that file along when you move a backup.
";

/// Makes a folder that only its owner can look into.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The files of a part of a data folder, each with its length if it still grows.
type Files = [(String, Option<u64>)];

/// Copies parts of a data folder into another folder. Either all of it is there afterwards, or nothing.
///
/// # Errors
/// [`Error::Full`] if there is too little room; any other if it cannot be written.
pub(super) fn make(data: &Path, to: &Path, parts: &[(&str, &Files)], format: u32) -> Result<()> {
    // Files that do not change any more get a second name, which takes no room.
    let growing = parts.iter().flat_map(|(_, files)| *files).filter_map(|(_, length)| *length);
    room::for_bytes(data, growing.sum(), "a backup")?;
    let made = copy_all(data, to, parts, format);
    if made.is_err()
        && let Err(error) = std::fs::remove_dir_all(to)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, folder = %to.display(), "half a backup cannot be removed");
    }
    made.map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull => Error::Full(format!("a backup has no room: {error}")),
        _ => Error::store("make a backup")(error),
    })
}

fn copy_all(data: &Path, to: &Path, parts: &[(&str, &Files)], format: u32) -> io::Result<()> {
    for (name, files) in parts {
        let (from, to) = (data.join(name), to.join(name));
        std::fs::create_dir_all(&to)?;
        for (file, length) in *files {
            copy(&from.join(file), &to.join(file), *length)?;
        }
    }
    std::fs::write(to.join(README_FILE), README)?;
    std::fs::write(to.join(COPY_FILE), "")?;
    format::write(to, format)
}

fn copy(from: &Path, to: &Path, length: Option<u64>) -> io::Result<()> {
    // What does not change needs no more than a second name.
    if length.is_none() && std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let mut from = std::fs::File::open(from)?.take(length.unwrap_or(u64::MAX));
    let mut to = std::fs::File::create(to)?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()
}
