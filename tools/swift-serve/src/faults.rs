//! Points at which a test makes the manager kill itself, as `kill -9` would.
//! There are none in a build without the feature `faults`.

/// Names a file that holds the name of a point. It is removed when the process
/// gets there, so that this happens once.
pub const VARIABLE: &str = "SWIFT_SERVE_FAULTS";

/// The points, in the order in which a reload meets them.
#[cfg_attr(not(feature = "faults"), allow(dead_code))]
pub const POINTS: &[&str] = &[
    "reload-begun",
    "check-done",
    "before-fork",
    "after-fork",
    "before-exec",
    "after-exec",
    "state-read",
    "bound",
    "workers-started",
    "workers-ready",
    "before-release",
    "after-release",
    "done",
];

/// A point of that name.
#[cfg(feature = "faults")]
pub fn at(point: &str) {
    debug_assert!(POINTS.contains(&point));
    let Some(file) = std::env::var_os(VARIABLE) else {
        return;
    };
    if std::fs::read_to_string(&file).is_ok_and(|text| text.trim() == point) {
        // The test learns from its absence that the point was reached.
        let _ = std::fs::remove_file(&file);
        let me = shared::process::Pid::new(std::process::id() as i32);
        if let Some(me) = me.and_then(|pid| shared::process::Process::open(pid).ok()?) {
            let _ = me.signal(shared::signals::Signal::KILL);
        }
    }
}

/// A point of that name, at which nothing happens.
#[cfg(not(feature = "faults"))]
pub fn at(_point: &str) {}
