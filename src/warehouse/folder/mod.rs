//! The folder of a project: the only module that opens, writes, renames or removes a project's files.
//!
//! A project may come from somebody else, so nothing in it is trusted. Every path is relative to the folder
//! and is opened one component at a time from the handle of the component before, never through a link. A
//! link, pipe, socket or device in one of the project's places is refused with its path, and only files with
//! names that Full Circle made are removed. `unix` does this with handles. On other systems `portable` looks
//! at each component before it uses it, which does not protect against a link that appears in between.

#[cfg(any(test, not(unix)))]
mod portable;
#[cfg(unix)]
mod unix;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

#[cfg(not(unix))]
use portable::Directory;
#[cfg(unix)]
use unix::Directory;

use crate::{Error, Result};

/// The largest text file that is read from a project, in bytes.
const MAX_TEXT_BYTES: u64 = 256 << 20;
/// The deepest folder below a place that is searched for links.
const MAX_DEPTH: usize = 16;

/// The folder of a project.
#[derive(Debug)]
pub struct ProjectFolder {
    path: PathBuf,
    root: Directory,
}

/// What a directory entry is, links not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An ordinary file, and how many names it has.
    File(u64),
    Folder,
    Link,
    /// A pipe, socket or device.
    Special(&'static str),
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::File(_) => "a file",
            Self::Folder => "a folder",
            Self::Link => "a link",
            Self::Special(name) => name,
        }
    }
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// As the system's settings for new files say.
    Default,
    /// Only its owner.
    Owner,
}

impl ProjectFolder {
    /// Opens a folder, and makes it if it does not exist. The path itself may lead through links.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be made or opened.
    pub fn create(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(Error::io("make the project folder", path))?;
        Self::open(path)
    }

