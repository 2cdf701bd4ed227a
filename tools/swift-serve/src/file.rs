//! The file that says how a server is served: swift-serve.toml(5).

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use swift_cli::program::SearchPath;
use swift_server::user;
use swift_sys::error::reason_of;
use swift_sys::regular_file;
use swift_sys::signal::Signal;
use swift_sys::spawn::User;
use toml::Spanned;

use crate::address::Address;
use crate::conf::{self, Values};
use crate::options::Server;

/// A number of workers beyond which it is a mistake.
const MOST_WORKERS: u32 = 4096;

/// The way in which a worker reports that it is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// READY=1 to NOTIFY_SOCKET.
    #[default]
    Notify,
    /// A newline to the descriptor that READY_FD names.
    Newline,
    /// Ready once it is seen to wait for connections.
    Accept,
    /// Ready once it is executed.
    Exec,
}

/// All that is to be known to serve, with every value put in. It is handed over
/// to the next image, so that the old generation can be kept by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Where to listen.
    pub listen: Vec<Address>,
    /// The number of workers.
    pub workers: u32,
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments, its own name first.
    pub command: Vec<String>,
    /// The way in which it reports that it is ready.
    pub ready: Ready,
    /// The signal on which a worker finishes what it has and leaves.
    pub graceful: Signal,
    /// Seconds that a worker has to stay ready before it counts.
    pub settle: Option<u32>,
    /// Seconds until new workers have to be ready.
    pub reload_timeout: u32,
    /// Seconds that old workers get to finish.
    pub stale_worker_timeout: u32,
    /// Seconds that an address in use is tried again.
    pub bind_timeout: u32,
    /// Seconds that workers get to end when the server is stopped.
    pub stop_timeout: u32,
    /// The user that the workers run as.
    pub identity: Option<User>,
}

impl Settings {
    /// The time in which new workers have to be ready.
    pub fn reload_timeout(&self) -> Duration {
        Duration::from_secs(self.reload_timeout.into())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    listen: Spanned<Vec<Spanned<String>>>,
    command: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    workers: Option<Spanned<Count>>,
    #[serde(default)]
    ready: Ready,
    graceful: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    settle: Option<Spanned<u32>>,
    reload_timeout: Option<u32>,
    stale_worker_timeout: Option<u32>,
    bind_timeout: Option<u32>,
    stop_timeout: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u32),
    Text(String),
}

/// Reads the file, and the config whose values it names. The error names the
/// file, the line and the key.
pub fn load(server: &Server) -> anyhow::Result<Settings> {
    let file = server.file.display();
    let text = regular_file::read_text(&server.file)
        .map_err(|e| anyhow!("cannot read {file}: {}", reason_of(&e)))?;
    let line = |span: Range<usize>| {
        let end = span.start.min(text.len());
        text.as_bytes()[..end]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1
    };
    let form: Form = toml::from_str(&text).map_err(|e| {
        let what = e.message().replace('\n', " ");
        anyhow!("{file}: line {}: {what}", line(e.span().unwrap_or(0..0)))
    })?;
    let conf = match &server.conf {
        None => None,
        Some(path) => {
            let name = path.to_str();
            let name = name.ok_or_else(|| anyhow!("{}: not UTF-8", path.display()))?;
            let values = conf::read(path).map_err(|why| anyhow!("{why}"))?;
            Some((name.to_owned(), values))
        }
    };
    settings(form, conf.as_ref())
        .map_err(|(span, why)| anyhow!("{file}: line {}: {why}", line(span)))
}

type Fault = (Range<usize>, String);

fn settings(form: Form, conf: Option<&(String, Values)>) -> Result<Settings, Fault> {
    let put_in = |key: &str, text: &Spanned<String>| {
        expand(text.get_ref(), conf).map_err(|why| (text.span(), format!("{key}: {why}")))
    };
    let all = |key: &str, texts: &Spanned<Vec<Spanned<String>>>| {
        if texts.get_ref().is_empty() {
            return Err((texts.span(), format!("{key}: at least one is needed")));
        }
        texts
            .get_ref()
            .iter()
            .map(|text| put_in(key, text))
            .collect::<Result<Vec<_>, _>>()
    };
    let mut listen: Vec<Address> = Vec::new();
    for (text, source) in all("listen", &form.listen)?
        .iter()
        .zip(form.listen.get_ref())
    {
        let fault = |why: String| (source.span(), format!("listen: {why}"));
        let address: Address = text.parse().map_err(fault)?;
        if listen.contains(&address) {
            return Err(fault(format!("{address}: twice the same")));
        }
        listen.push(address);
    }
    let workers = workers(form.workers, conf)?;
    let command = all("command", &form.command)?;
    let program = find(&command[0]).map_err(|why| {
        let span = form.command.get_ref()[0].span();
        (span, format!("command: {why}"))
    })?;
    let graceful = match &form.graceful {
        None => Signal::TERM,
        Some(word) => {
            let text = put_in("graceful", word)?;
            Signal::parse(&text)
                .ok_or_else(|| (word.span(), format!("graceful: no signal is named {text}")))?
        }
    };
    let identity = match &form.user {
        None => None,
        Some(name) => {
            let fault = |why: String| (name.span(), format!("user: {why}"));
            Some(user::find(&put_in("user", name)?).map_err(fault)?)
        }
    };
    let reload_timeout = form.reload_timeout.unwrap_or(60);
    if let Some(settle) = &form.settle
        && *settle.get_ref() >= reload_timeout
    {
        let why = format!("settle: has to be less than reload_timeout, which is {reload_timeout}");
        return Err((settle.span(), why));
    }
    Ok(Settings {
        listen,
        workers,
        program,
        command,
        ready: form.ready,
        graceful,
        settle: form.settle.map(Spanned::into_inner),
        reload_timeout,
        stale_worker_timeout: form.stale_worker_timeout.unwrap_or(86400),
        bind_timeout: form.bind_timeout.unwrap_or(30),
        stop_timeout: form.stop_timeout.unwrap_or(10),
        identity,
    })
}

