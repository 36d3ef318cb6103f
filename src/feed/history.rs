//! What a live feed has brought before, out of a recorded file: packets as a re-request server would answer with.
//!
//! An engine that starts in the middle of the day knows neither books nor last prices. A recording of the same day, even one that
//! is still being written and ends in the middle of a message, has them. It goes through the arbiter as answers to
//! re-requests do, so what it and the lines have both is taken once, and what neither has is an ordinary gap. While it is read the
//! live feed goes on, and so does a recording: what is written meanwhile is read too.
//!
//! A BinaryFILE names neither session nor day. What speaks against it: it goes on where the live feed has not been yet, or it
//! has another message under a number than the lines have.

use std::path::{Path, PathBuf};

use super::moldudp64::Header;
use super::recording::{Recording, RecordingError};
use crate::limits::{DATAGRAM_SIZE_MAX, HISTORY_PACKET_SIZE};

/// A recorded file that is read as the past of the live feed.
pub struct History {
    path: PathBuf,
    recording: Recording,
    /// The message that the next packet begins with: `None` at the end.
    next: Option<u64>,
    message: Vec<u8>,
    packet: Vec<u8>,
    /// Sequence and number of the messages in `packet`.
    first: u64,
    count: u16,
    read: u64,
}

impl History {
    /// Opens a recording: BinaryFILE or a capture, plain or gzipped.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn open(path: &Path) -> Result<History, RecordingError> {
        let recording = Recording::open(path)?;
        let message = Vec::with_capacity(DATAGRAM_SIZE_MAX);
        let packet = Vec::with_capacity(HISTORY_PACKET_SIZE + DATAGRAM_SIZE_MAX);
        let mut history =
            History { path: path.into(), recording, next: None, message, packet, first: 0, count: 0, read: 0 };
        history.advance();
        Ok(history)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The session that it names: a capture's.
    pub fn session(&self) -> Option<[u8; 10]> {
        self.recording.session()
    }

    /// Messages read so far.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// What ended it before its end.
    pub fn damage(&self) -> Option<String> {
        self.recording.damage().map(ToString::to_string)
    }

    /// The number of the first message that was not taken yet: of the packet that waits, or the next to be read.
    pub fn next(&self) -> Option<u64> {
        if self.count > 0 { Some(self.first) } else { self.next }
    }

    /// The packet that waits, or the next one: messages below `end`, one behind the other. `None`: there is none.
    pub fn packet(&mut self, session: [u8; 10], end: u64) -> Option<&[u8]> {
        if self.count == 0 {
            self.fill(session, end);
        }
        (self.count > 0).then_some(&self.packet)
    }

    /// The packet was taken.
    pub fn take(&mut self) {
        self.count = 0;
    }

    fn fill(&mut self, session: [u8; 10], end: u64) {
        let Some(first) = self.next.filter(|next| *next < end) else { return };
        self.first = first;
        self.packet.clear();
        self.packet.extend(Header { session, sequence: first, count: 0 }.bytes());
        while self.next == Some(first + u64::from(self.count))
            && first + u64::from(self.count) < end
            && self.packet.len() < HISTORY_PACKET_SIZE
        {
            // A recording's messages have a length of 16 bits.
            self.packet.extend((self.message.len() as u16).to_be_bytes());
            self.packet.extend(&self.message);
            self.count += 1;
            self.advance();
        }
        let header = Header { session, sequence: first, count: self.count }.bytes();
        self.packet[..header.len()].copy_from_slice(&header);
    }

    /// Once [`Self::next`] gave `None`: looks whether the file was written on. True: it has more.
    pub fn go_on(&mut self) -> bool {
        // A file that cannot be looked at does not go on.
        if self.recording.go_on().unwrap_or(false) {
            self.advance();
        }
        self.next.is_some()
    }

    /// Reads the next message.
    fn advance(&mut self) {
        self.message.clear();
        self.next = self.recording.next().map(|(sequence, message)| {
            self.message.extend(message);
            self.read += 1;
            sequence
        });
    }
}
