use std::io::{self, Read as _};
use std::path::Path;

/// In a copy that no endpoint has begun with yet.
pub(crate) const COPY_FILE: &str = "COPY";

/// Makes a folder that only its owner can look into.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Copies files of a folder into another: of each so many bytes, or where it does not change any more, all.
pub(super) fn copy_all(from: &Path, to: &Path, files: &[(String, Option<u64>)]) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    files.iter().try_for_each(|(file, length)| copy(&from.join(file), &to.join(file), *length))
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
