//! Servers that do what no server should.

mod detached_or_renamed;
mod ignores_signals;
mod others_unaffected;
mod output_flood;
mod story;
mod terminal_escapes;
