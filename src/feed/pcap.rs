//! Classic pcap captures of MoldUDP64.
