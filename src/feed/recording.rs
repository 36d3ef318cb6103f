//! A recorded feed: BinaryFILE or a capture, plain or gzipped, told apart by content.
