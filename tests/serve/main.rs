//! swift-serve with small HTTP servers under it, each in namespaces of its own.
#![forbid(unsafe_code)]

mod basics;
mod descendants;
mod graceful;
mod hostile;
mod killed;
mod original;
mod paths;
mod port;
mod ready;
mod refused;
mod release;
mod runtimes;
mod seamless;
mod signals;
mod site;
mod starts;
mod storm;
