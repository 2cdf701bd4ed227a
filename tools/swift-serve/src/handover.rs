//! Forms for the state that is passed across exec, of values that mean something to this process alone.

/// A process: its pid, and the pidfd that stays open across exec.
pub mod process {
    use std::os::fd::{AsFd as _, AsRawFd as _};

    use serde::de::{Deserialize as _, Deserializer, Error as _};
    use serde::ser::{Serialize as _, Serializer};
    use swift_server::process::{Pid, Process};
    use swift_sys::handover::Descriptor;

    pub fn serialize<S: Serializer>(process: &Process, to: S) -> Result<S::Ok, S::Error> {
        (process.pid.raw(), process.as_fd().as_raw_fd()).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Process, D::Error> {
        let (pid, pidfd) = <(i32, Descriptor)>::deserialize(from)?;
        let pid = Pid::new(pid).ok_or_else(|| D::Error::custom("not a pid"))?;
        Ok(Process::adopt(pid, pidfd.into()))
    }
}

/// A deadline: the seconds that are left.
pub mod deadline {
    use std::time::{Duration, Instant};

    use serde::de::{Deserialize as _, Deserializer};
    use serde::ser::{Serialize as _, Serializer};
    use swift_sys::epoll::deadline_in;

    pub fn serialize<S: Serializer>(at: &Option<Instant>, to: S) -> Result<S::Ok, S::Error> {
        let left = at.map(|at| at.saturating_duration_since(Instant::now()).as_secs());
        left.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Instant>, D::Error> {
        let left = Option::<u64>::deserialize(from)?;
        Ok(left.map(Duration::from_secs).and_then(deadline_in))
    }
}