    /// Opens a folder that exists. The path itself may lead through links.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such folder, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = || Error::io("open the project folder", path);
        let root = Directory::open(path).map_err(failed())?;
        Ok(Self { path: path.canonicalize().map_err(failed())?, root })
    }

    /// The path of the folder, without links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a place, to name it in a message.
    #[must_use]
    pub fn path_of(&self, place: &str) -> PathBuf {
        self.path.join(place)
    }

    /// Makes a folder and those above it, unless they are there.
    ///
    /// # Errors
    /// [`Error::Place`] if a link or a file is there; [`Error::Io`] if it cannot be made.
    pub fn make_folder(&self, place: &str) -> Result<()> {
        self.directory(place, true).map(|_| ())
    }

    /// The names in a folder, sorted; names that are not UTF-8 are left out. Empty if there is no folder.
    ///
    /// # Errors
    /// [`Error::Place`] if a link or a file is there; [`Error::Io`] if it cannot be read.
    pub fn names(&self, place: &str) -> Result<Vec<String>> {
        let Some(directory) = self.directory(place, false)? else { return Ok(Vec::new()) };
        let names = directory.names().map_err(Error::io("read", &self.path_of(place)))?;
        let mut names: Vec<String> =
            names.into_iter().filter_map(|it| it.into_string().ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a file to read it; none if it does not exist.
    ///
    /// # Errors
    /// [`Error::Place`] if something other than an ordinary file is there; [`Error::Io`] if it cannot be
    /// opened.
    pub fn open_file(&self, place: &str) -> Result<Option<File>> {
        let Some((directory, name)) = self.parent(place, false)? else { return Ok(None) };
        if self.file_kind(&directory, name, place)?.is_none() {
            return Ok(None);
        }
        let file = directory.open_file(name).map_err(|error| self.failed("read", place, error))?;
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        if is_file { Ok(Some(file)) } else { Err(self.refused(place, "no ordinary file", "file")) }
    }

    /// The bytes of a file; none if it does not exist.
    ///
    /// # Errors
    /// As [`Self::open_file`], or it has more than 256 MB.
    pub fn read(&self, place: &str) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open_file(place)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = file.take(MAX_TEXT_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.failed("read", place, error))?;
        if bytes.len() as u64 > MAX_TEXT_BYTES {
            let error = io::Error::other("it has more than 256 MB");
            return Err(self.failed("read", place, error));
        }
        Ok(Some(bytes))
    }

    /// The text of a file; none if it does not exist.
    ///
    /// # Errors
    /// As [`Self::read`], or it is not UTF-8.
    pub fn read_text(&self, place: &str) -> Result<Option<String>> {
        let text = self.read(place)?.map(String::from_utf8).transpose();
        text.map_err(|error| self.failed("read", place, io::Error::other(error)))
    }

    /// Writes a file: first beside it, then renamed, so that it is whole or as it was.
    ///
    /// # Errors
    /// [`Error::Place`] if something other than an ordinary file is there; [`Error::Io`] if it cannot be
    /// written.
    pub fn write(&self, place: &str, content: &[u8], access: Access) -> Result<()> {
        let temporary = format!("{place}.new");
        let mut file = self.create_file(&temporary, access)?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        written.map_err(|error| self.failed("write", place, error))?;
        self.rename(&temporary, place)
    }

    /// Creates an empty file to write to, in place of one of that name. Folders above it are made.
    ///
    /// # Errors
    /// [`Error::Place`] if something other than an ordinary file is there; [`Error::Io`] if it cannot be
    /// created.
    pub fn create_file(&self, place: &str, access: Access) -> Result<File> {
        let Some((directory, name)) = self.parent(place, true)? else {
            return Err(self.refused(place, "not there", "folder"));
        };
        let failed = |error| self.failed("write", place, error);
        if self.file_kind(&directory, name, place)?.is_some() {
            directory.remove(name).map_err(failed)?;
        }
        directory.create_file(name, access).map_err(failed)
    }

    /// Renames a file; one that has the other name is replaced.
    ///
    /// # Errors
    /// [`Error::Place`] if something other than an ordinary file has either name; [`Error::Io`] if it
    /// cannot be renamed.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (Some((source, old)), Some((target, new))) =
            (self.parent(from, false)?, self.parent(to, true)?)
        else {
            return Err(self.refused(from, "not there", "file"));
        };
        self.file_kind(&source, old, from)?;
        self.file_kind(&target, new, to)?;
        source.rename(old, &target, new).map_err(|error| self.failed("write", to, error))
    }

    /// Removes a file; whether there was one.
    ///
    /// # Errors
    /// [`Error::Place`] if something other than an ordinary file is there; [`Error::Io`] if it cannot be
    /// removed.
    pub fn remove(&self, place: &str) -> Result<bool> {
        let Some((directory, name)) = self.parent(place, false)? else { return Ok(false) };
        if self.file_kind(&directory, name, place)?.is_none() {
            return Ok(false);
        }
        directory.remove(name).map_err(|error| self.failed("remove", place, error))?;
        Ok(true)
    }

    /// Moves a file of the project to a path of the user, where nothing is checked.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written there.
    pub fn hand_out(&self, place: &str, to: &Path) -> Result<()> {
        let Some(mut file) = self.open_file(place)? else {
            return Err(self.refused(place, "not there", "file"));
        };
        if std::fs::rename(self.path_of(place), to).is_ok() {
            return Ok(());
        }
        let copied = File::create(to).and_then(|mut to| io::copy(&mut file, &mut to));
        copied.map_err(Error::io("write", to))?;
        self.remove(place)?;
        Ok(())
    }

    /// The path of a file for a library that opens it by path and writes to it in place. The file need not
    /// exist; if it does, it has only this name.
    ///
    /// # Errors
    /// [`Error::Place`] if a link or something other than an ordinary file is there.
    pub fn checked_path(&self, place: &str) -> Result<PathBuf> {
        if let Some((directory, name)) = self.parent(place, false)?
            && let Some(Kind::File(links)) = self.file_kind(&directory, name, place)?
            && links > 1
        {
            return Err(self.refused(place, "a file with a second name (a hard link)", "file"));
        }
        Ok(self.path_of(place))
    }

    /// Refuses anything but an ordinary file with one name or nothing at a place, where `is_folder` anything
    /// but a folder or nothing; and any link, pipe, socket or device below it.
    ///
    /// # Errors
    /// [`Error::Place`] that names the first of them; [`Error::Io`] if a folder cannot be read.
    pub fn check(&self, place: &str, is_folder: bool) -> Result<()> {
        if !is_folder {
            return self.checked_path(place).map(|_| ());
        }
        match self.directory(place, false)? {
            Some(directory) => self.check_below(&directory, place, 0),
            None => Ok(()),
        }
    }

    fn check_below(&self, directory: &Directory, place: &str, depth: usize) -> Result<()> {
        let failed = |error| self.failed("read", place, error);
        if depth > MAX_DEPTH {
            return Err(self.refused(place, "nested more than 16 folders deep", "folder"));
        }
        for name in directory.names().map_err(failed)? {
            let inner = format!("{place}/{}", name.to_string_lossy());
            match directory.kind(&name).map_err(failed)? {
                Some(Kind::Folder) => match directory.folder(&name) {
                    Ok(folder) => self.check_below(&folder, &inner, depth + 1)?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(failed(error)),
                },
                None | Some(Kind::File(_)) => {}
                Some(kind) => return Err(self.refused(&inner, kind.name(), "file")),
            }
        }
        Ok(())
    }

    /// The kind of an entry that must be an ordinary file; none if there is nothing.
    fn file_kind(&self, directory: &Directory, name: &OsStr, place: &str) -> Result<Option<Kind>> {
        match directory.kind(name).map_err(|error| self.failed("look at", place, error))? {
            Some(kind @ Kind::File(_)) => Ok(Some(kind)),
            Some(kind) => Err(self.refused(place, kind.name(), "file")),
            None => Ok(None),
        }
    }

    /// The directory above a place, and its name there.
    fn parent<'p>(&self, place: &'p str, make: bool) -> Result<Option<(Directory, &'p OsStr)>> {
        let path = Path::new(place);
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(self.refused(place, "outside of the project", "file"));
        };
        let Some(above) = above.to_str() else { return Ok(None) };
        Ok(self.directory(above, make)?.map(|directory| (directory, name)))
    }

    /// The directory at a place; the root at the empty one.
    fn directory(&self, place: &str, make: bool) -> Result<Option<Directory>> {
        let failed = |error| self.failed("open", place, error);
        let mut directory = self.root.try_clone().map_err(failed)?;
        let mut walked = PathBuf::new();
        for component in Path::new(place).components() {
            let name = match component {
                Component::CurDir => continue,
                Component::Normal(name) => name,
                _ => return Err(self.refused(place, "outside of the project", "folder")),
            };
            walked.push(name);
            match directory.kind(name).map_err(failed)? {
                Some(Kind::Folder) => {}
                Some(kind) => {
                    return Err(self.refused(&walked.to_string_lossy(), kind.name(), "folder"));
                }
                None if make => {
                    directory
                        .make_folder(name)
                        .map_err(Error::io("write in the project", &self.path.join(&walked)))?;
                }
                None => return Ok(None),
            }
            directory = directory.folder(name).map_err(failed)?;
        }
        Ok(Some(directory))
    }

    fn refused(&self, place: &str, found: &'static str, wanted: &'static str) -> Error {
        Error::Place { path: self.path_of(place), found, wanted }
    }

    fn failed(&self, action: &'static str, place: &str, error: io::Error) -> Error {
        Error::io(action, &self.path_of(place))(error)
    }
}

