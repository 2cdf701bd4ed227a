//! Interpreters: which word of their command line is the script that they run.
//!
//! Pure data, and one reader for all of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// The options of an interpreter, or of a module that runs a script.
struct Grammar {
    /// Its names, without the version that may follow them.
    names: &'static [&'static str],
    /// Letters whose value is the rest of their word, or else the next word.
    word: &'static [u8],
    /// Letters whose value is the rest of their word and never another one.
    rest: &'static [u8],
    /// Letters after which there is no script: program text, or standard input.
    text: &'static [u8],
    /// Long options whose value is the next word when no `=` follows them.
    long: &'static [&'static str],
    /// Whether `-m` names a module, which may be one that runs a script.
    modules: bool,
    /// A word that has to come before all else, such as coverage's `run`.
    command: Option<&'static str>,
}

const NONE: Grammar = Grammar {
    names: &[],
    word: b"",
    rest: b"",
    text: b"",
    long: &[],
    modules: false,
    command: None,
};

/// What is executed with a script as its first operand.
const INTERPRETERS: &[Grammar] = &[
    Grammar {
        names: &["python", "pypy", "platform-python"],
        word: b"WXQ",
        text: b"c",
        long: &["--check-hash-based-pycs"],
        modules: true,
        ..NONE
    },
    Grammar {
        names: &["perl"],
        word: b"I",
        rest: b"CDFMVdilmx0",
        text: b"eE",
        ..NONE
    },
    Grammar {
        names: &["ruby"],
        word: b"CEIr",
        rest: b"FKTWix0",
        text: b"e",
        long: &[
            "--encoding",
            "--external-encoding",
            "--internal-encoding",
            "--enable",
            "--disable",
        ],
        ..NONE
    },
    Grammar {
        names: &["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"],
        word: b"oO",
        text: b"cs",
        long: &["--rcfile", "--init-file"],
        ..NONE
    },
    Grammar {
        names: &["swift-serve"],
        ..NONE
    },
];

/// Modules of Python that run a script, as `-m NAME` or by a program of their own.
const RUNNERS: &[Grammar] = &[
    Grammar {
        names: &["trace"],
        word: b"fC",
        long: &["--file", "--coverdir", "--ignore-module", "--ignore-dir"],
        ..NONE
    },
    Grammar {
        names: &["coverage", "python3-coverage", "python-coverage"],
        text: b"m",
        long: &[
            "--concurrency",
            "--context",
            "--data-file",
            "--include",
            "--omit",
            "--rcfile",
            "--source",
        ],
        command: Some("run"),
        ..NONE
    },
    Grammar {
        names: &["cProfile", "profile"],
        word: b"os",
        text: b"m",
        long: &["--outfile", "--sort"],
        ..NONE
    },
    Grammar {
        names: &["pdb"],
        word: b"c",
        text: b"m",
        long: &["--command"],
        ..NONE
    },
    Grammar {
        names: &["memray"],
        word: b"o",
        text: b"cm",
        long: &["--output"],
        command: Some("run"),
        ..NONE
    },
];

/// Options of Swift's daemons whose value is the next word when none is joined to
/// them (parse_options of swift 2.38's object and container daemons).
const DAEMONS: Grammar = Grammar {
    word: b"dipz",
    long: &[
        "--devices",
        "--partitions",
        "--policies",
        "--process",
        "--processes",
        "--zero_byte_fps",
    ],
    ..NONE
};

/// An operand, by its place among the arguments.
enum Operand {
    At(usize),
    Module(usize),
    None,
}

/// Whether a program's name, without its directory, is that of an interpreter
/// of the table.
pub fn is_known(program: &OsStr) -> bool {
    interpreter(program).is_some()
}

/// The place of the script that an interpreter of the table runs, and of the
/// script that such a script or module runs in turn; all that may be the
/// program of a server, the outermost first.
pub fn scripts(args: &[&OsStr]) -> Vec<usize> {
    let mut found = Vec::new();
    let name = args.first().copied().and_then(basename);
    let Some(mut grammar) = name.and_then(interpreter) else {
        return found;
    };
    let mut from = 1;
    // A profiler under a tracer: more than these is no way to start a server.
    for _ in 0..3 {
        let at = match grammar.operand(args, from) {
            Operand::At(at) => {
                found.push(at);
                at
            }
            Operand::Module(at) => at,
            Operand::None => break,
        };
        let runner = basename(args[at]).and_then(runner);
        let Some(runner) = runner else { break };
        from = at + 1;
        if let Some(command) = runner.command {
            if args.get(from).is_none_or(|arg| *arg != command) {
                break;
            }
            from += 1;
        }
        grammar = runner;
    }
    found
}

/// The first operand of a server: its config.
pub fn config<'a>(args: &[&'a OsStr]) -> Option<&'a OsStr> {
    match DAEMONS.operand(args, 0) {
        Operand::At(at) => Some(args[at]),
        _ => None,
    }
}

impl Grammar {
    /// The first operand from a place on.
    fn operand(&self, args: &[&OsStr], from: usize) -> Operand {
        let mut at = from;
        while let Some(arg) = args.get(at) {
            let bytes = arg.as_bytes();
            at += 1;
            at += match bytes {
                b"-" => return Operand::None,
                b"--" => {
                    return if at < args.len() {
                        Operand::At(at)
                    } else {
                        Operand::None
                    };
                }
                [b'-', b'-', ..] => usize::from(self.long.iter().any(|long| arg == long)),
                [b'-' | b'+', letters @ ..] if !letters.is_empty() => match self.cluster(letters) {
                    Cluster::Done => 0,
                    Cluster::Next => 1,
                    Cluster::Text => return Operand::None,
                    Cluster::Module if at < args.len() => return Operand::Module(at),
                    Cluster::Module => return Operand::None,
                },
                _ => return Operand::At(at - 1),
            };
        }
        Operand::None
    }

