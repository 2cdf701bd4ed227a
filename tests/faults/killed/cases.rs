//! Which tool is killed where, while what is done.

use super::fixture::Before::{self, *};

/// A point, what is there before, and the commands that lead to it.
pub type Case = (&'static str, Before, &'static [&'static str]);

/// All commands.
const ALL: &[&str] = &[
    "swift-init ALL start",
    "swift-init ALL stop",
    "swift-init ALL status",
    "swift-init ALL restart",
    "swift-init ALL reload",
    "swift-init ALL reload-seamless",
    "swift-init ALL kill",
    "swift-init ALL shutdown",
    "swift-init ALL once",
    "swift-init ALL no-wait",
    "swift-init ALL no-daemon",
    "swift-init ALL stop --kill-after-timeout --kill-wait=3",
    "swift-resolve-servers ALL | swift-pidfile --clean",
];

/// Those that start something, when nothing runs before.
const STARTING: &[&str] = &[
    "swift-init ALL start",
    "swift-init ALL restart",
    "swift-init ALL no-wait",
    "swift-init ALL no-daemon",
    "swift-init ALL reload",
    "swift-init ALL once",
    "swift-resolve-servers ALL | swift-pidfile --clean | swift-spawn",
];

/// Those that start something and wait until it is ready.
const AWAITING: &[&str] = &[
    "swift-init ALL start",
    "swift-init ALL restart",
    "swift-init ALL reload-seamless",
    "swift-init ALL reload",
];

/// Those that start something when something runs before.
const STARTING_AGAIN: &[&str] = &[
    "swift-init ALL restart",
    "swift-init ALL reload-seamless",
    "swift-init ALL reload",
    "swift-init ALL start",
    "swift-init ALL no-wait",
    "swift-init ALL no-daemon",
];

/// Those that end something.
const STOPPING: &[&str] = &[
    "swift-init ALL stop",
    "swift-init ALL restart",
    "swift-init ALL kill",
    "swift-init ALL reload-seamless",
    "swift-init ALL stop --kill-after-timeout --kill-wait=3",
    "swift-init ALL reload",
    "swift-init ALL shutdown",
    "swift-resolve-servers ALL | swift-pidfile --running | swift-signal stop",
];

/// Those that kill what does not end.
const KILLING: &[&str] = &[
    "swift-init ALL stop --kill-after-timeout --kill-wait=0",
    "swift-init ALL restart --kill-after-timeout --kill-wait=0",
    "swift-init ALL kill --kill-after-timeout --kill-wait=0",
];

/// Those that check configs.
const CHECKING: &[&str] = &[
    "swift-init ALL restart",
    "swift-init ALL reload",
    "swift-resolve-servers ALL | swift-pidfile | swift-check-config | swift-signal stop | swift-spawn",
];

/// Those whose checks take too long.
const CHECKING_SLOWLY: &[&str] = &[
    "swift-init ALL restart --check-timeout=0.05",
    "swift-init ALL reload --check-timeout=0.05",
];

/// Those that reload.
const RELOADING: &[&str] = &[
    "swift-init ALL reload-seamless",
    "swift-resolve-servers object-server | swift-pidfile --running | swift-reload",
    RELOADING_BY_PID,
];

/// Those that reload by rows.
const RELOADING_BY_ROWS: &[&str] = &[
    "swift-init ALL reload-seamless",
    "swift-resolve-servers object-server | swift-pidfile --running | swift-reload",
];

/// The one that reloads by a PID.
const RELOADING_BY_PID: &str = "swift-reload $(cat /run/swift/object-server/1.pid)";

/// swift-spawn on pid files that lie and that nobody has removed before.
const SPAWNING_OVER_LIES: &[&str] = &["swift-resolve-servers ALL | swift-pidfile | swift-spawn"];

/// Those that start without a check, which would find that the program cannot be executed.
const NOT_STARTING: &[&str] = &[
    "swift-init ALL start",
    "swift-init ALL no-wait",
    "swift-init ALL no-daemon",
    "swift-init ALL once",
    "swift-init ALL restart --no-check",
];

/// Those whose servers are not ready in time.
const SLOW_START: &[&str] = &[
    "swift-init ALL start --start-timeout=0.05",
    "swift-init ALL restart --start-timeout=0.05",
];

/// A signal to workers.
const TO_WORKERS: &[&str] =
    &["swift-resolve-servers ALL | swift-pidfile --running | swift-signal --children HUP"];

/// Each that acts, as far as swift-init itself is concerned.
const ACTING: &[&str] = &[
    "swift-init ALL start",
    "swift-init ALL stop",
    "swift-init ALL restart",
    "swift-init ALL reload-seamless",
    "swift-init ALL reload",
    "swift-init ALL kill",
    "swift-init ALL no-wait",
    "swift-init ALL no-daemon",
    "swift-init ALL once",
];

/// Where those that observe are killed.
pub const OBSERVERS: &[Case] = &[
    ("swift-resolve-servers:scanned", Half, ALL),
    ("swift-pidfile:pid-file-read", Half, ALL),
    ("swift-pidfile:process-opened", Half, ALL),
    ("swift-pidfile:process-classified", Half, ALL),
    ("swift-pidfile:stale-found", Half, ALL),
    ("swift-pidfile:pid-file-compared", Half, ALL),
    ("swift-pidfile:stale-removed", Half, ALL),
    ("swift-pidfile:stale-removed", Lies, ALL),
    ("swift-pidfile:examined", Up, ALL),
    ("swift-check-config:checked", Half, CHECKING),
    ("swift-check-config:leads", SlowCheck, CHECKING_SLOWLY),
    (
        "swift-check-config:member-opened",
        SlowCheck,
        &["old-kernel swift-init ALL restart --check-timeout=0.05"],
    ),
    ("swift-init:begun", Half, ALL),
    ("swift-init:observed", Half, ALL),
];

/// Where those that act are killed.
pub const ACTORS: &[Case] = &[
    ("swift-signal:process-opened", Up, STOPPING),
    ("swift-signal:proven", Half, STOPPING),
    ("swift-signal:signalled", Up, STOPPING),
    ("swift-signal:ended", Up, STOPPING),
    ("swift-signal:pid-file-read-again", Up, STOPPING),
    ("swift-signal:pid-file-judged", Up, STOPPING),
    ("swift-signal:removed", Up, STOPPING),
    ("swift-signal:overdue", Stubborn, KILLING),
    ("swift-signal:leads", Stubborn, KILLING),
    ("swift-signal:killed", Stubborn, KILLING),
    (
        "swift-signal:member-opened",
        Stubborn,
        &["old-kernel swift-init ALL stop --kill-after-timeout --kill-wait=0"],
    ),
    ("swift-signal:children-asked", Workers, TO_WORKERS),
    ("swift-signal:children-listed", Workers, TO_WORKERS),
    ("swift-signal:child-opened", Workers, TO_WORKERS),
    ("swift-signal:children-proven", Workers, TO_WORKERS),
    ("swift-spawn:found", Down, STARTING),
    ("swift-spawn:found", Half, STARTING_AGAIN),
    ("swift-spawn:locked", Half, STARTING_AGAIN),
    ("swift-spawn:looked", Half, STARTING_AGAIN),
    ("swift-spawn:directory-made", Down, STARTING),
    ("swift-spawn:executed", Down, STARTING),
    ("swift-spawn:executed", Up, &["swift-init ALL restart"]),
    ("swift-spawn:unlocked", Half, STARTING_AGAIN),
    ("swift-spawn:output-ended", Half, AWAITING),
    ("swift-spawn:not-executed", NoInterpreter, NOT_STARTING),
    ("swift-spawn:not-ready", Slow, SLOW_START),
    ("swift-spawn:leads", Slow, SLOW_START),
    ("swift-spawn:timed-out", Slow, SLOW_START),
    ("swift-spawn:ended", Slow, SLOW_START),
    ("swift-spawn:pid-file-read", Lies, SPAWNING_OVER_LIES),
    ("swift-spawn:process-opened", Lies, SPAWNING_OVER_LIES),
    ("swift-spawn:process-classified", Lies, SPAWNING_OVER_LIES),
    ("swift-reload:process-opened", Up, RELOADING_BY_ROWS),
    ("swift-reload:pid-opened", Up, &[RELOADING_BY_PID]),
    ("swift-reload:inspected", Up, RELOADING),
    ("swift-reload:bound", Up, RELOADING),
    ("swift-reload:checked", Up, RELOADING),
    ("swift-reload:proven", Up, RELOADING),
    ("swift-reload:signalled", Up, RELOADING),
    ("swift-reload:answered", Up, RELOADING),
    ("swift-init:tool-started", Half, ACTING),
    ("swift-init:row-submitted", Half, ACTING),
    ("swift-init:row-received", Half, ACTING),
    (
        "swift-init:done",
        Half,
        &[
            "swift-init ALL restart",
            "swift-init ALL start",
            "swift-init ALL stop",
            "swift-init ALL status",
            "swift-init ALL reload-seamless",
            "swift-init ALL once",
        ],
    ),
];
