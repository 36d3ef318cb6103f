//! The agent through its sockets, with shards that are maps.

mod connections;
mod house;
mod requests;
