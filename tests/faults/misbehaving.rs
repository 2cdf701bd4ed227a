//! Servers that do what no server should.

mod beside;
mod flood;
mod hiding;
mod story;
mod stubborn;
mod terminal;
