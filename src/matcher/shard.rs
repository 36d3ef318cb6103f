//! (matcher shard)
