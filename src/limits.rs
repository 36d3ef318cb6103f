//! Every bound of the engine that is not configured, with the relations between them checked at compile time.

/// Datagram read at most: what IPv4 can carry.
pub const DATAGRAM_SIZE_MAX: usize = 65_535;
/// Longest ITCH 5.0 message (`I`).
pub const ITCH_SIZE_MAX: usize = 50;
/// Messages that may wait behind a gap. A power of two.
pub const REORDER_WINDOW: usize = 1 << 16;
/// Bytes kept of a message that waits: one more than the longest of ITCH, so that what is cut is still no ITCH message.
pub const MESSAGE_KEPT_MAX: usize = ITCH_SIZE_MAX + 1;
/// Messages released from the reorder window in one go.
pub const RELEASED_PER_CYCLE: usize = 4_096;
/// Gaps declared in one duty cycle.
pub const GAPS_PER_CYCLE: usize = 64;
/// Packets that must join on to each other before numbers more than a window away are believed.
pub const RUN_PACKETS_MIN: u32 = 8;
/// Retired session ids that are remembered.
pub const RETIRED_SESSIONS: usize = 16;
/// Messages asked for in one re-request, at most what the count field can say.
pub const REREQUEST_COUNT_MAX: u16 = 65_534;
/// Locates of a feed: all values of its 16 bits.
pub const LOCATES: usize = 1 << 16;
/// Buffer that a gzipped BinaryFILE is unpacked through.
pub const UNPACK_BUFFER_SIZE: usize = 1 << 18;
/// So many of it may be unpacked ahead of who reads.
pub const UNPACKED_CHUNKS_AHEAD: usize = 4;
/// A gzipped capture is unpacked into memory: at most this many bytes. A plain one is mapped and has no bound.
pub const UNPACKED_CAPTURE_SIZE_MAX: usize = 1 << 34;

/// Shards of one engine.
pub const SHARDS_MAX: usize = 64;
/// Shards that the engine takes by itself when the config names no number.
pub const SHARDS_AUTO_MAX: usize = 4;
/// Accounts of one engine.
pub const ACCOUNTS_MAX: usize = 4_096;
/// Names in certificates that stand for one account.
pub const ACCOUNT_CERTIFICATES_MAX: usize = 1_024;
/// Logins of all accounts.
pub const LOGINS_MAX: usize = 1 << 14;

/// Accounts that may be added while the engine runs, unless configured: each reserves an index of the alert log.
pub const ACCOUNTS_SPARE: usize = 64;
/// Bound of what the config may choose for that.
pub const ACCOUNTS_SPARE_MAX: usize = 4_096;

/// Bounds of what the config may choose. Connections of one port:
pub const SESSIONS_MAX: usize = 1 << 15;
/// Answers kept for a login.
pub const ANSWERS_KEPT_MAX: usize = 1 << 22;
/// Rules of a shard.
pub const RULES_MAX: u64 = 1 << 30;
/// Symbols that rules of a shard may name: a rule has 20 bits for its symbol.
pub const SYMBOLS_MAX: u64 = 1 << 20;
/// Orders and price levels of a shard.
pub const ORDERS_MAX: u64 = 1 << 30;
/// Combinations of rearm, cooldown and max_fires of a shard.
pub const POLICIES_MAX: u64 = 1 << 16;
/// Size of a segment of the alert log.
pub const SEGMENT_SIZE_MIN: u64 = 1 << 16;
/// See [`SEGMENT_SIZE_MIN`].
pub const SEGMENT_SIZE_MAX: u64 = 1 << 32;
/// Size of what is kept of a journal.
pub const JOURNAL_SIZE_MAX: u64 = 1 << 46;
/// Size of a socket's receive buffer.
pub const RECEIVE_BUFFER_MAX: u64 = 1 << 30;
/// Re-request servers.
pub const REREQUEST_SERVERS_MAX: usize = 16;
/// Least time after which an agent may be said to stand still, in ns: a scheduler lets threads wait for some milliseconds.
pub const STALLED_AFTER_MIN: u64 = 200_000_000;
/// Longest wait or deadline, in ns: a day.
pub const WAIT_MAX: u64 = 86_400_000_000_000;

