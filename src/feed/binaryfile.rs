//! BinaryFILE 1.00: messages one behind the other, each with its length.
