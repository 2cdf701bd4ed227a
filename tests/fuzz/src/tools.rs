//! What the tools make of their arguments and of small files: their own sources, since a program is no
//! library. Nothing is copied, so nothing can differ. Those of swift-serve stand at the root of this
//! crate, as they do in theirs.

#![allow(missing_docs, reason = "said in the files themselves")]
#![allow(dead_code, reason = "only the readers are used")]

#[path = "../../../tools/swift-check-config/src/options.rs"]
pub mod check;
#[path = "../../../tools/swift-resolve-servers/src/configs.rs"]
pub mod configs;
#[path = "../../../tools/swift-init/src/options.rs"]
pub mod init;
#[path = "../../../tools/swift-pidfile/src/options.rs"]
pub mod pidfile;
#[path = "../../../tools/swift-resolve-servers/src/pids.rs"]
pub mod pids;
#[path = "../../../tools/swift-reload/src/options.rs"]
pub mod reload;
#[path = "../../../tools/swift-resolve-servers/src/options.rs"]
pub mod resolve;
#[path = "../../../tools/swift-resolve-servers/src/section.rs"]
pub mod section;
#[path = "../../../tools/swift-signal/src/options.rs"]
pub mod signal;
#[path = "../../../tools/swift-spawn/src/options.rs"]
pub mod spawn;
