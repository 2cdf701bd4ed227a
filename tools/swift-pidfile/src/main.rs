//! The program `swift-pidfile`.
#![cfg_attr(all(not(test), target_env = "gnu"), no_main)]
swift_sys::entry!(swift_pidfile::main);
