//! A file that is written must be none of those that are read or written beside it.

use std::fs::metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Looks at `out`, which is about to be written, beside files that are there.
/// # Errors
/// It is one of them, by whatever name.
pub fn is_none_of<'p>(out: &Path, others: impl IntoIterator<Item = &'p PathBuf>) -> Result<(), String> {
    let identity = |path: &Path| metadata(path).ok().filter(|file| file.is_file()).map(|file| (file.dev(), file.ino()));
    let of_out = identity(out);
    match others.into_iter().find(|other| of_out.is_some() && identity(other) == of_out) {
        Some(other) => {
            Err(format!("{}: expected a file of its own to write to, this is {}", out.display(), other.display()))
        }
        None => Ok(()),
    }
}