/// Feed time is told to the shards at least so often, in nanoseconds.
pub const FEED_TIME_INTERVAL: u64 = 100_000_000;
/// A multicast line that is quiet for so long has its group joined once more, in ns.
pub const REJOIN_INTERVAL: u64 = 1_000_000_000;
/// The kernel is asked so often how much it dropped, in nanoseconds.
pub const KERNEL_DROPS_INTERVAL: u64 = 1_000_000_000;
/// Packets of a recorded file that the feed takes per duty cycle while it warms up,
pub const HISTORY_PACKETS_PER_CYCLE: usize = 8;
/// and the size from which on such a packet takes no more messages.
pub const HISTORY_PACKET_SIZE: usize = 1 << 13;
/// At its end it is looked so often whether it was written on, in ns,
pub const HISTORY_POLL: u64 = 1_000_000;
/// and it is over when nothing came for so long, in ns: who records writes in blocks.
pub const HISTORY_WAIT: u64 = 100_000_000;
/// Datagrams read per duty cycle and line, in one system call: few enough that the first one's alerts do not wait long for
/// the last one's reading.
pub const DATAGRAMS_PER_CYCLE: usize = 16;
/// The re-request socket is read for so long after a request, in ns: who asks nothing is not answered.
pub const REREQUEST_LISTEN: u64 = 1_000_000_000;
/// Market events that a shard takes per duty cycle.
pub const EVENTS_PER_CYCLE: usize = 256;
/// Commands that a shard takes per duty cycle: ticks wait behind them for some 5 us.
pub const COMMANDS_PER_CYCLE: usize = 16;
/// Threshold entries that a shard works off per duty cycle: no event is taken that might find nothing left of them,
pub const FIRINGS_PER_CYCLE: usize = 160;
/// and of which so many are kept for the events that were taken last: two each, a rule that fires and one that clears,
pub const FIRINGS_KEPT: usize = 64;
/// and of them those of a storm: other symbols' ticks wait behind so many. (With 128 they waited 45 us at p50, with 32 4.4 us;
/// the storm itself was no slower for it.)
pub const STORM_SLICE: usize = 16;
/// Rule slots that a walk (list, remove all of a user) looks at per duty cycle.
pub const WALK_PER_CYCLE: usize = 1_024;
/// Places of the order table (24 bytes each) that a shard looks at per duty cycle while it builds books: some 10 us.
pub const BOOK_PLACES_PER_CYCLE: usize = 4_096;
/// To put an order into a book costs as much as to look at so many places.
pub const PLACES_PER_BOOKED_ORDER: usize = 16;
/// Symbols of which a shard says in one duty cycle where they stand: some 3 us.
pub const STANDINGS_PER_SLICE: usize = 32;
/// A round through all symbols begins so long after the one before, in ns. After a kill what was not told yet is not known.
pub const STANDINGS_INTERVAL: u64 = 5_000_000_000;
/// Walks that a shard holds at most; one more waits in its rule ring.
pub const WALKS_MAX: usize = 256;
/// Alerts in a row that are stamped with one reading of the clock: the last of them about half a microsecond early.
pub const STAMPS_PER_READING: u32 = 8;
/// Alerts that the gateway takes per duty cycle and shard, before it sends.
pub const ALERTS_PER_CYCLE: usize = 256;

/// Slots of a market ring. Powers of two, as all rings.
pub const MARKET_RING: usize = 1 << 14;
/// Events of a block that goes to a shard of a replay: it shall stay in the cache,
pub const REPLAY_BLOCK: usize = 1 << 10;
/// and how many of them wait for the shard at most.
pub const REPLAY_BLOCKS_AHEAD: usize = 8;
/// Messages of a replay after which all shards hand in what they told,
pub const REPLAY_BATCH: u64 = 1 << 16;
/// and how many such batches of a shard wait to be written at most.
pub const REPLAY_BATCHES_AHEAD: usize = 2;
/// Slots of a rule ring.
pub const RULE_RING: usize = 1 << 13;
/// Slots of an applied ring.
pub const APPLIED_RING: usize = 1 << 13;
/// Changes on their way to the journal or on their way to the disk.
pub const JOURNAL_RING: usize = 1 << 14;
/// Rules, symbols or fates of one chunk of a snapshot.
pub const SNAPSHOT_CHUNK: usize = 1 << 16;
/// It is looked so often whether a snapshot is due, in ns,
pub const SNAPSHOT_POLL: u64 = 1_000_000_000;
/// and so long after one that failed.
pub const SNAPSHOT_RETRY: u64 = 60_000_000_000;
/// Counts of logged alerts on their way from the gateway to control: the newest says all.
pub const LOGGED_RING: usize = 1 << 6;
/// Answers of control that wait for the journal.
pub const ANSWERS_HELD_MAX: usize = 1 << 15;
/// Slots of an alert ring. In a storm it is full, and the alerts of other symbols wait behind all of it: some 190 ns a slot. (With
/// 2^14 they waited 4.5 ms at p99, with 2^10 0.3 ms.) And a short one stays in the cache.
pub const ALERT_RING: usize = 1 << 8;
/// Alerts that a shard holds back at most when their ring is full: what one duty cycle can make.
pub const PENDING_MAX: usize = 1_024;
/// Events and commands of symbols that are being fired which a shard may hold back.
pub const HELD_MAX: usize = 1 << 15;

