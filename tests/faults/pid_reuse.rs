//! A pid that passes to another process, at every gap between the tools and inside each of them.
//!
//! A round is this, in a pid namespace: a server runs and has its pid file; it dies; its very number
//! goes to another process, by ns_last_pid; and the tools go on with what they knew. After each round
//! not one signal may have reached whoever has the number now, the rows tell the truth, and the pid
//! file that lied is gone. Successor that is has all signals blocked from its birth, so the kernel keeps
//! every signal that was sent, and one that KILL ended does not answer: nothing goes unseen, and
//! `original.rs` shows it on signals that do come.
//!
//! `make soak` plays 10,000 rounds and more.

mod between_tools;
mod fixture;
mod original;
mod pid_reuser;
mod swift_init;
mod swift_reload;
mod swift_spawn;
mod within_a_tool;
mod within_tick;
mod workers_and_groups;
