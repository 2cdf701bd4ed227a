//! A user who owns the run directory and nothing else.