/// Size of the file of counters and histograms: a histogram takes 19 KiB.
pub const STATS_SIZE: usize = 1 << 23;
/// Application message that a rule client may send; longer ones cut the connection.
pub const CONTROL_MESSAGE_SIZE_MAX: usize = 4_096;
/// Bytes of answers kept for a login, at least: twice what the longest list takes.
pub const CONTROL_RING_SIZE_MIN: usize = 1 << 18;
/// Requests taken from one connection per duty cycle.
pub const REQUESTS_PER_CYCLE: usize = 64;
/// Connections that wait in the kernel to be accepted by a port; what Linux allows by default.
pub const LISTEN_BACKLOG: i32 = 4_096;
/// Bytes that wait in the kernel for a TCP client that takes no more; what comes then stays in the alert log, or in the login's ring of
/// answers. (A bound of the send buffer, 256 KiB, made a storm slower by a third on a loaded machine: that counts what is on its way too.)
pub const UNSENT_MAX: u32 = 1 << 18;
/// Connections that wait to be taken by the agent of their port, after another agent has accepted them.
pub const ARRIVALS_MAX: usize = 64;
/// Connections served per duty cycle.
pub const CONNECTIONS_PER_CYCLE: usize = 64;
/// Connections accepted per duty cycle.
pub const ACCEPTS_PER_CYCLE: usize = 8;
/// Verdicts on logins that a port acts on per duty cycle.
pub const VERDICTS_PER_CYCLE: usize = 16;
/// File descriptors that connections leave to the engine's own files.
pub const DESCRIPTORS_RESERVED: usize = 64;
/// Outcomes that the control side takes per duty cycle and shard.
pub const APPLIED_PER_CYCLE: usize = 256;
/// Bytes written to one connection per duty cycle, about.
pub const WRITE_SIZE_PER_CYCLE: usize = 1 << 16;
/// Readiness is asked for so often, in ns: a system call each cycle would cost more than the cycle, and where all agents share
/// a core each call may stand in the way of a datagram. (An agent on a core of its own asks after 64 cycles, if that is sooner.)
pub const CONTROL_POLL_INTERVAL: u64 = 10_000;
/// Deadlines and heartbeats are looked at so often, in ns.
pub const CONTROL_TIMER_INTERVAL: u64 = 20_000_000;
/// Pause after an accept that failed for want of descriptors or memory, in ns.
pub const ACCEPT_RETRY_INTERVAL: u64 = 100_000_000;
/// How long a connection that is being closed may take to read what it is still owed, in ns.
pub const FAREWELL_DEADLINE: u64 = 2_000_000_000;

/// A client that takes none of the bytes it is owed for so long is cut, in ns.
pub const STALLED_DEADLINE: u64 = 60_000_000_000;

/// Rules that one list request may ask for.
pub const LIST_MAX: u32 = 1_000;

