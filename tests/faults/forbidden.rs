//! What is full, forbidden, or not what it seems: a clear error, and nothing half done.
