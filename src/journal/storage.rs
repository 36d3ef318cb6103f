//! The file operations that the journal needs, so that a test can crash at each of them.
//!
//! What a medium is assumed to do: what was synced stays; what was not may be there, in parts, in any order of its sectors, or
//! not at all; a create, rename or remove is certain only when the directory was synced after it; a sync that failed has told
//! its failure once and may have thrown the bytes away, so it is never repeated.

pub mod simulated;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

/// One directory of files.
pub trait Storage: Send {
    /// A file that is being written.
    type File: Send;
    /// A file's bytes.
    type Bytes: Deref<Target = [u8]> + Sync;

    /// Creates a file that is not there yet.
    ///
    /// # Errors
    /// What the system says; so for all others.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;
    /// Opens a file that is there, to sync it: who wrote it may have been killed before that.
    ///
    /// # Errors
    /// See [`Self::create`].
    fn open(&mut self, name: &str) -> io::Result<Self::File>;
    /// Appends all of the bytes. After an error any part of them may be there.
    ///
    /// # Errors
    /// See [`Self::create`].
    fn append(&mut self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    /// Returns when all that was appended is on disk (`fdatasync`). Never to be repeated after an error.
    ///
    /// # Errors
    /// See [`Self::create`].
    fn sync(&mut self, file: &mut Self::File) -> io::Result<()>;
    /// Gives a file another name, in place of the file that has it.
    ///
    /// # Errors
    /// See [`Self::create`].
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Deletes a file.
    ///
    /// # Errors
    /// See [`Self::create`].
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Returns when all creates, renames and removes are on disk.
    ///
    /// # Errors
    /// See [`Self::create`].
    fn sync_directory(&mut self) -> io::Result<()>;
    /// The names of all files, sorted.
    ///
    /// # Errors
    /// See [`Self::create`].
    fn list(&self) -> io::Result<Vec<String>>;
    /// All bytes of a file that nobody writes any more.
    ///
    /// # Errors
    /// See [`Self::create`].
    fn read(&self, name: &str) -> io::Result<Self::Bytes>;
}

/// A directory of the file system.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`, created if it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path) -> io::Result<Directory> {
        fs::create_dir_all(path)?;
        let directory = Directory { path: path.canonicalize()? };
        if let Some(parent) = directory.path.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(directory)
    }

    /// The directory at `path`, which is there: to be read only.
    pub fn existing(path: &Path) -> Directory {
        Directory { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Storage for Directory {
    type File = File;
    type Bytes = Mapped;

    fn create(&mut self, name: &str) -> io::Result<File> {
        OpenOptions::new().append(true).create_new(true).open(self.path.join(name))
    }

    fn open(&mut self, name: &str) -> io::Result<File> {
        OpenOptions::new().append(true).open(self.path.join(name))
    }

    fn append(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&mut self, file: &mut File) -> io::Result<()> {
        file.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = vec![];
        for entry in fs::read_dir(&self.path)? {
            // A name that is no text is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Mapped> {
        map(&File::open(self.path.join(name))?).map(Mapped)
    }
}

/// A mapped file.
pub struct Mapped(Mmap);

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: needs that nobody truncates or changes the file while it is mapped. The journal only ever appends to the one
    // file that it created itself in this run, and reads only files that were there before or that it has closed: nobody
    // writes those, and one that is renamed over or removed stays as it is while it is mapped. The directory's lock keeps out
    // a second engine. `journal inspect` beside a running engine maps the active file too: appends do not change what was
    // mapped, and the journal truncates nothing.
    unsafe { Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_are_renamed_read_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let mut storage = Directory::create(&directory.path().join("a/b")).unwrap();
        let mut file = storage.create("x.new").unwrap();
        assert!(storage.create("x.new").is_err(), "never over an existing file");
        storage.append(&mut file, b"first ").unwrap();
        storage.append(&mut file, b"second").unwrap();
        storage.sync(&mut file).unwrap();
        storage.rename("x.new", "x").unwrap();
        storage.create("empty").unwrap();
        storage.sync_directory().unwrap();
        assert_eq!(storage.list().unwrap(), ["empty", "x"]);
        assert_eq!((&*storage.read("x").unwrap(), &*storage.read("empty").unwrap()), (&b"first second"[..], &b""[..]));
        storage.remove("x").unwrap();
        assert!(storage.read("x").is_err());
    }
}