/// From a TCP client's connect to its whole login, in ns.
pub const SOUP_LOGIN_DEADLINE: u64 = 5_000_000_000;
/// From the first byte of a client's packet to its last, in ns.
pub const SOUP_HALF_PACKET_DEADLINE: u64 = 5_000_000_000;
/// Silence of a client after which it is cut, in ns,
pub const SOUP_SILENCE_DEADLINE: u64 = 15_000_000_000;
/// and within which bounds a login of SoupBinTCP 4.10 may choose its own.
pub const SOUP_SILENCE_MIN: u64 = 2_000_000_000;
/// See [`SOUP_SILENCE_MIN`].
pub const SOUP_SILENCE_MAX: u64 = 60_000_000_000;
/// Silence of the server after which it sends a heartbeat, in ns.
pub const SOUP_HEARTBEAT: u64 = 1_000_000_000;
/// TLS handshakes under way; one more takes the place of the oldest,
pub const TLS_HANDSHAKES_MAX: usize = 256;
/// and from one address, one more of which is refused.
pub const TLS_HANDSHAKES_PER_ADDRESS_MAX: usize = 64;
/// From a TLS client's connect to the end of its handshake, in ns. Its login has its own deadline, from then on.
pub const TLS_HANDSHAKE_DEADLINE: u64 = 5_000_000_000;
/// How long a TLS client that was refused may take to read why and close, in ns.
pub const TLS_REFUSAL_DEADLINE: u64 = 1_000_000_000;
/// Steps of handshakes per duty cycle: the sessions that are open wait so long at most, about a millisecond each.
pub const TLS_HANDSHAKES_PER_CYCLE: usize = 2;
/// Open TLS sessions served per duty cycle.
pub const TLS_SESSIONS_PER_CYCLE: usize = 64;
/// Events taken from the system in one go.
pub const TLS_EVENTS_PER_CYCLE: usize = 256;
/// Bytes of a session encrypted in one go: what one record holds.
pub const TLS_SCRATCH_SIZE: usize = 1 << 14;
/// Least time between two polls of the TLS agent's sockets, in ns.
pub const TLS_POLL_INTERVAL: u64 = 10_000;
/// Time between two looks at deadlines, in ns.
pub const TLS_TIMER_INTERVAL: u64 = 20_000_000;
/// How long a TLS client whose agent has closed may take to read what it is owed and close, in ns.
pub const TLS_FAREWELL_DEADLINE: u64 = 5_000_000_000;
/// How long the TLS agent may take to pay everyone when the engine stops, in ns.
pub const TLS_CLOSE_DEADLINE: u64 = 2_000_000_000;
/// TLS sessions, unless configured: as many as both ports take.
pub const TLS_SESSIONS_MAX: usize = 2_048;

/// Least size of a connection's buffer, either way.
pub const SOUP_BUFFER_SIZE_MIN: usize = 512;

/// Logins of a port that the checker may have at once; more wait at the port.
pub const CHECKS_MAX: usize = 1_024;
/// Wrong logins of an address that cost it no wait,
pub const BACKOFF_FREE_FAILURES: u32 = 4;
/// the wait after the first one beyond, in ns, which doubles with each,
pub const BACKOFF_FIRST: u64 = 1_000_000_000;
/// up to this,
pub const BACKOFF_MAX: u64 = 60_000_000_000;
/// and when all is forgotten, in ns after the last one.
pub const BACKOFF_FORGET: u64 = 600_000_000_000;
/// Addresses with wrong logins that are remembered.
pub const BACKOFF_ADDRESSES_MAX: usize = 4_096;
/// Memory that checking a password may take, in KiB,
pub const PASSWORD_MEMORY_KIB_MAX: u32 = 1 << 16;
/// passes over it,
pub const PASSWORD_PASSES_MAX: u32 = 16;
/// and lanes.
pub const PASSWORD_LANES_MAX: u32 = 8;
/// Connections of one address at one port, unless configured.
pub const SESSIONS_PER_ADDRESS_MAX: usize = 256;
/// When a client is told to come again whose set was refused since the alert log was full, in ms.
pub const LOG_FULL_RETRY_MS: u32 = 1_000;

/// Accounts that one session's alert log may name, those that have left the config included.
pub const STREAMS_MAX: usize = 2 * ACCOUNTS_MAX;
/// How long the alert log is kept, unless configured, in ns: a week.
pub const RETENTION_TIME: u64 = 7 * 86_400_000_000_000;
/// Least time that the alert log may be kept, in ns,
pub const RETENTION_TIME_MIN: u64 = 1_000_000_000;
/// and longest: ten years.
pub const RETENTION_TIME_MAX: u64 = 3_650 * 86_400_000_000_000;
/// Wait after a segment that could not be prepared, in ns.
pub const SEGMENT_RETRY: u64 = 1_000_000_000;
/// Prints of which the gateway remembers that they fired alerts, by shard, unless configured.
pub const BUSTS_MAX: usize = 1 << 18;
/// Log records that the gateway looks at per duty cycle and broken print.
pub const BUST_RECORDS_PER_CYCLE: usize = 1_024;
/// Packets that the gateway sends per duty cycle and client.
pub const PACKETS_PER_SEND: usize = 128;
/// One send of the gateway in so many has its write call timed, for the histograms.
pub const SENDS_PER_TIMING: u32 = 8;
/// Reads per duty cycle and TCP client.
pub const READS_PER_CYCLE: usize = 4;
/// Connections accepted per poll: few, since alerts wait for them.
pub const ACCEPTS_PER_POLL: usize = 8;
/// Longest payload that a client of the gateway may send: it has nothing to say but debug text.
pub const GATEWAY_PAYLOAD_SIZE_MAX: usize = 256;
/// Clients of the gateway, unless configured.
pub const GATEWAY_SESSIONS_MAX: usize = 1_024;
/// Wait after an accept that failed (no file descriptors), in ns.
pub const ACCEPT_RETRY: u64 = 100_000_000;
/// Least time between two polls of the sockets, in ns: a poll is a system call of some 300 ns.
pub const POLL_INTERVAL: u64 = 20_000;
/// Time between two looks at the deadlines of TCP clients, in ns.
pub const DEADLINE_INTERVAL: u64 = 10_000_000;
/// How long a client that is being closed may take to read what it is owed and close, in ns.
pub const LINGER: u64 = 1_000_000_000;
/// How long the gateway may take to pay everyone when the engine stops, in ns.
pub const CLOSE_DEADLINE: u64 = 2_000_000_000;

