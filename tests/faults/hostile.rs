//! Neighbours and callers that mean no good: what /proc shows of them, what they leave to be inherited,
//! and what a kernel or a container refuses. SECURITY.md has the table.

mod huge_command_line;
mod inherited_limits;
mod syscalls_refused;
