//! TLS 1.3 on both TCP ports: an agent on a thread of its own stands between the clients and the agents of the ports.
//!
//! ```text
//!              TLS                         plain bytes, a pair of sockets
//!   client <--------> tls::agent <===============================> control or gateway
//!                        |  shakes hands, encrypts                        ^
//!                        '------- arrival: socket, address, account ------'
//! ```
//!
//! A handshake is up to a millisecond of computing, so none is ever done on the thread of another agent. Control and gateway
//! serve what arrives here as they serve what comes to their own listeners, and need not know about TLS.
//!
//! - [`settings`]: files of certificates and keys, made ready; which client certificate stands for which account.
//! - [`name`]: what a certificate's owner is called.
//! - [`link`]: one socket and the TLS on it. [`relay`]: a link and the plain bytes on its other side.
//! - [`agent`]: all of them, with their bounds and deadlines. [`client`]: the other end, for the command's own clients.
//!
//! Decided here: TLS 1.3 only, as `rustls` offers it with `ring`; no resumption of sessions and no early data (connections
//! last for hours, and a client that comes back shows its certificate again); a client certificate that stands for no account
//! is refused in the handshake.

pub mod agent;
pub mod client;
pub mod link;
pub mod name;
pub mod relay;
pub mod settings;
