//! The program `swift-check-config`.
#![cfg_attr(all(not(test), target_env = "gnu"), no_main)]
swift_sys::entry!(swift_check_config::main);
