//! A recorded feed as MoldUDP64 on lines A and B.
