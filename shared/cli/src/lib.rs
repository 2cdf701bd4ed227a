//! The parts that every tool's command line shares: one table of options from
//! which parsing, `--help`, completions and the manual page's test are fed,
//! exit statuses, and the form of messages.

pub mod closest;
pub mod program;
pub mod service;
pub mod text;

mod args;
mod exit;
mod options;
mod tool;
mod value;

pub use args::{Arg, Args, CommandLine, no_operand};
pub use exit::Exit;
pub use options::{Flag, Opt, PlaceOf, SwiftDir};
pub use tool::{Action, Tool, UNWRITABLE, is_broken_pipe, print};
pub use value::{Destination, FromValue, UsageError, Value};
