use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{Access, Kind};

/// A directory by its path, for systems without handles of directories. Each name is looked at before it is
/// used: a link that is there is refused, one that appears in between is not.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    /// Opens a directory by any path.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        if path.is_dir() { Ok(Self(path)) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }

    pub(super) fn kind(&self, name: &OsStr) -> io::Result<Option<Kind>> {
        let found = match std::fs::symlink_metadata(self.0.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found?.file_type(),
        };
        Ok(Some(match found {
            found if found.is_symlink() => Kind::Link,
            found if found.is_file() => Kind::File(1),
            found if found.is_dir() => Kind::Folder,
            _ => Kind::Special("no ordinary file"),
        }))
    }

    pub(super) fn folder(&self, name: &OsStr) -> io::Result<Self> {
        match self.kind(name)? {
            Some(Kind::Folder) => Ok(Self(self.0.join(name))),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Makes a folder, unless there is one.
    pub(super) fn make_folder(&self, name: &OsStr) -> io::Result<()> {
        match std::fs::create_dir(self.0.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    pub(super) fn open_file(&self, name: &OsStr) -> io::Result<File> {
        File::open(self.0.join(name))
    }

    /// Creates a file. Who may read it is as for every new file of its folder.
    pub(super) fn create_file(&self, name: &OsStr, _access: Access) -> io::Result<File> {
        File::create_new(self.0.join(name))
    }

    pub(super) fn rename(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        std::fs::rename(self.0.join(name), to.0.join(new))
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        let entries = std::fs::read_dir(&self.0)?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.retain(super::is_entry);
        Ok(names)
    }
}
