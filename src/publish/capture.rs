//! What would be sent, as a capture.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::SocketAddrV4;

use super::impair::{Impairment, LineCounts};
use super::messages::{Messages, Packet, stamp};
use super::packetizer::Packetizer;
use super::sender::Settings;
use crate::feed::moldudp64::{END_OF_SESSION, Header};
use crate::feed::pcap::Writer;
use crate::limits::PUBLISH_HEARTBEAT;
use crate::model::Nanos;

struct Line {
    to: SocketAddrV4,
    impairment: Impairment<Packet>,
    queue: VecDeque<Packet>,
    counts: LineCounts,
}

/// Writes all packets of all lines, heartbeats and one end of session a line. Captured when due, on 1970-01-01 from the
/// time of day of the feed's first stamp on. Returns the lines' counts.
pub fn write<W: Write>(
    settings: &Settings,
    messages: &Messages,
    source: SocketAddrV4,
    out: W,
) -> io::Result<Vec<LineCounts>> {
    let mut writer = Writer::new(out)?;
    let mut lines: Vec<Line> = settings
        .lines
        .iter()
        .map(|line| Line {
            to: line.to,
            impairment: Impairment::new(line.rates, line.seed),
            queue: VecDeque::new(),
            counts: LineCounts::default(),
        })
        .collect();
    let mut packetizer = Packetizer::new(settings.pace, settings.packet_size);
    let origin = messages.cursor(0).and_then(|mut first| stamp(messages.advance(&mut first)?)).unwrap_or(0);
    let (mut buffer, mut latest) = (Vec::new(), 0);
    while let Some((packet, due)) = packetizer.next(messages) {
        while latest + PUBLISH_HEARTBEAT < due {
            latest += PUBLISH_HEARTBEAT;
            let heartbeat = Header { session: settings.session, sequence: packet.sequence, count: 0 };
            each(&mut lines, |line| line.send(&mut writer, origin + latest, source, &heartbeat.bytes()))?;
        }
        latest = due;
        each(&mut lines, |line| {
            line.impairment.pass(packet, &mut line.counts, &mut line.queue);
            line.drain(settings.session, messages, &mut writer, origin + due, source, &mut buffer)
        })?;
    }
    let end = Header { session: settings.session, sequence: messages.next_sequence(), count: END_OF_SESSION };
    each(&mut lines, |line| {
        line.impairment.flush(&mut line.queue);
        line.drain(settings.session, messages, &mut writer, origin + latest, source, &mut buffer)?;
        line.send(&mut writer, origin + latest, source, &end.bytes())
    })?;
    writer.finish()?;
    Ok(lines.iter().map(|line| line.counts).collect())
}

fn each(lines: &mut [Line], send: impl FnMut(&mut Line) -> io::Result<()>) -> io::Result<()> {
    lines.iter_mut().try_for_each(send)
}

impl Line {
    fn send<W: Write>(
        &mut self,
        writer: &mut Writer<W>,
        ts: Nanos,
        source: SocketAddrV4,
        payload: &[u8],
    ) -> io::Result<()> {
        self.counts.datagrams += 1;
        writer.packet(ts, source, self.to, payload)
    }

    fn drain<W: Write>(
        &mut self,
        session: [u8; 10],
        messages: &Messages,
        writer: &mut Writer<W>,
        ts: Nanos,
        source: SocketAddrV4,
        buffer: &mut Vec<u8>,
    ) -> io::Result<()> {
        while let Some(packet) = self.queue.pop_front() {
            messages.write(session, &packet, buffer);
            self.send(writer, ts, source, buffer)?;
        }
        Ok(())
    }
}
