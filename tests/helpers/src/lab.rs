//! A small real Swift on loopback.
