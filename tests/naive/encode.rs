//! Messages, files and captures, written.

use std::io::Write;

use super::itch;

/// A message of `kind` with its header and zeros behind it.
pub fn message(kind: u8, locate: u16, ts: u64) -> Vec<u8> {
    let mut m = vec![0; itch::length(kind).unwrap_or(12)];
    m[0] = kind;
    put(&mut m, 1, 2, locate.into());
    put(&mut m, 5, 6, ts);
    m
}

/// Writes a big-endian integer.
pub fn put(m: &mut [u8], offset: usize, size: usize, value: u64) {
    m[offset..offset + size].copy_from_slice(&value.to_be_bytes()[8 - size..]);
}

/// Writes text padded with spaces to 8 bytes.
pub fn text(m: &mut [u8], offset: usize, text: &str) {
    m[offset..offset + 8].fill(b' ');
    m[offset..offset + text.len()].copy_from_slice(text.as_bytes());
}

/// Where the symbol stands in the types that have one.
pub fn symbol_offset(kind: u8) -> Option<usize> {
    Some(match kind {
        b'R' | b'H' | b'Y' | b'K' | b'J' | b'h' | b'N' | b'O' => 11,
        b'L' => 15,
        b'A' | b'F' | b'P' => 24,
        b'Q' => 19,
        b'I' => 28,
        _ => return None,
    })
}

/// A BinaryFILE without its end-of-session marker.
pub fn binary_file(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for m in messages {
        out.extend((m.len() as u16).to_be_bytes());
        out.extend(m);
    }
    out
}

/// A gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    member.write_all(bytes).expect("memory takes all");
    member.finish().expect("memory takes all")
}

/// A MoldUDP64 packet; `count` stands in it as it is given.
pub fn moldudp64(session: &str, sequence: u64, count: u16, blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("{session:<10}").into_bytes();
    out.extend(sequence.to_be_bytes());
    out.extend(count.to_be_bytes());
    out.extend(binary_file(blocks));
    out
}

/// How a capture is written.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub little: bool,
    pub nanoseconds: bool,
    pub ethernet: bool,
    pub vlan_tags: usize,
}

impl Default for Form {
    fn default() -> Form {
        Form { little: true, nanoseconds: true, ethernet: true, vlan_tags: 1 }
    }
}

/// A pcap that grows.
pub struct Capture {
    form: Form,
    pub bytes: Vec<u8>,
}

impl Capture {
    pub fn new(form: Form) -> Capture {
        let mut capture = Capture { form, bytes: Vec::new() };
        capture.u32(if form.nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 });
        capture.u16(2);
        capture.u16(4);
        for field in [0, 0, 65_535, if form.ethernet { 1 } else { 101 }] {
            capture.u32(field);
        }
        capture
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(if self.form.little { value.to_le_bytes() } else { value.to_be_bytes() });
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend(if self.form.little { value.to_le_bytes() } else { value.to_be_bytes() });
    }

    /// A frame, of which `snap` bytes are captured at most.
    pub fn frame(&mut self, frame: &[u8], snap: usize) {
        let captured = &frame[..snap.min(frame.len())];
        for field in [1, 2, captured.len() as u32, frame.len() as u32] {
            self.u32(field);
        }
        self.bytes.extend(captured);
    }

    /// A UDP datagram around `payload`; `fragment` stands in the field of flags and fragment offset.
    pub fn datagram(&mut self, payload: &[u8], fragment: u16, snap: usize) {
        let frame = self.framed(payload, fragment);
        self.frame(&frame, snap);
    }

    /// The frame around a UDP payload, padded as Ethernet does.
    pub fn framed(&self, payload: &[u8], fragment: u16) -> Vec<u8> {
        let mut out = Vec::new();
        if self.form.ethernet {
            out.extend([1, 0, 0x5e, 54, 12, 111, 2, 0, 0, 0, 0, 1]);
            for tag in 0..self.form.vlan_tags {
                let outer = tag + 1 < self.form.vlan_tags;
                out.extend(if outer { [0x88, 0xa8, 0, 7] } else { [0x81, 0, 0, 7] });
            }
            out.extend([8, 0]);
        }
        let udp = payload.len() as u16 + 8;
        out.extend([0x45, 0]);
        out.extend((udp + 20).to_be_bytes());
        out.extend([0, 0]);
        out.extend(fragment.to_be_bytes());
        out.extend([64, 17, 0, 0, 10, 0, 0, 1, 233, 54, 12, 111]);
        out.extend([0x67, 0x6d, 0x67, 0x6d]);
        out.extend(udp.to_be_bytes());
        out.extend([0, 0]);
        out.extend(payload);
        if self.form.ethernet && out.len() < 60 {
            out.resize(60, 0xee);
        }
        out
    }
}
