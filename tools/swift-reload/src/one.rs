//! One process, with the messages and exit statuses of Swift's own swift-reload.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use swift_cli::{self as cli, Exit};
use swift_cli::{service, text};
use swift_records::catalogue::Catalogue;
use swift_records::reason::Reason;
use swift_records::state::State;
use swift_server::check::{self, Checks};
use swift_server::notify::Notice;
use swift_server::process::Pid;
use swift_sys::epoll::Epoll;
use swift_sys::error::reason_of;
use swift_sys::syslog::Severity;

use crate::failure::Failure;
use crate::news::{End, News, not_notified, state_word};
use crate::options::{Options, TOOL};
use crate::reloads::Reloads;
use crate::repr;
use crate::target::{Refusal, Target};
use crate::unit::Unit;

/// Does the tool's job for the process of that pid.
pub fn run(options: &Options, pid: i64) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let known = i32::try_from(pid).ok().and_then(Pid::new);
    let target = known.map_or(Err(Refusal::Gone), |pid| Target::by_pid(&catalogue, pid));
    let target = match target {
        Ok(target) => target,
        Err(refusal) => {
            complain(&refused(pid, &refusal));
            if let Refusal::Unknown(error) = &refusal {
                TOOL.say(&format!("cannot inspect {pid}: {}", reason_of(error)));
            }
            return Ok(Exit::Usage);
        }
    };
    let story = Story {
        verbose: options.verbose,
        program: target.server.command.to_string(),
        who: format!("{pid} ({})", target.server.name),
        signal: target.signal.to_string().replace("SIG", ""),
    };
    let mut unit = Unit::of(&target)?;
    let mut checks = Checks::new(options.mode().check_timeout)?;
    match &unit {
        // The unit's status line says what is bad, so it goes into the verdict.
        Some(unit) => unit.extend_timeout(&options.mode()),
        // As with the original, the server's own words say what is bad about its config, each on
        // the stream that it chose.
        None => {
            let output = |fd: BorrowedFd| fd.try_clone_to_owned().map(File::from);
            checks = checks.relaying(output(io::stdout().as_fd())?, output(io::stderr().as_fd())?);
        }
    }
    let mut reloads = Reloads::new(options.mode(), checks)?;
    let epoll = Epoll::new()?;
    epoll.add(&reloads, 0)?;
    reloads.add(1, Ok(target));
    loop {
        for (_, news) in reloads.advance()? {
            if let Some(unit) = &mut unit {
                unit.follow(&story.who, &news)?;
            }
            if let Some(exit) = story.report(news)? {
                return Ok(exit);
            }
        }
        epoll.wait(reloads.deadline())?;
    }
}

/// The reason why a process cannot be reloaded, in the original's words where
/// it has some.
fn refused(pid: i64, refusal: &Refusal) -> String {
    match refusal {
        Refusal::Gone | Refusal::Unknown(_) => {
            format!("Failed to get process information for {pid}")
        }
        Refusal::Mismatch(line) => {
            let words: Vec<&[u8]> = line.args().map(|arg| arg.as_encoded_bytes()).collect();
            format!("Non-swift process: {}", repr::text(&words.join(&b' ')))
        }
        Refusal::Unable(program) => format!("Process does not support config checks: {program}"),
        Refusal::Worker(server, manager) => format!(
            "Process appears to be a {} worker, not a manager. Did you mean {manager}?",
            server.command
        ),
        Refusal::Starting | Refusal::OtherConfig(_) => {
            unreachable!("a process is asked what it runs, not whether that is a row's server")
        }
    }
}

/// The words for one reload.
struct Story {
    verbose: bool,
    program: String,
    who: String,
    signal: String,
}

impl Story {
    /// Reports an event; the exit status when that was the end.
    fn report(&self, news: News) -> anyhow::Result<Option<Exit>> {
        let program = &self.program;
        match news {
            News::Checking => self.narrate(&format!("Checking config for {program}")),
            News::Settling => self.narrate("Waiting until the process can take the signal"),
            News::Sending => self.narrate(&format!("Sending {} signal", self.signal)),
            News::Notified(notice) => self.narrate(&match (&notice, state_word(&notice)) {
                (_, Some(what)) => format!("Process is {what}"),
                (Notice::Other(line), None) => {
                    format!("Received notification {}", repr::bytes(line))
                }
                _ => unreachable!("every notice but another has a name"),
            }),
            News::TooOld => TOOL.say(&check::too_old(program)),
            News::NotNotified(why) => TOOL.say(&not_notified(&self.who, &why)),
            News::Signalled => {}
            News::Ended(End::Reloaded | End::Sent) => {
                print(&format!("Reloaded {program}"))?;
                return Ok(Some(Exit::Ok));
            }
            News::Ended(End::Failed(failure)) => return Ok(Some(self.failed(&failure))),
        }
        Ok(None)
    }

    fn failed(&self, failure: &Failure) -> Exit {
        match (failure.state, failure.reason) {
            (State::Misconfigured, Reason::Exit(_)) => {
                // Its words, unless they were relayed.
                let words = String::from_utf8_lossy(&failure.text);
                words.lines().for_each(complain);
                complain("Failed to validate config");
            }
            (State::Misconfigured, _) | (_, Reason::Untested) => {
                TOOL.say(&failure.message(&self.who));
                complain("Failed to validate config");
            }
            (_, Reason::Busy) => complain(&format!(
                "Could not bind notification socket: [Errno 98] Address already in use ({})",
                text::one_line(&failure.text)
            )),
            (_, Reason::Timeout) => {
                complain(&format!("Timed out reloading {}", self.program));
                return Exit::TimedOut;
            }
            _ => TOOL.say(&failure.message(&self.who)),
        }
        Exit::Failed
    }

    /// Reports a step, if steps are to be reported. Whether they can be written does not
    /// matter to the reload.
    fn narrate(&self, what: &str) {
        if self.verbose {
            let _ = print(what);
        }
    }
}

/// A line on standard output, at once.
fn print(line: &str) -> anyhow::Result<()> {
    cli::print(&format!("{line}\n"))
}

/// A line of the original's on standard error, which does not begin with the
/// tool's name.
fn complain(line: &str) {
    // Nothing can be said when standard error is gone.
    let prefix = service::priority_prefix(Severity::LOG_ERR);
    let _ = io::stderr().write_all(format!("{prefix}{line}\n").as_bytes());
}
