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
use swift_sys::socket::Access;
use swift_sys::spawn::User;
use toml::Spanned;

use crate::address::Address;
use crate::conf::{self, Values, expand};
use crate::options::Server;
use crate::sockets;

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
    /// How addresses are listened on.
    #[serde(default)]
    pub sockets: sockets::Options,
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
    #[serde(default)]
    ipv6_only: bool,
    socket_mode: Option<Spanned<String>>,
    socket_user: Option<Spanned<String>>,
    socket_group: Option<Spanned<String>>,
    settle: Option<Spanned<Seconds>>,
    reload_timeout: Option<Spanned<Seconds>>,
    stale_worker_timeout: Option<Seconds>,
    bind_timeout: Option<Seconds>,
    stop_timeout: Option<Seconds>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(
    untagged,
    expecting = "a whole number of seconds is wanted, from 0 to 4294967295"
)]
enum Seconds {
    Number(u32),
}

impl Seconds {
    /// The number; a default where the file has none.
    fn or(seconds: Option<Seconds>, default: u32) -> u32 {
        seconds.map_or(default, |Seconds::Number(number)| number)
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a number from 1 to 4096 is wanted, or a string that gives one"
)]
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
        let span = e.span().unwrap_or(0..0);
        let what = e.message().replace('\n', " ");
        // A value of the wrong type comes without its key.
        let key = key_before(&text, span.start);
        let key = key.filter(|key| !what.contains(&format!("`{key}`")));
        let key = key.map_or(String::new(), |key| format!("{key}: "));
        anyhow!("{file}: line {}: {key}{what}", line(span))
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

/// The key whose value stands at a place of a text, on the same line.
fn key_before(text: &str, at: usize) -> Option<&str> {
    let before = text.get(..at)?;
    let line = before.rsplit('\n').next()?;
    line.split_once('=').map(|(key, _)| key.trim())
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
    let listen = listen(&form, &all("listen", &form.listen)?)?;
    let workers = workers(form.workers.as_ref(), conf)?;
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
    let sockets = sockets::Options {
        ipv6_only: form.ipv6_only,
        access: access(&form, identity.as_ref(), &put_in)?,
    };
    let seconds = form.reload_timeout.as_ref().map(|one| *one.get_ref());
    let reload_timeout = Seconds::or(seconds, 60);
    if let Some(source) = form.reload_timeout.filter(|_| reload_timeout == 0) {
        let why = "reload_timeout: at least 1 second is needed, or no reload succeeds";
        return Err((source.span(), why.into()));
    }
    if let Some(settle) = &form.settle
        && Seconds::or(Some(*settle.get_ref()), 0) >= reload_timeout
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
        settle: form
            .settle
            .map(|one| Seconds::or(Some(one.into_inner()), 0)),
        reload_timeout,
        stale_worker_timeout: Seconds::or(form.stale_worker_timeout, 86400),
        bind_timeout: Seconds::or(form.bind_timeout, 30),
        stop_timeout: Seconds::or(form.stop_timeout, 10),
        sockets,
        identity,
    })
}

/// The addresses, from their texts with values put in.
fn listen(form: &Form, texts: &[String]) -> Result<Vec<Address>, Fault> {
    let mut all: Vec<Address> = Vec::new();
    for (text, source) in texts.iter().zip(form.listen.get_ref()) {
        let fault = |why: String| (source.span(), format!("listen: {why}"));
        let address: Address = text.parse().map_err(fault)?;
        if all.contains(&address) {
            return Err(fault(format!("{address}: twice the same")));
        }
        let overlaps = |other: &&Address, ipv6_only| other.overlaps(&address, ipv6_only);
        if let Some(other) = all.iter().find(|one| overlaps(one, form.ipv6_only)) {
            let unless = match overlaps(&other, true) {
                true => "",
                false => ", unless ipv6_only = true is set",
            };
            let why = format!("one takes the connections of the other{unless}");
            return Err(fault(format!("{address} and {other}: {why}")));
        }
        all.push(address);
    }
    Ok(all)
}

