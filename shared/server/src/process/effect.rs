//! The effect that a signal would have on a process at this moment.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use super::stat::threads;
use super::status::{disposition, disposition_in};
use swift_sys::pid::Pid;
use swift_sys::signal::Signal;

/// The effect of a signal on a process that gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A handler or a thread that waits takes it, or it is blocked everywhere.
    Taken,
    /// Nothing: it is ignored.
    Ignored,
    /// Its default action.
    Default,
}

/// The effect that a signal would have on a process; none when it is gone.
///
/// A thread that waits in sigwait(3) has the signal unblocked while it waits,
/// as far as /proc shows. The awaited set is found in its memory, which takes
/// the rights of a tracer (PTRACE_MODE_ATTACH in ptrace(2)): without them, such
/// a thread counts as one that the signal would meet unprepared.
pub fn effect(pid: Pid, signal: Signal) -> io::Result<Option<Effect>> {
    let Some(main) = disposition(pid, signal)? else {
        return Ok(None);
    };
    if main.caught {
        return Ok(Some(Effect::Taken));
    }
    for thread in threads(pid)? {
        let thread = thread?;
        let Some(own) = disposition_in(pid, &format!("task/{thread}/status"), signal)? else {
            continue;
        };
        if !own.blocked && !is_awaited(pid, thread, signal) {
            return Ok(Some(match own.ignored {
                true => Effect::Ignored,
                false => Effect::Default,
            }));
        }
    }
    Ok(Some(Effect::Taken))
}

/// True when a thread is seen to wait for a signal in sigwait(3).
fn is_awaited(pid: Pid, thread: Pid, signal: Signal) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/task/{thread}/syscall"));
    let Some(address) = call.ok().as_deref().and_then(awaited_set) else {
        return false;
    };
    let mut set = [0; size_of::<u64>()];
    let memory = File::open(format!("/proc/{pid}/task/{thread}/mem"));
    let read = memory.and_then(|memory| memory.read_exact_at(&mut set, address));
    read.is_ok() && u64::from_ne_bytes(set) >> (signal.number() - 1) & 1 == 1
}

/// The address of the set of signals for which a thread waits, from a line of
/// /proc/PID/task/TID/syscall (proc_pid_syscall(5)): the number of the system
/// call and its arguments, or `running`.
fn awaited_set(line: &str) -> Option<u64> {
    let mut words = line.split_ascii_whitespace();
    let number: i64 = words.next()?.parse().ok()?;
    (number == libc::SYS_rt_sigtimedwait).then_some(())?;
    u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_waits_for_is_found_in_its_call() {
        let line = format!("{} 0x7ffe10 0x0 0x0 0x8\n", libc::SYS_rt_sigtimedwait);
        assert_eq!(awaited_set(&line), Some(0x007f_fe10));
        for other in ["", "running\n", "-1 0x7ffe10 0x4\n", "0 0x3 0x7ffe10\n"] {
            assert_eq!(awaited_set(other), None);
        }
    }
}
