//! hairtrigger: a low-latency price-alert engine. This page is the architecture document.
//!
//! "Tell me when GME drops below 100 dollars." People say it while the market runs, change their minds, and want to know
//! within microseconds. The engine sits beside an exchange feed, decodes it, matches every price against every rule that
//! could care, and puts the alert on the wire. A rule holds from the moment it is set: there is no table to poll.
//!
//! ```text
//!    market data                                                              alert clients
//!    (UDP, lines A and B)                                                     (TCP, resumable)
//!        |                                                                         ^
//!        v                  market ring per shard     alert ring per shard         |
//!    feed ---- partition ------------------------> matcher[0..N] ------------> gateway
//!     bytes > packet > message > event      orders > book > signals > ladders   log > cursors
//!                                                  ^        |
//!                              rule ring per shard |        | applied ring per shard
//!                                                  |        v
//!    rule clients ---TCP--------------------------- control ---- changes, safe ---- journal
//! ```
//!
//! # Agents
//!
//! Everything that runs is an [`agent::Agent`]: a struct whose `do_work` does a bounded amount of work and never blocks.
//! The engine gives agents threads after a [`plan`]; a test steps them by hand with a simulated clock. Agents meet only
//! through [`ring`]s, one producer and one consumer each. `ls src/*/agent.rs` lists them all:
//!
//! | agent | owns | takes | gives |
//! |---|---|---|---|
//! | [`feed::agent`] | sockets, reorder window, locates | datagrams | market events |
//! | [`matcher::agent`] (one a shard) | orders, books, rules of its symbols | market events, commands | alerts, outcomes |
//! | [`control::agent`] | the rule port, logins' answers | requests | commands, answers |
//! | [`journal::agent`] | the journal's segments, by a thread that waits for the disk | changes of the rules | how many are safe |
//! | [`gateway::agent`] | the alert port, the alert log | alerts | the alert streams |
//! | [`tls::agent`] (where configured) | the ports' TLS, on a thread of its own | TLS clients | arrivals at control and gateway |
//!
//! Two things besides agents have threads, since they would make one wait: the disk ([`sys::aside`] has its workers), and the
//! checker of passwords behind the [`door`] of both ports, whose every run takes 20 ms and 19 MiB.
//!
//! # Invariants
//!
//! - **One owner.** A symbol lives in one shard, chosen by a fixed hash of its name; the shard shares nothing and locks nothing.
//!   A rule's key holds the symbol, so the key alone names the shard.
//! - **Nothing accepted is dropped.** A stage whose downstream is full holds what it has and takes no more; at the source the
//!   kernel drops, and that is an ordinary gap in the sequence. There is no queue without a bound.
//! - **One truth.** [`replay`] drives the very shards of the live engine; its contract decides what a rule does. Same feed, same
//!   rules, same alerts, byte for byte, for any number of shards.
//! - **The data path allocates nothing after start**, formats nothing, and reads the clock once a datagram and, in each
//!   stage that an alert passes, once for a few alerts in a row.
//! - **An alert stream is a file, a session a cursor in it.** A slow client holds up nobody, needs no queue and resumes. The file
//!   outlives the process: its numbers go on ([`gateway::logs`]), and no number is told twice with other bytes.
//! - **What is acknowledged is on disk.** An answer leaves when all changes of the rules before it are; nothing else waits for
//!   the disk. What earlier runs have left is read by pure functions ([`journal::restart`], [`journal::recovery`]) with a table of cases.
//!   Snapshots are made of journal and alert log by the same functions, beside the engine ([`journal::compaction`]): no shard is asked.
//! - **Outside bytes never panic.** Every length is checked before it is used; every refusal has a code.
//!
//! What is deliberately absent: an async runtime, a lock or a shared map between shards, a floating-point number, and any
//! wall-clock time in a decision about rules (expiry follows feed time).
//!
//! # Code map
//!
//! Imports run downward only; `tests/house.rs` holds it.
//!
//! | floor | modules |
//! |---|---|
//! | values | [`model`], [`limits`] |
//! | machine | [`sys`]: clock, cores, idle strategies |
//! | agents and rings | [`agent`], [`ring`], [`stats`] |
//! | pure, shared | [`soup`]: SoupBinTCP framing and sessions |
//! | shared by the ports | [`door`]: who may come in; passwords are checked on a thread of its own |
//! | stages, none knows another | [`feed`], [`matcher`], [`control`], [`gateway`], [`journal`], [`tls`]; [`rules_csv`], [`plan`], [`runner`], [`doctor`], [`synth`] |
//! | above one stage | [`partition`] (the feed's way to the shards), [`publish`], [`client`], [`inspect`], [`archive`]: what journal and alert log of earlier runs tell together |
//! | whole | [`replay`], [`config`], then [`engine`]: the only wiring. Read it next; [`demo`]: it and all around it in one process |
//!
//! A network boundary is always three files: `wire` (bytes), `session` (the state machine), `agent` (sockets and rings).

pub mod agent;
pub mod archive;
pub mod client;
pub mod config;
pub mod control;
pub mod demo;
pub mod doctor;
pub mod door;
pub mod engine;
pub mod feed;
pub mod gateway;
pub mod inspect;
pub mod journal;
pub mod limits;
pub mod matcher;
pub mod model;
pub mod partition;
pub mod plan;
pub mod publish;
pub mod replay;
pub mod ring;
pub mod rules_csv;
pub mod runner;
pub mod soup;
pub mod stats;
pub mod synth;
pub mod sys;
pub mod tls;
