//! Where the tools begin: at C's `main` instead of the standard library's own
//! start, which reads /proc/self/maps and prepares a second stack only to say that
//! the first one has overflowed. That costs a tenth of a short tool's whole life.
//!
//! Only with glibc does the standard library find the arguments of a program that
//! begins so (it is among what .init_array names); elsewhere the tools begin as
//! programs in Rust do.

use std::ffi::c_int;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{OFlag, open};
use nix::sys::signal::{SigHandler, Signal};
use nix::sys::stat::Mode;

/// Makes a function what the program runs; what it returns has `status(self) -> u8`. The program begins
/// with `#![cfg_attr(all(not(test), target_env = "gnu"), no_main)]`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        // The one function of that name; the standard library's own is left out.
        #[cfg(all(not(test), target_env = "gnu"))]
        #[unsafe(export_name = "main")]
        extern "C" fn entry() -> std::ffi::c_int {
            $crate::entry::run(|| $main().status())
        }

        #[cfg(not(all(not(test), target_env = "gnu")))]
        fn main() -> std::process::ExitCode {
            std::process::ExitCode::from($main().status())
        }
    };
}

/// Does what the standard library does before `main`, as far as it is needed,
/// and ends the process with the exit status that `main` returns.
pub fn run(main: fn() -> u8) -> ! {
    if occupy_standard_descriptors().is_err() {
        // No message is possible: it may go anywhere.
        std::process::abort();
    }
    // A reader that is gone, and a file that may not become longer
    // (RLIMIT_FSIZE), are errors like any other: a tool that acts must not die
    // between a signal and the word of it.
    for signal in [Signal::SIGPIPE, Signal::SIGXFSZ] {
        // SAFETY: ignoring a signal runs no code of ours.
        let _ = unsafe { nix::sys::signal::signal(signal, SigHandler::SigIgn) };
    }
    std::process::exit(main().into())
}

/// True when this process was started without a standard output.
static NO_OUTPUT: AtomicBool = AtomicBool::new(false);

/// An error when this process was started without a standard output: what is
/// written there now goes nowhere, unnoticed.
pub fn need_output() -> io::Result<()> {
    if NO_OUTPUT.load(Ordering::Relaxed) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(())
}

/// Sees to it that descriptors 0 to 2 are open. Otherwise the next file that is
/// opened would be taken for standard output, and get what is meant for that.
fn occupy_standard_descriptors() -> io::Result<()> {
    for number in 0..=2 {
        if !is_open(number) {
            if number == libc::STDOUT_FILENO {
                NO_OUTPUT.store(true, Ordering::Relaxed);
            }
            // It gets that number, the lowest that is free, for good.
            std::mem::forget(open("/dev/null", OFlag::O_RDWR, Mode::empty())?);
        }
    }
    Ok(())
}

fn is_open(number: c_int) -> bool {
    // SAFETY: the call takes a number, and says whether it is a descriptor's.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}
