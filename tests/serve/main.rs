//! swift-serve with small HTTP servers under it, each in namespaces of its own.
#![forbid(unsafe_code)]

mod basics;
mod graceful;
mod gunicorn;
mod original;
mod port;
mod refused;
mod seamless;
mod signals;
mod site;
mod storm;