    fn cluster(&self, letters: &[u8]) -> Cluster {
        for (place, letter) in letters.iter().enumerate() {
            let is_last = place + 1 == letters.len();
            if self.text.contains(letter) {
                return Cluster::Text;
            }
            if self.modules && *letter == b'm' {
                // A module that is joined to its option is none of the table.
                return if is_last {
                    Cluster::Module
                } else {
                    Cluster::Text
                };
            }
            if self.word.contains(letter) {
                return if is_last {
                    Cluster::Next
                } else {
                    Cluster::Done
                };
            }
            if self.rest.contains(letter) {
                break;
            }
        }
        Cluster::Done
    }
}

/// What a word of short options takes with it.
enum Cluster {
    /// Nothing.
    Done,
    /// The next word.
    Next,
    /// The next word, which names a module.
    Module,
    /// Everything.
    Text,
}

/// The interpreter of that name: `python3.11` is python.
fn interpreter(name: &OsStr) -> Option<&'static Grammar> {
    let is_version = |rest: &[u8]| {
        let rest = rest.strip_suffix(b"-dbg").unwrap_or(rest);
        let digits = rest
            .iter()
            .take_while(|b| b.is_ascii_digit() || **b == b'.');
        // Python's flags of an ABI, such as `t` and `d`.
        let flags = &rest[digits.count()..];
        rest.is_empty() || (flags.len() < rest.len() && flags.len() <= 2 && flags.is_ascii())
    };
    INTERPRETERS.iter().find(|grammar| {
        let mut names = grammar.names.iter();
        names.any(|known| {
            let rest = name.as_bytes().strip_prefix(known.as_bytes());
            rest.is_some_and(is_version)
        })
    })
}

/// The module of that name that runs a script.
fn runner(name: &OsStr) -> Option<&'static Grammar> {
    RUNNERS
        .iter()
        .find(|grammar| grammar.names.iter().any(|known| name == *known))
}

/// The last component of a path, as a program's name.
pub(super) fn basename(arg: &OsStr) -> Option<&OsStr> {
    arg.as_bytes()
        .rsplit(|b| *b == b'/')
        .next()
        .filter(|name| !name.is_empty())
        .map(OsStr::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Vec<&str> {
        let args: Vec<&OsStr> = line.split(' ').map(OsStr::new).collect();
        let places = scripts(&args);
        let words: Vec<&str> = line.split(' ').collect();
        places.into_iter().map(|at| words[at]).collect()
    }

    #[test]
    fn options_take_their_words_along() {
        for line in [
            "python3 S CONF",
            "/usr/bin/python3.11 -s -P S CONF",
            "python3 -W ignore S CONF",
            "python3 -sW ignore -Xdev S CONF",
            "python3 -X dev --check-hash-based-pycs always S CONF",
            "python3.13t -Wignore -- S CONF",
            "pypy3 -u S CONF",
            "perl -w -I /lib -MFoo S CONF",
            "perl -Ilib -0777 S CONF",
            "ruby -rset -r json -I lib S CONF",
            "sh -e -o pipefail +x S CONF",
            "bash --rcfile /x -O extglob S",
            "swift-serve S CONF",
        ] {
            assert_eq!(found(line), ["S"], "{line}");
        }
    }

    #[test]
    fn modules_that_run_scripts_are_seen_through() {
        for line in [
            "python3 -m trace --trace S CONF",
            "python3 -X dev -m trace -t -C /tmp/c S CONF",
            "python3 -m coverage run --source swift -p S CONF",
            "python3 -m cProfile -o /tmp/p S CONF",
            "python3 -m pdb -c cont S CONF",
        ] {
            assert_eq!(found(line), ["S"], "{line}");
        }
        let line = "python3 /usr/bin/coverage run -p S CONF";
        assert_eq!(found(line), ["/usr/bin/coverage", "S"]);
    }

    #[test]
    fn where_there_is_no_script_none_is_found() {
        for line in [
            "python3",
            "python3 -",
            "python3 -c S CONF",
            "python3 -mtrace S CONF",
            "python3 -m swift S CONF",
            "python3 -m coverage report S",
            "python3 -W S",
            "python3 -m",
            "sh -c S CONF",
            "sh -s S CONF",
            "perl -e S CONF",
            "vim S CONF",
            "less -N S CONF",
            "pythonx S CONF",
            "shred S CONF",
            "bashful S CONF",
            "tail -f S CONF",
            "grep -r S CONF",
        ] {
            assert_eq!(found(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn a_config_is_the_first_operand() {
        let of = |line: &'static str| {
            let args: Vec<&OsStr> = line.split(' ').map(OsStr::new).collect();
            config(&args).and_then(OsStr::to_str)
        };
        for line in [
            "C",
            "-v C once",
            "-vd sda C",
            "--devices sda -z 10 C",
            "-- C",
        ] {
            assert_eq!(of(line), Some("C"), "{line}");
        }
        assert_eq!(of("--devices=sda C"), Some("C"));
        for line in ["-v", "--", "-d C", "-"] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
