//! The clock that a process's start is told by.

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

/// How many clock ticks a second has: the unit of most times in /proc/PID/stat.
fn ticks_a_second() -> io::Result<u64> {
    let ticks = sysconf(SysconfVar::CLK_TCK)?.and_then(|ticks| u64::try_from(ticks).ok());
    ticks
        .filter(|ticks| *ticks > 0)
        .ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// How long ago a moment was that is given in clock ticks since boot, as field
/// 22 of /proc/PID/stat gives it; zero when it has not come yet.
pub fn since(moment: u64) -> io::Result<Duration> {
    let ticks = ticks_a_second()?;
    // CLOCK_BOOTTIME counts while the machine is suspended, as the field does.
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
    let part = Duration::from_secs(moment % ticks) / u32::try_from(ticks).unwrap_or(u32::MAX);
    Ok(now.saturating_sub(Duration::from_secs(moment / ticks) + part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_as_old_as_the_clock_says() {
        let boot = since(0).unwrap();
        let later = since(ticks_a_second().unwrap()).unwrap();
        assert!(boot > Duration::from_secs(1));
        assert!(later <= since(0).unwrap() && later + Duration::from_secs(1) >= boot);
        assert_eq!(since(u64::MAX).unwrap(), Duration::ZERO);
    }
}
