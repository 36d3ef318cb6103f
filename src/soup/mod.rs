//! SoupBinTCP 3.00: framing, logins and the server's side of a connection. Pure: bytes and times in, values out
//! (but for [`arrival`], which names the socket that a connection comes with).
//!
//! `control` and `gateway` share it. What the protocol leaves open is decided here: see [`login::Login::start`] for
//! sequence numbers, [`server`] for who is cut and when.
//!
//! Source: Nasdaq, "SoupBinTCP Version 3.00", 2017-02-22.

pub mod arrival;
pub mod buffer;
pub mod login;
pub mod packet;
pub mod server;
