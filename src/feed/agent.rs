//! Reads datagrams, arbitrates them, decodes them and hands events to the shards.
