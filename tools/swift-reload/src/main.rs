//! The program `swift-reload`.
#![cfg_attr(all(not(test), target_env = "gnu"), no_main)]
swift_sys::entry!(swift_reload::main);
