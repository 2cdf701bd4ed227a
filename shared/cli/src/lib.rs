//! What every tool's command line has in common: one table of options from
//! which parsing, `--help`, completions and the manual page's test are fed,
//! exit statuses, and the form of messages.

pub mod closest;
pub mod completion;
pub mod program;
pub mod service;
pub mod text;

mod args;
mod exit;
mod options;
mod tool;

pub use args::{Arg, Args, Value};
pub use exit::Exit;
pub use options::{HELP, Opt, QUIET, SWIFT_DIR, UsageError, VERSION};
pub use tool::{Action, Tool, UNWRITABLE, is_broken_pipe, print};