/// Message that `publish` can put into a datagram over IPv4 at most: 65,507 bytes less header and length.
pub const PUBLISH_MESSAGE_MAX: usize = 65_507 - 20 - 2;
/// Packets that `publish` sends per duty cycle,
pub const PUBLISH_PACKETS_PER_CYCLE: usize = 64;
/// and requests that it answers.
pub const PUBLISH_REQUESTS_PER_CYCLE: usize = 16;
/// How much later than a packet's first message its last may be due, in ns.
pub const PUBLISH_FLUSH: u64 = 10_000;
/// Silence after which a line sends a heartbeat, in ns,
pub const PUBLISH_HEARTBEAT: u64 = 1_000_000_000;
/// and the time between two ends of session, in ns.
pub const PUBLISH_END_OF_SESSION: u64 = 100_000_000;
/// Packets that one overtakes at most when a line reorders.
pub const PUBLISH_REORDER_MAX: u32 = 4;

const _: () = assert!(SHARDS_AUTO_MAX <= SHARDS_MAX);
const _: () = assert!(REORDER_WINDOW.is_power_of_two());
// When a consumer refuses in the middle of a packet, the packet's rest must fit the window: blocks of two bytes at least.
const _: () = assert!(REORDER_WINDOW > DATAGRAM_SIZE_MAX / 2 && MESSAGE_KEPT_MAX <= u8::MAX as usize);
const _: () = assert!(UNPACK_BUFFER_SIZE > 2 * (2 + u16::MAX as usize));
const _: () = assert!(MARKET_RING.is_power_of_two() && RULE_RING.is_power_of_two());
const _: () = assert!(APPLIED_RING.is_power_of_two() && ALERT_RING.is_power_of_two());
// A rule of a chunk has 16 bits for its account, and an archive 31 for a distance.
const _: () = assert!(SNAPSHOT_CHUNK <= 1 << 16);
const _: () = assert!(JOURNAL_RING.is_power_of_two() && APPLIED_PER_CYCLE <= JOURNAL_RING);
// With as many outcomes as commands under way the ring is not full: only walks can fill it.
const _: () = assert!(RULE_RING <= APPLIED_RING && ALERTS_PER_CYCLE <= ALERT_RING);
const _: () = assert!(STORM_SLICE + FIRINGS_KEPT < FIRINGS_PER_CYCLE);
const _: () = assert!(EVENTS_PER_CYCLE <= MARKET_RING && COMMANDS_PER_CYCLE <= RULE_RING);
const _: () = assert!(HELD_MAX > EVENTS_PER_CYCLE + COMMANDS_PER_CYCLE);
const _: () = assert!(STREAMS_MAX <= u16::MAX as usize + 1);
const _: () = assert!(SOUP_HEARTBEAT < SOUP_SILENCE_MIN && SOUP_SILENCE_DEADLINE <= SOUP_SILENCE_MAX);
const _: () = assert!(TLS_HANDSHAKES_PER_ADDRESS_MAX <= TLS_HANDSHAKES_MAX && TLS_SCRATCH_SIZE <= 1 << 14);
const _: () = assert!(BACKOFF_FIRST <= BACKOFF_MAX && BACKOFF_MAX < BACKOFF_FORGET);
const _: () = assert!(LINGER <= CLOSE_DEADLINE && SEGMENT_SIZE_MIN.is_multiple_of(4_096));
