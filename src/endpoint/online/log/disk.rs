use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// What a log needs of a disk, so that tests can put one under it that fails, fills up and forgets.
pub trait Disk: Send + Sync + std::fmt::Debug {
    /// The names of the files that are there.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Opens a file, and makes it if it is not there. That it is there is durable after [`Self::sync`].
    ///
    /// # Errors
    /// It cannot be opened.
    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>>;

    /// Puts a file in the place of another, durably: afterwards the old one is there, or the new one.
    ///
    /// # Errors
    /// It cannot be written; then the old one is there.
    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// It cannot be removed.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes a file of zeros ready for the next segment, durably. Writing over them changes nothing about the file
    /// but its bytes, and is durable sooner than making it longer.
    ///
    /// # Errors
    /// It cannot be written.
    fn prepare(&self, length: u64) -> io::Result<()>;

    /// Gives the file that is ready a name, durably.
    ///
    /// # Errors
    /// There is none, or it cannot be renamed.
    fn take_prepared(&self, name: &str) -> io::Result<()>;

    /// Makes durable which files are there.
    ///
    /// # Errors
    /// The disk says that it did not.
    fn sync(&self) -> io::Result<()>;

    /// Bytes that are free, if that is known.
    fn free(&self) -> Option<u64>;
}

/// A file of a log.
pub trait LogFile: Send + Sync + std::fmt::Debug {
    /// Its length in bytes.
    ///
    /// # Errors
    /// The disk cannot say.
    fn length(&self) -> io::Result<u64>;

    /// Writes bytes at a place.
    ///
    /// # Errors
    /// Not all of them were written; some may have been.
    fn write_at(&self, place: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads bytes at a place: as many as asked for, or up to the end of the file.
    ///
    /// # Errors
    /// They cannot be read.
    fn read_at(&self, place: u64, bytes: &mut [u8]) -> io::Result<usize>;

    /// Cuts it to a length.
    ///
    /// # Errors
    /// It cannot be cut.
    fn cut(&self, length: u64) -> io::Result<()>;

    /// Makes durable what was written.
    ///
    /// # Errors
    /// The disk says that it did not.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the file system.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    is_read_only: bool,
}

impl Folder {
    /// A folder, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self { path: path.to_owned(), is_read_only: false })
    }

    /// A folder whose files are only read; none is created.
    #[must_use]
    pub fn read_only(path: &Path) -> Self {
        Self { path: path.to_owned(), is_read_only: true }
    }
}

/// The end of the name of a file that is not finished.
const UNFINISHED: &str = ".tmp";
/// The file that is ready for what is to come.
const PREPARED: &str = "next.tmp";
/// Zeros that are written at once.
const ZEROS: usize = 1024 * 1024;

impl Disk for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.ends_with(UNFINISHED) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        let mut options = OpenOptions::new();
        let writes = !self.is_read_only;
        let file = options.read(true).write(writes).create(writes).truncate(false);
        Ok(Box::new(file.open(self.path.join(name))?))
    }

    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let unfinished = self.path.join(format!("{name}{UNFINISHED}"));
        std::fs::write(&unfinished, content)?;
        File::open(&unfinished)?.sync_all()?;
        std::fs::rename(&unfinished, self.path.join(name))?;
        self.sync()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn prepare(&self, length: u64) -> io::Result<()> {
        let file = File::create(self.path.join(PREPARED))?;
        let zeros = vec![0; ZEROS];
        let mut place = 0;
        while place < length {
            let n = usize::try_from(length - place).unwrap_or(ZEROS).min(ZEROS);
            file.write_at(place, &zeros[..n])?;
            // A little at a time: what others write does not wait behind all of it.
            file.sync_data()?;
            place += n as u64;
        }
        file.sync_all()
    }

    fn take_prepared(&self, name: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(PREPARED), self.path.join(name))?;
        Disk::sync(self)
    }

    #[cfg(unix)]
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    #[cfg(not(unix))]
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(unix)]
    fn free(&self) -> Option<u64> {
        let about = rustix::fs::statvfs(&self.path).ok()?;
        Some(about.f_bavail.saturating_mul(about.f_frsize))
    }

    #[cfg(not(unix))]
    fn free(&self) -> Option<u64> {
        None
    }
}

impl LogFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    #[cfg(unix)]
    fn write_at(&self, place: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, place)
    }

    #[cfg(windows)]
    fn write_at(&self, mut place: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = std::os::windows::fs::FileExt::seek_write(self, bytes, place)?;
            (place, bytes) = (place + n as u64, &bytes[n..]);
        }
        Ok(())
    }

    fn read_at(&self, place: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < bytes.len() {
            #[cfg(unix)]
            let read = std::os::unix::fs::FileExt::read_at;
            #[cfg(windows)]
            let read = std::os::windows::fs::FileExt::seek_read;
            match read(self, &mut bytes[done..], place + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
