//! What is full, forbidden, or not what it seems: a clear error, and nothing half done.

mod descriptor_limit;
mod disk_full;
mod not_a_pid_file;
mod program_missing;
mod run_directory_replaced;
