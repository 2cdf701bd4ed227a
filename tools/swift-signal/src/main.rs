//! The program `swift-signal`.
#![cfg_attr(all(not(test), target_env = "gnu"), no_main)]
swift_sys::entry!(swift_signal::main);
