//! Interpreters: the word of their command line that is the script which they run.
//!
//! Pure data, and one reader for all of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// The options of an interpreter, or of a module that runs a script. Lists of names are
/// separated by blanks.
struct Grammar {
    /// Its names, without the version that may follow them.
    names: &'static str,
    /// The letters that are more than flags, as getopt(3) writes them: `a:` has a value, the rest of its
    /// word or else the next word, and `a::` only the rest of its word. After `a!` there is no script, but
    /// program text or standard input; `a@` names a module, which may be one that runs a script.
    letters: &'static str,
    /// Long options whose value is the next word when no `=` follows them.
    long: &'static str,
    /// A word that has to come before all else, such as coverage's `run`.
    command: Option<&'static str>,
}

/// Programs that run a script, which is their first operand.
const INTERPRETERS: &[Grammar] = &[
    Grammar::new("python pypy platform-python", "W:X:Q:c!m@").long("--check-hash-based-pycs"),
    Grammar::new("perl", "I:C::D::F::M::V::d::i::l::m::x::0::e!E!"),
    Grammar::new("ruby", "C:E:I:r:F::K::T::W::i::x::0::e!")
        .long("--encoding --external-encoding --internal-encoding --enable --disable"),
    Grammar::new("sh bash dash ash ksh mksh zsh", "o:O:c!s!").long("--rcfile --init-file"),
    Grammar::new("swift-serve", ""),
];

/// Modules of Python that run a script, as `-m NAME` or by a program of their own.
const RUNNERS: &[Grammar] = &[
    Grammar::new("trace", "f:C:").long("--file --coverdir --ignore-module --ignore-dir"),
    Grammar::new("coverage python3-coverage python-coverage", "m!")
        .long("--concurrency --context --data-file --include --omit --rcfile --source")
        .command("run"),
    Grammar::new("cProfile profile", "o:s:m!").long("--outfile --sort"),
    Grammar::new("pdb", "c:m!").long("--command"),
    Grammar::new("memray", "o:c!m!")
        .long("--output")
        .command("run"),
];

/// Options of Swift's daemons whose value is the next word when none is joined to
/// them (parse_options of swift 2.38's object and container daemons).
const DAEMONS: Grammar = Grammar::new("", "d:i:p:z:")
    .long("--devices --partitions --policies --process --processes --zero_byte_fps");

/// The words that a word of short options takes with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Next,
    /// The next word, which names a module.
    Module,
    Everything,
}

/// True when a program's name, without its directory, is that of an interpreter of the table.
pub fn is_known(program: &OsStr) -> bool {
    interpreter(program).is_some()
}

/// The indices of the script that an interpreter of the table runs, and of the
/// script that such a script or module runs in turn; all that may be the
/// program of a server, the outermost first.
pub fn scripts(args: &[&OsStr]) -> Vec<usize> {
    let mut found = Vec::new();
    let name = args.first().copied().and_then(basename);
    let mut grammar = name.and_then(interpreter);
    let mut from = 1;
    // A profiler under a tracer: more than these is no way to start a server.
    for _ in 0..3 {
        let Some((at, is_module)) = grammar.and_then(|grammar| grammar.operand(args, from)) else {
            break;
        };
        if !is_module {
            found.push(at);
        }
        from = at + 1;
        grammar = basename(args[at]).and_then(runner);
        if let Some(command) = grammar.and_then(|grammar| grammar.command) {
            if args.get(from).is_none_or(|arg| *arg != command) {
                break;
            }
            from += 1;
        }
    }
    found
}

/// The first operand of a server: its config.
pub fn config<'a>(args: &[&'a OsStr]) -> Option<&'a OsStr> {
    DAEMONS.operand(args, 0).map(|(at, _)| args[at])
}

impl Grammar {
    const fn new(names: &'static str, letters: &'static str) -> Grammar {
        Grammar {
            names,
            letters,
            long: "",
            command: None,
        }
    }

    const fn long(self, long: &'static str) -> Grammar {
        Grammar { long, ..self }
    }

    const fn command(self, command: &'static str) -> Grammar {
        let command = Some(command);
        Grammar { command, ..self }
    }

    /// The index of the first operand from an index on, and true where it names a module.
    fn operand(&self, args: &[&OsStr], mut at: usize) -> Option<(usize, bool)> {
        while let Some(arg) = args.get(at) {
            let takes = match arg.as_bytes() {
                b"-" => Takes::Everything,
                b"--" => return (at + 1 < args.len()).then_some((at + 1, false)),
                [b'-', b'-', ..] if is_among(self.long, arg) => Takes::Next,
                [b'-', b'-', ..] => Takes::Nothing,
                [b'-' | b'+', letters @ ..] if !letters.is_empty() => self.cluster(letters),
                _ => return Some((at, false)),
            };
            at += match takes {
                Takes::Nothing => 1,
                Takes::Next => 2,
                Takes::Module => return (at + 1 < args.len()).then_some((at + 1, true)),
                Takes::Everything => return None,
            };
        }
        None
    }

    fn cluster(&self, letters: &[u8]) -> Takes {
        let known = self.letters.as_bytes();
        let place = |letter: &u8| {
            let mut places = known.iter();
            places.position(|b| b == letter && b.is_ascii_alphanumeric())
        };
        let mut letters = letters.iter();
        let found = letters.find_map(place).map(|at| &known[at + 1..]);
        let is_last = letters.as_slice().is_empty();
        match found.unwrap_or_default() {
            [b':', b':', ..] => Takes::Nothing,
            [b':', ..] if is_last => Takes::Next,
            [b'@', ..] if is_last => Takes::Module,
            // A module that is joined to its option is none of the table.
            [b'!' | b'@', ..] => Takes::Everything,
            _ => Takes::Nothing,
        }
    }
}

/// True for one of the names in a list.
fn is_among(names: &str, name: &OsStr) -> bool {
    names.split(' ').any(|known| name == known)
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
        let mut names = grammar.names.split(' ');
        names.any(|known| {
            let rest = name.as_bytes().strip_prefix(known.as_bytes());
            rest.is_some_and(is_version)
        })
    })
}

/// The module of that name that runs a script.
fn runner(name: &OsStr) -> Option<&'static Grammar> {
    let mut runners = RUNNERS.iter();
    runners.find(|grammar| is_among(grammar.names, name))
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
