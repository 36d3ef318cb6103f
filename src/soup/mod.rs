//! SoupBinTCP 3.00: framing and sessions, pure; shared by control and gateway.
