//! (matcher book)
