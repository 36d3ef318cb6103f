//! Classic pcap captures: their packets, and the UDP payloads in them.
//!
//! ```text
//!  file:    magic 4, version 2 + 2, zone 4, accuracy 4, snap length 4, link type 4; then packets
//!  packet:  seconds 4, micro- or nanoseconds 4, captured size 4, original size 4; then the captured bytes
//! ```
//!
//! The magic tells byte order and resolution. This is a walk over two fixed headers: a parser crate would bring pcapng
//! (which is no feed here) and its own buffers, and would have to be asked for the offsets that damage is reported with.
//! Source: IETF draft-ietf-opsawg-pcap; link types: tcpdump.org/linktypes.html.

pub mod writer;

pub use writer::Writer;

const FILE_HEADER_SIZE: usize = 24;
const PACKET_HEADER_SIZE: usize = 16;

/// What a pcapng file begins with.
pub const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// What stands around an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet II, with any number of VLAN tags.
    Ethernet,
    /// Nothing.
    RawIp,
}

/// Why bytes are no capture that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// It does not begin as a classic pcap does.
    #[error("not a classic pcap")]
    NotPcap,
    /// Neither Ethernet nor raw IP.
    #[error("a capture of link type {0}: only Ethernet (1) and raw IP (101, 228) are read")]
    LinkType(u16),
}

/// A packet of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When it was captured: ns since 1970.
    pub ts_capture: u64,
    /// Where its header begins in the file.
    pub offset: usize,
    /// Its captured bytes, from the link layer on.
    pub frame: &'a [u8],
}

/// The packets of a capture in the order of the file. Ends before a packet that is not whole: see [`Packets::rest`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
    ns_per_fraction: u64,
    link: Link,
}

/// True when a file that begins with these 4 bytes is a classic pcap.
pub fn is_magic(magic: [u8; 4]) -> bool {
    resolution(magic).is_some()
}

/// Byte order (true: big-endian) and nanoseconds in a unit of the second time field.
fn resolution(magic: [u8; 4]) -> Option<(bool, u64)> {
    match magic {
        [0xa1, 0xb2, 0xc3, 0xd4] => Some((true, 1_000)),
        [0xa1, 0xb2, 0x3c, 0x4d] => Some((true, 1)),
        [0xd4, 0xc3, 0xb2, 0xa1] => Some((false, 1_000)),
        [0x4d, 0x3c, 0xb2, 0xa1] => Some((false, 1)),
        _ => None,
    }
}

impl<'a> Packets<'a> {
    /// The packets of the capture `bytes`.
    pub fn new(bytes: &'a [u8]) -> Result<Packets<'a>, CaptureError> {
        let header = bytes.first_chunk::<FILE_HEADER_SIZE>().ok_or(CaptureError::NotPcap)?;
        let [a, b, c, d, ..] = *header;
        let (big_endian, ns_per_fraction) = resolution([a, b, c, d]).ok_or(CaptureError::NotPcap)?;
        let mut packets = Packets { bytes, at: 0, big_endian, ns_per_fraction, link: Link::Ethernet };
        // The upper half says how long the frame check sequence is, which stands behind all that is read here.
        packets.link = match packets.u32_at(FILE_HEADER_SIZE - 4) as u16 {
            1 => Link::Ethernet,
            101 | 228 => Link::RawIp,
            other => return Err(CaptureError::LinkType(other)),
        };
        packets.at = FILE_HEADER_SIZE;
        Ok(packets)
    }

    /// The same, from a place that [`Packets::rest`] has told.
    pub fn from(self, rest: usize) -> Packets<'a> {
        Packets { at: rest, ..self }
    }

    /// What stands around the IP packets.
    pub fn link(&self) -> Link {
        self.link
    }

    /// Offset of what was not walked: once the walk has ended the end of the file, or the header of a cut packet.
    pub fn rest(&self) -> usize {
        self.at
    }

    /// A field of a header that is known to be whole; 0 beyond the end.
    fn u32_at(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let offset = self.at;
        let captured = self.bytes.get(offset + PACKET_HEADER_SIZE..)?;
        let frame = captured.get(..self.u32_at(offset + 8) as usize)?;
        let (seconds, fraction) = (u64::from(self.u32_at(offset)), u64::from(self.u32_at(offset + 4)));
        self.at += PACKET_HEADER_SIZE + frame.len();
        Some(Packet { ts_capture: seconds * 1_000_000_000 + fraction * self.ns_per_fraction, offset, frame })
    }
}

/// The UDP payload of a captured frame. `None`: it is no IPv4, no UDP, a fragment, or too short to tell.
/// Where the snap length cut the frame, what is left of the payload.
pub fn udp_payload(link: Link, frame: &[u8]) -> Option<&[u8]> {
    let ip = match link {
        Link::Ethernet => ipv4_of_ethernet(frame)?,
        Link::RawIp => frame,
    };
    let header = ip.first_chunk::<20>()?;
    let header_size = usize::from(header[0] & 0x0f) * 4;
    // The lower 14 bits are "more fragments" and the offset: a fragment has one of them. The reserved bit and "do not
    // fragment" say nothing.
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
    if header[0] >> 4 != 4 || header_size < 20 || header[9] != 17 || fragment {
        return None;
    }
    let (udp, payload) = ip.get(header_size..)?.split_first_chunk::<8>()?;
    // Short frames are padded to 60 bytes, so that only UDP's own length tells where the payload ends.
    let size = usize::from(u16::from_be_bytes([udp[4], udp[5]])).checked_sub(8)?;
    Some(&payload[..size.min(payload.len())])
}

/// What follows the VLAN tags, if that is IPv4.
fn ipv4_of_ethernet(frame: &[u8]) -> Option<&[u8]> {
    let mut rest = frame.get(12..)?;
    loop {
        let (ether_type, after) = rest.split_first_chunk::<2>()?;
        match u16::from_be_bytes(*ether_type) {
            0x0800 => return Some(after),
            0x8100 | 0x88a8 | 0x9100 => rest = after.get(2..)?,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
