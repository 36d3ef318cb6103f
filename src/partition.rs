//! From messages to shards: binds locates to symbols and sends every event where its symbol lives.
