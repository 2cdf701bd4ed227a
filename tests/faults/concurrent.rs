//! Several commands at once: one process a config, and every command told the truth.
