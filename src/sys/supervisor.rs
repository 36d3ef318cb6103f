//! Word to a supervisor: systemd's notification socket (`sd_notify(3)`), where there is one.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The way to the supervisor. Without one every word is lost, and that is no error.
pub struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
}

impl Supervisor {
    /// The one that started this process: it names its socket in `NOTIFY_SOCKET`.
    pub fn of_this_process() -> Supervisor {
        let name = env::var("NOTIFY_SOCKET").ok();
        Supervisor { socket: name.and_then(|name| open(&name)) }
    }

    /// The engine runs.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// It still does. With `WatchdogSec` in the unit, a supervisor that does not hear this ends the process.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// It ends.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    fn say(&self, word: &str) {
        if let Some((socket, address)) = &self.socket {
            // A supervisor that does not listen is no reason to stop.
            let _ = socket.send_to_addr(word.as_bytes(), address);
        }
    }
}

/// A path, or with `@` in front a name of the abstract space.
fn open(name: &str) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, address.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supervisor_hears_what_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let supervisor = Supervisor { socket: open(path.to_str().unwrap()) };
        supervisor.ready();
        supervisor.alive();
        supervisor.stopping();
        for expected in ["READY=1", "WATCHDOG=1", "STOPPING=1"] {
            let mut word = [0; 32];
            let size = listener.recv(&mut word).unwrap();
            assert_eq!(&word[..size], expected.as_bytes());
        }
        Supervisor { socket: open("/nowhere/notify") }.alive();
        Supervisor { socket: None }.alive();
    }
}
