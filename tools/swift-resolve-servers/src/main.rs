//! The program `swift-resolve-servers`.
#![cfg_attr(all(not(test), target_env = "gnu"), no_main)]
swift_sys::entry!(swift_resolve_servers::main);
