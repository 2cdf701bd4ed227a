//! The command line.

/// The way in which the process reports that it is ready.
#[derive(Clone, Copy, Debug)]
pub enum Ready {
    /// READY=1 to NOTIFY_SOCKET.
    Notify,
    /// A newline to the descriptor that READY_FD names.
    Newline,
    /// Not at all.
    Silent,
}

/// The behaviour of a worker.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    /// The worker serves.
    Serve,
    /// The worker exits at once.
    Fail,
    /// The worker never gets ready, and leaves when it is told to.
    Hang,
}

/// The options.
#[derive(Debug)]
pub struct Options {
    /// The way in which it reports that it is ready.
    pub ready: Ready,
    /// The behaviour of the worker.
    pub behaviour: Behaviour,
    /// A fifo at which it waits, before it gets ready, until a test has opened and closed it.
    pub gate: Option<String>,
    /// The text for its clients.
    pub text: String,
}

impl Options {
    /// Reads `[notify|newline|silent] [serve|fail|hang] [wait=FIFO|wait=-] [text=TEXT]`, in any order, so that a config's
    /// values can stand for any of them.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            ready: Ready::Notify,
            behaviour: Behaviour::Serve,
            gate: None,
            text: String::new(),
        };
        for word in words {
            match word.as_str() {
                "notify" => options.ready = Ready::Notify,
                "newline" => options.ready = Ready::Newline,
                "silent" => options.ready = Ready::Silent,
                "serve" => options.behaviour = Behaviour::Serve,
                "fail" => options.behaviour = Behaviour::Fail,
                "hang" => options.behaviour = Behaviour::Hang,
                "wait=-" => options.gate = None,
                other => match other.split_once('=') {
                    Some(("text", text)) => options.text = text.to_owned(),
                    Some(("wait", fifo)) => options.gate = Some(fifo.to_owned()),
                    _ => return Err(format!("unknown word: {other}")),
                },
            }
        }
        Ok(options)
    }
}
