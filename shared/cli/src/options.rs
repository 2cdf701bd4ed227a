//! The table of options, from which parsing, `--help`, completions and the manual page's test are fed.

/// One option of a tool.
#[derive(Debug)]
pub struct Opt {
    /// The letter, where it has one.
    pub short: Option<char>,
    /// The long name without its dashes.
    pub long: &'static str,
    /// What its value is called in `--help`, where it takes one.
    pub value: Option<&'static str>,
    /// What it does, in lines of a help text; the first begins with a small letter.
    pub help: &'static str,
}

impl Opt {
    /// An option without a value.
    pub const fn flag(short: Option<char>, long: &'static str, help: &'static str) -> Opt {
        Opt {
            short,
            long,
            value: None,
            help,
        }
    }

    /// An option with a value.
    pub const fn value(
        short: Option<char>,
        long: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Opt {
        Opt {
            short,
            long,
            value: Some(value),
            help,
        }
    }
}

/// `-h`, which every tool has.
pub const HELP: Opt = Opt::flag(Some('h'), "help", "show this help and exit");
/// `-V`, which every tool has.
pub const VERSION: Opt = Opt::flag(Some('V'), "version", "show the version and exit");
/// `--swift-dir`, which every tool has: the site's own catalogue lies there.
pub const SWIFT_DIR: Opt = Opt::value(
    None,
    "swift-dir",
    "DIR",
    "where configs and swift-init.toml lie (default /etc/swift)",
);
/// `-q`, which every tool has that writes rows.
pub const QUIET: Opt = Opt::flag(
    Some('q'),
    "quiet",
    "do not repeat on stderr what the rows say",
);

impl Opt {
    /// The option as help shows it: `-c N, --config-num=N`.
    pub fn spelling(&self) -> String {
        let long = match self.value {
            Some(value) => format!("--{}={value}", self.long),
            None => format!("--{}", self.long),
        };
        match (self.short, self.value) {
            (Some(short), Some(value)) => format!("-{short} {value}, {long}"),
            (Some(short), None) => format!("-{short}, {long}"),
            (None, _) => long,
        }
    }
}

/// A command line that cannot be understood; the message is one line.
#[derive(Debug, PartialEq)]
pub struct UsageError(pub String);
