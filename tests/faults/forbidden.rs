//! What is full, forbidden, or not what it seems: a clear error, and nothing half done.

mod descriptors;
mod full;
mod in_the_way;
mod programs;
mod vanished;
