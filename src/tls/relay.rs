//! A link and the plain bytes on its other side: copies both ways, each with a bound, and passes on the end of each.
//!
//! ```text
//!            read, decrypt                    write
//!   peer ==================> Link ---------------------------> inner
//!        <==================      <--------------------------- (one end of a pair)
//!            write            encrypt      read, when all before was sent
//! ```
//!
//! Backpressure: the peer's socket is read only when the inner side took all that came before, the inner side is read only
//! when the peer took all that was sent before. So a relay holds at most one record and what was read once each way, and
//! whoever does not read stops nobody but the one who writes to it.
//!
//! Ends: what one side sent before its end reaches the other, then the end: `close_notify` and the socket's end to the
//! peer, the socket's end to the inner side. An inner side that is gone altogether was still read to its last byte.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use super::link::{Link, LinkError, Plain};

/// Plain bytes that went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// From the peer.
    pub received: u64,
    /// To the peer.
    pub sent: u64,
    /// Anything at all happened.
    pub work: usize,
}

/// The relay.
pub struct Relay {
    link: Link,
    inner: UnixStream,
    is_readable: bool,
    is_writable: bool,
    /// The inner side is closing, though it may have more to say.
    is_closing: bool,
    /// The peer's end was passed on.
    has_peer_ended: bool,
    /// The inner side takes no more: what the peer still says is thrown away.
    is_deaf: bool,
    /// The inner side's end was put into the link,
    has_inner_ended: bool,
    /// and was sent.
    is_link_shut: bool,
}

impl Relay {
    /// Between a link whose handshake is done and one end of a pair.
    pub fn new(link: Link, inner: UnixStream) -> Relay {
        Relay {
            link,
            inner,
            is_readable: true,
            is_writable: true,
            is_closing: false,
            has_peer_ended: false,
            is_deaf: false,
            has_inner_ended: false,
            is_link_shut: false,
        }
    }

    /// Asks for the inner side's readiness.
    ///
    /// # Errors
    /// What the system says.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.inner, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Asks for no readiness any more.
    pub fn deregister(&mut self, registry: &Registry) {
        self.link.deregister(registry);
        let _ = registry.deregister(&mut self.inner);
    }

    /// The peer's side, for its readiness.
    pub fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// The inner side is ready.
    pub fn ready(&mut self, event: &mio::event::Event) {
        self.is_readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.is_writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        self.is_closing |= event.is_read_closed() || event.is_error();
    }

    /// True when the inner side is closing or has closed: whatever is still owed is owed to a peer that must take it soon.
    pub fn is_closing(&self) -> bool {
        self.is_closing || self.has_inner_ended
    }

    /// True when both ends were passed on.
    pub fn is_over(&self) -> bool {
        self.has_peer_ended && self.is_link_shut
    }

    /// Moves what there is, about a buffer's worth each way. `scratch` is where bytes rest on their way out.
    ///
    /// # Errors
    /// When the peer's side is broken: then all of it is over.
    pub fn step(&mut self, scratch: &mut [u8]) -> Result<Moved, LinkError> {
        let mut moved = Moved { work: self.link.receive()?, ..Moved::default() };
        self.pass_in(&mut moved);
        self.pass_out(scratch, &mut moved)?;
        moved.work += self.link.send()?;
        if self.has_inner_ended && self.link.is_flushed() && !self.is_link_shut {
            self.link.shut();
            self.is_link_shut = true;
            moved.work += 1;
        }
        Ok(moved)
    }

    /// The peer's plain bytes, and then its end, to the inner side.
    fn pass_in(&mut self, moved: &mut Moved) {
        while !self.has_peer_ended && (self.is_writable || self.is_deaf) {
            let count = match self.link.plain() {
                Plain::Nothing => return,
                Plain::End => {
                    // Fails when the inner side is gone: then it needs no end.
                    let _ = self.inner.shutdown(Shutdown::Write);
                    self.has_peer_ended = true;
                    moved.work += 1;
                    return;
                }
                Plain::Bytes(bytes) if self.is_deaf => bytes.len(),
                Plain::Bytes(bytes) => match self.inner.write(bytes) {
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.is_writable = false;
                        return;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                    Err(_) => {
                        self.is_deaf = true;
                        0
                    }
                },
            };
            self.link.taken(count);
            moved.received += count as u64;
            moved.work += count;
        }
    }

    /// The inner side's bytes, and then its end, into the link.
    fn pass_out(&mut self, scratch: &mut [u8], moved: &mut Moved) -> Result<(), LinkError> {
        if !self.is_readable || self.has_inner_ended || !self.link.is_flushed() {
            return Ok(());
        }
        match self.inner.read(scratch) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(count) if count > 0 => {
                self.link.put(&scratch[..count])?;
                moved.sent += count as u64;
                moved.work += count;
            }
            // Closed; or reset, since it closed with bytes unread. All that it had said was read before either is told.
            Ok(_) | Err(_) => {
                self.link.put_end();
                self.has_inner_ended = true;
                moved.work += 1;
            }
        }
        Ok(())
    }
}
