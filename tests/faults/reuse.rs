//! A pid that passes to another process, at every gap between the tools and inside each of them.
