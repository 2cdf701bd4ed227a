//! The table of options, from which parsing, `--help`, completions and the manual page's test are fed.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::value::{Destination, FromValue, UsageError, Value};

/// Where configs and the site's catalogue lie by default.
const SWIFT_DIR: &str = "/etc/swift";

/// One option of a tool, whose command line is read into an `O`.
#[derive(Debug)]
pub struct Opt<O: 'static> {
    /// The letter, where it has one.
    pub short: Option<char>,
    /// The long name without its dashes.
    pub long: &'static str,
    /// The effect, in lines of a help text; the first begins with a small letter.
    pub help: &'static str,
    /// How it is carried out.
    pub(crate) effect: Effect<O>,
}

/// How an option is carried out.
#[derive(Debug)]
pub(crate) enum Effect<O: 'static> {
    Flag(Flag<O>),
    /// The value's name in `--help`, and its place.
    Value(&'static str, PlaceOf<O>),
}

/// An option without a value.
#[derive(Debug)]
pub enum Flag<O> {
    /// Shows the help.
    Help,
    /// Shows the version.
    Version,
    /// Sets something.
    Set(fn(&mut O)),
}

/// Where in the options a value goes.
pub type PlaceOf<O> = fn(&mut O) -> &mut dyn Destination;

impl<O> Opt<O> {
    /// `-h`, which every tool has.
    pub const HELP: Opt<O> =
        Opt::new(Some('h'), "help", Effect::Flag(Flag::Help)).help("show this help and exit");
    /// `-V`, which every tool has.
    pub const VERSION: Opt<O> = Opt::new(Some('V'), "version", Effect::Flag(Flag::Version))
        .help("show the version and exit");

    /// An option without a value.
    pub const fn flag(short: Option<char>, long: &'static str, set: fn(&mut O)) -> Opt<O> {
        Opt::new(short, long, Effect::Flag(Flag::Set(set)))
    }

    /// An option whose value goes to a place, which says what it can be.
    pub const fn value(
        short: Option<char>,
        long: &'static str,
        value: &'static str,
        place: PlaceOf<O>,
    ) -> Opt<O> {
        Opt::new(short, long, Effect::Value(value, place))
    }

    /// `--swift-dir`, which every tool but swift-serve has: the site's own catalogue lies there.
    pub const fn swift_dir(place: PlaceOf<O>) -> Opt<O> {
        Opt::value(None, "swift-dir", "DIR", place)
            .help("where configs and swift-init.toml lie (default /etc/swift)")
    }

    /// `-q`, which every tool has that writes rows.
    pub const fn quiet(set: fn(&mut O)) -> Opt<O> {
        Opt::flag(Some('q'), "quiet", set).help("do not repeat on stderr what the rows say")
    }

    const fn new(short: Option<char>, long: &'static str, effect: Effect<O>) -> Opt<O> {
        Opt {
            short,
            long,
            help: "",
            effect,
        }
    }

    /// The option with its line of help.
    pub const fn help(mut self, help: &'static str) -> Opt<O> {
        self.help = help;
        self
    }

    /// The name of its value in `--help`, where it takes one.
    pub fn value_name(&self) -> Option<&'static str> {
        match self.effect {
            Effect::Value(name, _) => Some(name),
            _ => None,
        }
    }

    /// The option as help shows it: `-c N, --config-num=N`.
    pub fn spelling(&self) -> String {
        let long = match self.value_name() {
            Some(value) => format!("--{}={value}", self.long),
            None => format!("--{}", self.long),
        };
        match (self.short, self.value_name()) {
            (Some(short), Some(value)) => format!("-{short} {value}, {long}"),
            (Some(short), None) => format!("-{short}, {long}"),
            (None, _) => long,
        }
    }
}

/// The value of `--swift-dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwiftDir(pub PathBuf);

impl Default for SwiftDir {
    fn default() -> SwiftDir {
        SwiftDir(SWIFT_DIR.into())
    }
}

impl Deref for SwiftDir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl FromValue for SwiftDir {
    fn from_value(value: Value) -> Result<SwiftDir, UsageError> {
        PathBuf::from_value(value).map(SwiftDir)
    }
}
