//! One engine a directory: a lock that the kernel gives back when its holder ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{}: another engine uses this directory (process {holder})", directory.display())]
    Held {
        /// The directory.
        directory: PathBuf,
        /// The process that holds it, as it wrote itself down.
        holder: String,
    },
    /// The system.
    #[error("{}: cannot be locked: {source}", directory.display())]
    System {
        /// The directory.
        directory: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// A locked directory, as long as this value lives.
#[derive(Debug)]
pub struct DirectoryLock(#[allow(dead_code)] File);

impl DirectoryLock {
    /// Locks `directory` by the file `lock` in it; both are created if they are not there.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(directory: &Path) -> Result<DirectoryLock, LockError> {
        let failed = |source| LockError::System { directory: directory.into(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        let path = directory.join("lock");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // It says who it is only for people: without it the refusal stands all the same.
                let _ = file.read_to_string(&mut holder);
                return Err(LockError::Held { directory: directory.into(), holder: holder.trim().into() });
            }
        }
        let written = file.set_len(0).and_then(|()| file.rewind());
        written.and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(DirectoryLock(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_engine_is_refused_and_told_who_has_it_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("new");
        let lock = DirectoryLock::take(&place).unwrap();
        let refused = DirectoryLock::take(&place).unwrap_err().to_string();
        let expected = format!("another engine uses this directory (process {})", std::process::id());
        assert!(refused.ends_with(&expected), "{refused}");
        drop(lock);
        DirectoryLock::take(&place).unwrap();
    }
}