/// The mode and the owner of unix sockets: the user of the workers unless it is said.
fn access(
    form: &Form,
    workers: Option<&User>,
    put_in: &impl Fn(&str, &Spanned<String>) -> Result<String, Fault>,
) -> Result<Access, Fault> {
    let mut access = Access {
        mode: None,
        user: workers.map(|user| user.uid),
        group: workers.map(|user| user.gid),
    };
    if let Some(text) = &form.socket_user {
        let fault = |why: String| (text.span(), format!("socket_user: {why}"));
        let user = user::find(&put_in("socket_user", text)?).map_err(fault)?;
        (access.user, access.group) = (Some(user.uid), Some(user.gid));
    }
    if let Some(text) = &form.socket_group {
        let fault = |why: String| (text.span(), format!("socket_group: {why}"));
        let group = user::find_group(&put_in("socket_group", text)?).map_err(fault)?;
        access.group = Some(group);
    }
    if let Some(text) = &form.socket_mode {
        let mode = put_in("socket_mode", text)?;
        let fault = || {
            let why = format!("socket_mode: {mode}: an octal mode such as 0660 is wanted");
            (text.span(), why)
        };
        let number = u32::from_str_radix(&mode, 8).ok();
        access.mode = Some(number.filter(|mode| *mode <= 0o777).ok_or_else(fault)?);
    }
    Ok(access)
}

/// The number of workers: one unless it is said, and `auto` is one for each processor.
fn workers(count: Option<&Spanned<Count>>, conf: Option<&(String, Values)>) -> Result<u32, Fault> {
    let Some(count) = count else {
        return Ok(1);
    };
    let span = count.span();
    let fault = |why: String| (span.clone(), format!("workers: {why}"));
    let number = match count.get_ref() {
        Count::Number(number) => *number,
        Count::Text(text) => match expand(text, conf).map_err(fault)?.as_str() {
            "auto" => std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
            value => value.trim().parse().map_err(|_| {
                // The value of the config is to blame, and its name says where to look.
                fault(match text.as_str() == value {
                    true => format!("{value}: not a number"),
                    false => format!("{text} gives '{value}', which is not a number"),
                })
            })?,
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
                format!("{listen}{command}reload_timeout = 0\n"),
                "f: line 3: reload_timeout: at least 1 second is needed",
            ),
            (
                format!("{listen}{command}reload_timeout = 5\nsettle = 5\n"),
                "f: line 4: settle: has to be less than reload_timeout, which is 5",
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

    #[test]
    fn a_value_of_the_wrong_kind_is_named_by_its_key() {
        let command = "command = [\"/bin/sh\"]\n";
        let listen = "listen = [\"127.0.0.1:{port}\"]\n";
        for (file, what) in [
            (
                format!("{listen}{command}ready = \"x\"\n"),
                "f: line 3: ready: unknown variant",
            ),
            (
                format!("{listen}{command}stop_timeout = \"x\"\n"),
                "f: line 3: stop_timeout: a whole number of seconds is wanted",
            ),
            (
                format!("{listen}{command}workers = -1\n"),
                "f: line 3: workers: a number from 1 to 4096 is wanted",
            ),
            (
                format!("{listen}{command}workers = \"{{port}}x\"\n"),
                "f: line 3: workers: {port}x gives '1x', which is not a number",
            ),
            (
                format!("{listen}{command}socket_mode = \"rw\"\n"),
                "f: line 3: socket_mode: rw: an octal mode",
            ),
            (
                format!("{listen}{command}socket_group = \"no-such\"\n"),
                "f: line 3: socket_group: /etc/group has no group no-such",
            ),
            (
                format!("{command}listen = [\"[::]:80\", \"0.0.0.0:80\"]\n"),
                "f: line 2: listen: 0.0.0.0:80 and [::]:80: one takes the connections of the other, unless",
            ),
            (
                format!("{command}ipv6_only = true\nlisten = [\"127.0.0.1:80\", \"0.0.0.0:80\"]\n"),
                "f: line 3: listen: 0.0.0.0:80 and 127.0.0.1:80: one takes the connections of the other",
            ),
        ] {
            let error = loaded(&file, "[DEFAULT]\nport = 1\n").unwrap_err();
            assert!(error.starts_with(what), "{error}");
        }
    }
}
