//! A request for messages that were sent before, and the packet that answers it.

use super::messages::{Messages, Packet};
use crate::feed::moldudp64::Header;

/// The answer to `request`: from the first message asked for on, as many as were asked for, were sent (those before index
/// `sent`) and fit `size_max` bytes. `None`, which is silence: no request, another session, or a message not there.
pub fn answer(messages: &Messages, session: [u8; 10], sent: u64, request: &[u8], size_max: usize) -> Option<Packet> {
    let wanted = Header::read(request).filter(|wanted| wanted.session == session && wanted.count > 0)?;
    let first = messages.index_of(wanted.sequence)?;
    let end = sent.min(first + u64::from(wanted.count));
    messages.packet(messages.cursor(first)?, size_max, |index, _| index < end)
}
