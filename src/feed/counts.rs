//! What the feed counts.

crate::counts! {
    /// What the arbiter saw and did.
    pub struct ArbiterCounts {
        /// Well-formed packets of the current session, heartbeats among them.
        packets,
        /// Heartbeats.
        heartbeats,
        /// Messages given out.
        messages,
        /// Bytes of these messages as received.
        bytes,
        /// Messages that were there already, or come after they were given up.
        duplicates,
        /// Messages that line A brought first.
        line_a_first,
        /// Messages that line A brought again.
        line_a_second,
        /// Messages that line B brought first.
        line_b_first,
        /// Messages that line B brought again.
        line_b_second,
        /// Messages that a re-request server brought first.
        recovered,
        /// Messages that a recorded file brought first.
        from_file,
        /// Messages of that file that are others than those of the same number on a line.
        history_conflicts,
        /// Gaps given up.
        gaps,
        /// Messages in them.
        gap_messages,
        /// Gaps opened: seen, filled or not.
        gaps_opened,
        /// Requests made.
        requests,
        /// Packets too short, with a number that wraps, with blocks cut or missing.
        malformed_packets,
        /// Packets with bytes behind their last block.
        trailing_packets,
        /// Packets of another session or a retired one.
        foreign_packets,
        /// Packets or parts of them dropped because they lie beyond the window.
        far_ahead_packets,
        /// Sessions begun.
        sessions,
        /// Times that the feed fell silent.
        silences,
        /// Packets refused while the consumer took nothing.
        stalled_packets,
        /// Most messages held at once.
        window_high_water,
    }
}

impl ArbiterCounts {
    /// Messages that came, but not (or not yet) on line A; and the same for B. Meaningless for a line that is not there.
    pub fn missing(&self) -> (u64, u64) {
        let all = self.line_a_first + self.line_b_first + self.recovered;
        (
            all.saturating_sub(self.line_a_first + self.line_a_second),
            all.saturating_sub(self.line_b_first + self.line_b_second),
        )
    }
}

crate::counts! {
    /// What happened at the feed's sockets.
    pub struct SocketCounts {
        /// Datagrams read.
        datagrams,
        /// Datagrams on the re-request socket that came from no configured server.
        stranger_datagrams,
        /// Errors of reading and sending.
        socket_errors,
        /// Groups joined anew, as the interface had gone and come back.
        rejoins,
        /// Times that a group could not be joined, as its interface was away.
        rejoin_failures,
        /// Datagrams that the kernel dropped on line A.
        line_a_kernel_drops,
        /// The same on line B.
        line_b_kernel_drops,
        /// The same on the re-request socket.
        rerequest_kernel_drops,
    }
}