/// The number of workers: one unless it is said, and `auto` is one for each processor.
fn workers(count: Option<Spanned<Count>>, conf: Option<&(String, Values)>) -> Result<u32, Fault> {
    let Some(count) = count else {
        return Ok(1);
    };
    let span = count.span();
    let fault = |why: String| (span.clone(), format!("workers: {why}"));
    let number = match count.into_inner() {
        Count::Number(number) => number,
        Count::Text(text) => match expand(&text, conf).map_err(fault)?.as_str() {
            "auto" => std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
            text => text
                .trim()
                .parse()
                .map_err(|_| fault(format!("{text}: not a number")))?,
        },
    };
    if !(1..=MOST_WORKERS).contains(&number) {
        return Err(fault(format!(
            "a number from 1 to {MOST_WORKERS} is wanted"
        )));
    }
    Ok(number)
}

/// Where a program lies.
fn find(name: &str) -> Result<PathBuf, String> {
    if !name.contains('/') {
        let found = SearchPath::from_env().find(name);
        return found.ok_or_else(|| format!("{name}: PATH has no such program"));
    }
    match swift_cli::program::is_executable(name.as_ref()) {
        true => Ok(name.into()),
        false => Err(format!("{name}: no program that can be executed")),
    }
}

/// Puts values in: `{conf}` is the config's path, `{NAME}` a value of its
/// `[DEFAULT]`, and two braces stand for one.
fn expand(text: &str, conf: Option<&(String, Values)>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let end = rest.find('}').filter(|_| brace == "{");
        let end = end.ok_or("a lone brace (write two for one)")?;
        let name = &rest[..end];
        let (path, values) = conf.ok_or_else(|| format!("{{{name}}}: no config was given"))?;
        out.push_str(match name {
            "conf" => path,
            _ => values
                .get(name)
                .ok_or_else(|| format!("{{{name}}}: not in [DEFAULT] of {path}"))?,
        });
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn loaded(file: &str, conf: &str) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        let (path, config) = (directory.path().join("f"), directory.path().join("c"));
        fs::write(&path, file).unwrap();
        fs::write(&config, conf).unwrap();
        let server = Server {
            file: path,
            conf: Some(config),
            verbose: false,
        };
        let place = format!("{}/", directory.path().display());
        load(&server).map_err(|e| format!("{e:#}").replace(&place, ""))
    }

    #[test]
    fn values_are_put_in() {
        let settings = loaded(
            "#!/usr/bin/swift-serve\nlisten = [\"{ip}:{port}\", \"unix:/run/{ip}\"]\n\
             workers = \"{n}\"\ncommand = [\"/bin/sh\", \"{conf}\", \"{{}}\"]\n",
            "[DEFAULT]\nip = ::1\nport = 80\nn = 3\n",
        )
        .unwrap();
        assert_eq!(settings.listen[0].to_string(), "[::1]:80");
        assert_eq!(settings.listen[1].to_string(), "unix:/run/::1");
        assert_eq!(settings.workers, 3);
        assert!(settings.command[1].ends_with("/c"));
        assert_eq!(settings.command[2], "{}");
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<Settings>(&text).unwrap(), settings);
    }

    #[test]
    fn what_makes_no_sense_is_named_with_line_and_key() {
        let command = "command = [\"/bin/sh\"]\n";
        let listen = "listen = [\"127.0.0.1:{port}\"]\n";
        for (file, what) in [
            (
                format!("{listen}{command}worker = 1\n"),
                "f: line 3: unknown field `worker`",
            ),
            (listen.to_owned(), "f: line 1: missing field `command`"),
            (
                format!("{command}listen = [\"x\"]\n"),
                "f: line 2: listen: x: no address",
            ),
            (
                format!("{command}listen = [\n\"{{nope}}:1\"]\n"),
                "f: line 3: listen: {nope}: not in [DEFAULT] of c",
            ),
            (
                format!("{listen}{command}workers = 0\n"),
                "f: line 3: workers: a number from",
            ),
            (
                format!("{listen}command = []\n"),
                "f: line 2: command: at least one",
            ),
            (
                format!("{listen}command = [\"/no\"]\n"),
                "f: line 2: command: /no: no program",
            ),
            (
                format!("{listen}{command}graceful = \"X\"\n"),
                "f: line 3: graceful: no signal",
            ),
            (
                format!("{listen}{command}user = \"no-such\"\n"),
                "f: line 3: user: /etc/passwd has",
            ),
            (
                format!("{listen}{command}reload_timeout = 5\nsettle = 5\n"),
                "f: line 4: settle: has to be less than reload_timeout, which is 5",
            ),
            (
                format!("{listen}{command}ready = \"x\"\n"),
                "f: line 3: unknown variant",
            ),
            (
                format!("{command}listen = [\"{{\"]\n"),
                "f: line 2: listen: a lone brace",
            ),
        ] {
            let error = loaded(&file, "[DEFAULT]\nport = 1\n").unwrap_err();
            assert!(error.starts_with(what), "{error}");
        }
    }
}
