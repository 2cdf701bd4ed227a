//! Where a short-lived tool begins: at C's `main` instead of the standard
//! library's own start, which reads /proc/self/maps and prepares a second stack
//! only to say that the first one has overflowed. That costs a tenth of such a
//! tool's whole life.

use std::io;
use std::os::fd::BorrowedFd;

use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal};
use nix::sys::stat::Mode;

use crate::cli::Exit;

/// Makes a function `fn() -> Exit` what the program runs. The program begins
/// with `#![cfg_attr(not(test), no_main)]`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        // The one function of that name; the standard library's own is left out.
        #[cfg(not(test))]
        #[unsafe(export_name = "main")]
        extern "C" fn entry() -> std::ffi::c_int {
            $crate::sys::entry::run($main)
        }
    };
}

/// Does what the standard library does before `main`, as far as it is needed,
/// and ends the process with the exit status of `main`.
pub fn run(main: fn() -> Exit) -> ! {
    if occupy_standard_descriptors().is_err() {
        // Nobody can be told: what is written there may go anywhere.
        std::process::abort();
    }
    // A reader that is gone is an error like any other, and is dealt with where
    // it is met.
    // SAFETY: ignoring a signal runs no code of ours.
    let _ = unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    std::process::exit(main().status().into())
}

/// Sees to it that descriptors 0 to 2 are open. Otherwise the next file that is
/// opened would be taken for standard output, and get what is meant for that.
fn occupy_standard_descriptors() -> io::Result<()> {
    // SAFETY: they are only borrowed for the time of the call, which says which
    // of them are not open (poll(2), POLLNVAL).
    let fds = [0, 1, 2].map(|number| unsafe { BorrowedFd::borrow_raw(number) });
    let mut polled = fds.map(|fd| PollFd::new(fd, PollFlags::empty()));
    while let Err(error) = poll(&mut polled, PollTimeout::ZERO) {
        if error != nix::Error::EINTR {
            return Err(error.into());
        }
    }
    for _ in polled.iter().filter(|one| is_closed(one)) {
        // The lowest number that is free is the one that gets it, for good.
        std::mem::forget(open("/dev/null", OFlag::O_RDWR, Mode::empty())?);
    }
    Ok(())
}

fn is_closed(polled: &PollFd) -> bool {
    polled
        .revents()
        .is_some_and(|events| events.contains(PollFlags::POLLNVAL))
}
