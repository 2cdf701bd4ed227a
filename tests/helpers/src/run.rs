//! Commands that end in time, or are ended.

use std::fs::File;
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How long [`run`] lets a command take.
pub const LIMIT: Duration = Duration::from_secs(300);

/// What a command wrote, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Everything on its standard output up to its end.
    pub stdout: Vec<u8>,
    /// Everything on its standard error up to its end.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub status: ExitStatus,
}

impl Outcome {
    /// The exit status, or 128 and the number of the signal that ended it, as a shell says it.
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .or_else(|| self.status.signal().map(|number| 128 + number))
            .expect("a process that ended has a status")
    }

    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Standard output in lines of columns, as the row tools write them.
    pub fn rows(&self) -> Vec<Vec<String>> {
        self.out()
            .lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect()
    }
}

/// All of it, for a test that failed.
impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (out, err) = (self.out(), self.err());
        write!(f, "{}\nstdout:\n{out}\nstderr:\n{err}", self.status)
    }
}

/// Runs a command without input for at most [`LIMIT`].
///
/// # Panics
/// When it cannot be started, or is not done in time; it is killed then.
pub fn run(command: &mut Command) -> Outcome {
    run_with(command, b"", LIMIT)
}

/// Runs a command with this input, for at most `limit`.
///
/// Its outputs are files, so a server that it left behind with them open holds nothing up.
///
/// # Panics
/// When it cannot be started, or is not done in time; it is killed then.
pub fn run_with(command: &mut Command, input: &[u8], limit: Duration) -> Outcome {
    try_run(command, input, limit).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn try_run(command: &mut Command, input: &[u8], limit: Duration) -> Result<Outcome> {
    let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut child = command
        .stdin(input_file(input)?)
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn()?;
    if !ends_within(child.id(), limit)? {
        child.kill()?;
        child.wait()?;
        let told = String::from_utf8_lossy(&content(&stderr)?).into_owned();
        let why = format!("not done within {limit:?}, killed; it said: {told}");
        return Err(Error::new(ErrorKind::TimedOut, why));
    }
    let status = child.wait()?;
    Ok(Outcome {
        stdout: content(&stdout)?,
        stderr: content(&stderr)?,
        status,
    })
}

fn input_file(input: &[u8]) -> Result<Stdio> {
    if input.is_empty() {
        return Ok(Stdio::null());
    }
    let mut file = tempfile::tempfile()?;
    file.write_all(input)?;
    std::io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

/// Waits for the end of a child that was not yet waited for, so its pid cannot mean another process.
fn ends_within(pid: u32, limit: Duration) -> Result<bool> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pidfd = pidfd_open(pid.expect("a child has a pid"), PidfdFlags::empty())?;
    let end = Instant::now() + limit;
    loop {
        let left = Timespec::try_from(end.saturating_duration_since(Instant::now()))
            .expect("a time limit fits");
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The file's bytes, read without moving the offset that the command's own descriptors share.
fn content(file: &File) -> Result<Vec<u8>> {
    let length = usize::try_from(file.metadata()?.len()).expect("a test's output fits in memory");
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_input_and_tells_output_and_status() {
        let mut command = Command::new("sh");
        let outcome = run_with(
            command.args(["-c", "cat; echo no >&2; exit 3"]),
            b"a\tb\n",
            LIMIT,
        );
        assert_eq!((outcome.code(), outcome.err().as_str()), (3, "no\n"));
        assert_eq!(outcome.rows(), [["a", "b"]]);
    }

    #[test]
    fn is_not_held_up_by_what_a_command_leaves_behind() {
        let mut command = Command::new("sh");
        let outcome = run(command.args(["-c", "sleep 5 & echo $!"]));
        let pid = outcome.out().trim().parse().expect("a pid");
        let pid = Pid::from_raw(pid).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it still runs");
    }

    #[test]
    fn ends_what_takes_too_long() {
        let mut command = Command::new("sleep");
        let error = try_run(command.arg("60"), b"", Duration::from_millis(20)).expect_err("late");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
