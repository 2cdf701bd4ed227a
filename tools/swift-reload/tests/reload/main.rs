//! swift-reload on fake servers, which behave as their config says. A server
//! with `reload = die` that lives in the end was never signalled.
#![forbid(unsafe_code)]

mod pid;
mod play;
mod rows;
mod several;
mod silent;