/// The names of directory entries, `.` and `..` left out.
fn is_entry(name: &OsString) -> bool {
    name != "." && name != ".."
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, ProjectFolder) {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("outside")).unwrap();
        std::fs::write(place.path().join("outside/secret"), "secret").unwrap();
        let folder = ProjectFolder::create(&place.path().join("project")).unwrap();
        (place, folder)
    }

    #[test]
    fn a_file_is_written_read_renamed_and_removed() {
        let (_place, folder) = folder();
        assert_eq!(folder.read_text("views/a.toml").unwrap(), None);
        assert!(folder.names("views").unwrap().is_empty());
        folder.write("views/a.toml", b"one", Access::Default).unwrap();
        folder.write("views/a.toml", b"two", Access::Owner).unwrap();
        assert_eq!(folder.names("views").unwrap(), ["a.toml"]);
        folder.rename("views/a.toml", "runs/x/b.toml").unwrap();
        assert_eq!(folder.read_text("runs/x/b.toml").unwrap().as_deref(), Some("two"));
        assert!(folder.remove("runs/x/b.toml").unwrap());
        assert!(!folder.remove("runs/x/b.toml").unwrap());
    }

    #[test]
    fn no_operation_follows_a_link_or_leaves_the_folder() {
        let (place, folder) = folder();
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(place.path().join(to), folder.path_of(name)).unwrap();
        };
        link("outside/secret", "file");
        link("outside", "views");
        link("nowhere", "gone");
        folder.make_folder("own").unwrap();
        link("outside", "own/deep");
        for file in ["file", "views/secret", "own/deep/secret", "../outside/secret", "gone"] {
            assert!(folder.read(file).is_err(), "{file}");
            assert!(folder.write(file, b"", Access::Default).is_err(), "{file}");
            assert!(folder.create_file(file, Access::Default).is_err(), "{file}");
            assert!(folder.remove(file).is_err(), "{file}");
            assert!(folder.checked_path(file).is_err(), "{file}");
            folder.write("here", b"", Access::Default).unwrap();
            assert!(folder.rename("here", file).is_err(), "{file}");
            assert!(folder.rename(file, "there").is_err(), "{file}");
        }
        for place in ["views", "own", "own/deep", ".."] {
            assert!(folder.check(place, true).is_err(), "{place}");
        }
        assert!(folder.names("views").is_err());
        assert!(folder.make_folder("own/deep/new").is_err());
        let absolute = place.path().join("outside/secret").display().to_string();
        assert!(folder.read(&absolute).is_err());
        assert_eq!(std::fs::read_to_string(absolute).unwrap(), "secret");
        let error = folder.read("views/secret").unwrap_err().to_string();
        assert!(error.contains("views' is a link"), "{error}");
    }

    #[test]
    fn pipes_and_hard_links_are_not_opened() {
        let (place, folder) = folder();
        let pipe = folder.path_of("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        let error = folder.read("pipe").unwrap_err().to_string();
        assert!(error.contains("a pipe"), "{error}");
        std::fs::hard_link(place.path().join("outside/secret"), folder.path_of("twin")).unwrap();
        assert!(folder.checked_path("twin").is_err());
        folder.write("twin", b"other", Access::Default).unwrap();
        assert_eq!(std::fs::read_to_string(place.path().join("outside/secret")).unwrap(), "secret");
    }

    #[test]
    fn the_portable_directory_sees_the_same() {
        let (place, folder) = folder();
        std::os::unix::fs::symlink(place.path().join("outside"), folder.path_of("link")).unwrap();
        let directory = portable::Directory::open(folder.path()).unwrap();
        assert_eq!(directory.kind(OsStr::new("link")).unwrap(), Some(Kind::Link));
        assert_eq!(directory.kind(OsStr::new("none")).unwrap(), None);
        assert!(directory.folder(OsStr::new("link")).is_err());
        directory.make_folder(OsStr::new("own")).unwrap();
        let own = directory.folder(OsStr::new("own")).unwrap();
        drop(own.create_file(OsStr::new("a"), Access::Default).unwrap());
        assert!(own.create_file(OsStr::new("a"), Access::Default).is_err());
        own.rename(OsStr::new("a"), &directory, OsStr::new("b")).unwrap();
        assert_eq!(directory.open_file(OsStr::new("b")).unwrap().metadata().unwrap().len(), 0);
        directory.remove(OsStr::new("b")).unwrap();
        assert!(own.try_clone().unwrap().names().unwrap().is_empty());
    }
}
