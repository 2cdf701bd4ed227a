//! Commands that end in time, or are ended.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};

use crate::pidfd;

/// The longest that [`run`] lets a command take.
pub const LIMIT: Duration = Duration::from_secs(300);

/// The output of a command, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Everything on its standard output up to its end.
    pub stdout: Vec<u8>,
    /// Everything on its standard error up to its end.
    pub stderr: Vec<u8>,
    /// The exit status or signal.
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

    /// The last state of each server in these rows, since later rows replace earlier ones. It is for tests
    /// in which a server has one instance.
    pub fn states(&self) -> BTreeMap<String, String> {
        let rows = self.rows();
        rows.into_iter()
            .map(|row| (row[0].clone(), row[5].clone()))
            .collect()
    }

    /// That these servers, and no others, ended in this state.
    ///
    /// # Panics
    /// When it is not so.
    pub fn assert_states(&self, servers: &[&str], state: &str) {
        let expected = servers.iter().map(|name| (name.to_string(), state.into()));
        assert_eq!(self.states(), expected.collect(), "{self}");
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
    if !ends_within(&child, limit)? {
        kill(&mut child)?;
        let output = content(&stderr)?;
        return Err(late(limit, &String::from_utf8_lossy(&output)));
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

/// Waits for the end of a child, and of those of its outputs that are pipes, for at most [`LIMIT`].
///
/// # Panics
/// When it has not ended in time, or something that it left behind holds a pipe open; it is killed then.
pub fn finish(child: Child) -> Outcome {
    try_finish(child, LIMIT).unwrap_or_else(|error| panic!("a command: {error}"))
}

fn try_finish(mut child: Child, limit: Duration) -> Result<Outcome> {
    // It may wait for the end of its input.
    drop(child.stdin.take());
    let end = Instant::now() + limit;
    let pipes = [
        child.stdout.take().map(OwnedFd::from),
        child.stderr.take().map(OwnedFd::from),
    ];
    let mut output = [Vec::new(), Vec::new()];
    let drained = drain(pipes.map(|pipe| pipe.map(File::from)), &mut output, end)?;
    let left = end.saturating_duration_since(Instant::now());
    if !drained || !ends_within(&child, left)? {
        kill(&mut child)?;
        let [stdout, stderr] = output.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        return Err(late(limit, &format!("{stderr}\n{stdout}")));
    }
    let status = child.wait()?;
    let [stdout, stderr] = output;
    Ok(Outcome {
        stdout,
        stderr,
        status,
    })
}

fn kill(child: &mut Child) -> Result<()> {
    child.kill()?;
    child.wait().map(drop)
}

fn late(limit: Duration, output: &str) -> Error {
    let why = format!("not done within {limit:?}, killed; it said: {output}");
    Error::new(ErrorKind::TimedOut, why)
}

/// Reads pipes as they fill, so that no process waits for room in one of them. Whether all came to their
/// ends in time.
fn drain(mut pipes: [Option<File>; 2], output: &mut [Vec<u8>; 2], end: Instant) -> Result<bool> {
    let mut chunk = [0; 1 << 16];
    while pipes.iter().any(Option::is_some) {
        let mut open: Vec<PollFd<'_>> = (pipes.iter().flatten())
            .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
            .collect();
        if !pidfd::poll_before(&mut open, end)? {
            return Ok(false);
        }
        let mut ready: Vec<bool> = (open.iter())
            .map(|one| one.any().expect("the kernel sets known events only"))
            .collect();
        for (pipe, output) in pipes.iter_mut().zip(&mut *output) {
            let Some(file) = pipe else { continue };
            if !ready.remove(0) {
                continue;
            }
            match file.read(&mut chunk)? {
                0 => *pipe = None,
                length => output.extend_from_slice(&chunk[..length]),
            }
        }
    }
    Ok(true)
}

/// Waits for the end of a child that was not yet waited for, so that its pid cannot mean another
/// process; `false` when the time is over.
///
/// # Errors
/// When the process cannot be opened.
pub fn ends_within(child: &Child, limit: Duration) -> Result<bool> {
    let pid = i32::try_from(child.id()).expect("a pid fits");
    let process = pidfd::open(pid).ok_or(ErrorKind::NotFound)?;
    Ok(pidfd::readable_within(&process, limit))
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
        pidfd::kill(&pidfd::open(pid).expect("it still runs"));
    }

    fn piped(line: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", line]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("there is a shell")
    }

    /// Fails when one pipe is read after the other: then the command waits for room in the second.
    #[test]
    fn finishes_what_fills_both_its_pipes() {
        let line = "cat; head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; exit 3";
        let outcome = finish(piped(line));
        let lengths = (outcome.stdout.len(), outcome.stderr.len());
        assert_eq!((outcome.code(), lengths), (3, (300_000, 300_000)));
    }

    /// Fails when the end of the pipes, or that of the process, is waited for without a bound.
    #[test]
    fn finishes_nothing_that_takes_too_long() {
        for line in [
            "echo no >&2; exec sleep 60",
            "echo no >&2; exec sleep 60 >&- 2>&-",
        ] {
            let child = piped(line);
            // Long enough for the word, and no matter for the verdict.
            let error = try_finish(child, Duration::from_secs(2)).expect_err("late");
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(error.to_string().ends_with("it said: no\n\n"), "{error}");
        }
    }

    #[test]
    fn ends_what_takes_too_long() {
        let mut command = Command::new("sleep");
        let error = try_run(command.arg("60"), b"", Duration::from_millis(20)).expect_err("late");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
