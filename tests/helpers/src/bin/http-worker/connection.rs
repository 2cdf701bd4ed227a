//! One client's requests, one after the other.

use std::fs;
use std::io::{Read, Result, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::listen::Client;

/// The facts that `GET /` tells.
#[derive(Debug)]
pub struct Page {
    generation: String,
    text: String,
}

impl Page {
    /// With this text.
    pub fn new(text: String) -> Page {
        Page {
            generation: std::env::var("SWIFT_SERVE_GENERATION").unwrap_or_else(|_| "-".into()),
            text,
        }
    }

    fn answer(&self, path: &str) -> String {
        if path == "/die" {
            std::process::exit(1);
        }
        if let Some(fifo) = path.strip_prefix("/slow?") {
            let read = fs::read_to_string(fifo);
            return read.unwrap_or_else(|error| format!("{fifo}: {error}\n"));
        }
        let (generation, text) = (&self.generation, &self.text);
        let pid = std::process::id();
        let uid = nix::unistd::geteuid();
        format!("generation={generation} pid={pid} uid={uid} text={text}\n")
    }
}

/// Answers until the client goes, or asks for the end, or the end of `leave_signal` has come and it was leave_signal
/// once that this is the last answer. An idle client is not cut off then: it may have sent a request
/// at this very moment.
pub fn serve(mut client: Client, page: &Page, leave_signal: &UnixStream) -> Result<()> {
    let mut input = Vec::new();
    loop {
        let Some(end) = read_head(&mut client, &mut input)? else {
            return Ok(());
        };
        let head = String::from_utf8_lossy(&input[..end]).into_owned();
        input.drain(..end);
        let path = head.split(' ').nth(1).unwrap_or("/");
        let body = page.answer(path);
        // Asked after the answer was made: a slow one may have been overtaken.
        let asked = head.to_ascii_lowercase().contains("connection: close");
        let last = asked || has_ended(leave_signal)?;
        let connection = if last { "close" } else { "keep-alive" };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
             Connection: {connection}\r\n\r\n{body}"
        );
        client.write_all(answer.as_bytes())?;
        if last {
            return Ok(());
        }
    }
}

/// Reads up to the end of a request's head and says where that is; none at the end of input. Requests
/// here have no bodies.
fn read_head(client: &mut Client, input: &mut Vec<u8>) -> Result<Option<usize>> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(start) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            return Ok(Some(start + 4));
        }
        match client.read(&mut buffer)? {
            0 => return Ok(None),
            length => input.extend_from_slice(&buffer[..length]),
        }
    }
}

fn has_ended(leave_signal: &UnixStream) -> Result<bool> {
    let mut fds = [PollFd::new(leave_signal.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut fds, PollTimeout::ZERO)? > 0)
}
