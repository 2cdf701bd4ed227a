//! swift-spawn on servers that start, print, hang and die as a test wants it.

mod ends;
mod foreground;
mod interrupted;
mod many;
mod once;
mod ready;
mod refused;
mod stage;
mod started;
