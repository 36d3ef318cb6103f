//! A terminal that does not show what is typed.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;

const STDIN: libc::c_int = libc::STDIN_FILENO;

/// The terminal of standard input as it was; put back when dropped, also when reading fails.
struct Shown(libc::termios);

impl Drop for Shown {
    fn drop(&mut self) {
        // SAFETY: the call reads the structure, which `tcgetattr` has filled.
        unsafe { libc::tcsetattr(STDIN, libc::TCSANOW, &self.0) };
    }
}

/// Reads a line from standard input, which is a terminal, without echo.
///
/// # Errors
/// What the system says.
pub fn read_hidden() -> io::Result<String> {
    let mut settings = MaybeUninit::uninit();
    // SAFETY: the call writes the structure that it is given room for.
    if unsafe { libc::tcgetattr(STDIN, settings.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, so it has filled the structure.
    let shown = Shown(unsafe { settings.assume_init() });
    let mut hidden = shown.0;
    hidden.c_lflag &= !libc::ECHO;
    // SAFETY: the call reads the structure, which is a copy of a filled one.
    if unsafe { libc::tcsetattr(STDIN, libc::TCSANOW, &hidden) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line)
}
