//! Workers and process groups: the number of a server, or of one of its workers, changes hands while
//! they are collected.

use super::fixture::{ALL, Fixture, Going, OTHERS, PID_FILE, pairs, python, row, said};
use crate::soak::times;

const CHILDREN: [&str; 2] = ["--children", "HUP"];

/// Another one's workers have the parent that is looked for, by its number.
///
/// Fails when it is not asked in the end whether the parent still lives (`proven`, `child-opened`),
/// when the parent is looked at before it is opened (`process-opened`), and when a server that is gone
/// is told as `signalled children 0`.
#[test]
fn workers_of_another_server_get_no_signal() {
    let points = [
        "process-opened",
        "proven",
        "children-listed",
        "child-opened",
    ];
    let cases = pairs(&points, &ALL);
    Fixture::rounds(times(20, 800), &cases, |fixture, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = fixture.server_with(2);
        let rows = row(&server, "running\t-");
        let at = format!("swift-signal:{point}");
        let paused = fixture.up_to(&at, "swift-signal", &CHILDREN, &rows);
        let successor = fixture.swap_with(&server, who, 2);
        let outcome = paused.finish();
        let wanted = match point {
            "process-opened" => who.seen(),
            _ => "stopped stale",
        };
        assert_eq!(said(&outcome), [wanted], "{round}: {outcome}");
        fixture.told_truth(&successor, who, &round);
        fixture.unharmed(&successor, &round);
    });
}

/// The number of a worker that went is nobody's worker's.
///
/// Fails when a worker's parent is not read (`children-listed`), when it is read before the worker is
/// opened (`child-opened`), and when workers are signalled by number (`children-proven`).
#[test]
fn pid_reuse_of_a_worker_gets_no_signal() {
    let points = ["children-listed", "child-opened", "children-proven"];
    let cases = pairs(&points, &ALL);
    Fixture::rounds(times(15, 600), &cases, |fixture, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = fixture.server_with(2);
        let rows = row(&server, "running\t-");
        let point = format!("swift-signal:{point}");
        let paused = fixture.up_to(&point, "swift-signal", &CHILDREN, &rows);
        fixture.reuser.free(server.workers[0]);
        let successor = fixture.reuser.take(server.workers[0], 0, who.line());
        let outcome = paused.finish();
        assert_eq!(said(&outcome), ["signalled children 1"], "{round}");
        fixture.unharmed(&successor, &round);
        // And the other one was signalled.
        let signals = fixture.reuser.end(server.pid);
        assert_eq!(signals, [format!("{}:1", server.workers[1])], "{round}");
    });
}

const KILL: [&str; 3] = ["--kill", "--wait=0", "stop"];

/// A group has the number of who leads it, and so has the group of who comes after.
///
/// Fails when a group is killed by its number, when its leader is opened again without a look whether
/// the one that was proven still lives, and when a kill that reached nobody is told as one.
#[test]
fn the_group_of_a_reused_pid_is_not_killed() {
    let cases = pairs(&["overdue", "leads"], &ALL);
    Fixture::rounds(times(10, 600), &cases, |fixture, &(point, who)| {
        let round = format!("{point}, {who:?}");
        let server = fixture.server_with(1);
        let rows = row(&server, "running\t-");
        let point = format!("swift-signal:{point}");
        let paused = fixture.up_to(&point, "swift-signal", &KILL, &rows);
        let successor = fixture.swap_with(&server, who, 1);
        let outcome = paused.finish();
        // It was not killed by this tool.
        assert_eq!(said(&outcome), ["stopped -"], "{round}: {outcome}");
        assert_eq!(outcome.code(), 0, "{round}");
        fixture.told_truth(&successor, who, &round);
        fixture.unharmed(&successor, &round);
    });
}

/// Executes what follows where pidfd_send_signal knows no groups, as before Linux 6.9: a filter of
/// seccomp(2) says EINVAL to its flag 4. Call 424 is this one on every architecture that has it.
const WITHOUT_GROUPS: &str = "
import ctypes, os, struct, sys
program = [(0x20, 0, 0, 0), (0x15, 0, 3, 424), (0x20, 0, 0, 40), (0x15, 0, 1, 4),
           (0x06, 0, 0, 0x50016), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *line) for line in program))
filter = struct.pack('HxxxxxxP', len(program), ctypes.addressof(code))
prctl = ctypes.CDLL(None, use_errno=True).prctl
assert prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, filter, 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
";

/// What changes hands while the members of a group are killed one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A member, before it is opened.
    Unopened,
    /// A member that was opened just now.
    Opened,
    /// All of the group. The workers of who comes after are in a group of the same number, and have
    /// the numbers of the old one's workers.
    All,
}

/// Fails when a member's group is read before it is opened, when members are signalled by number
/// (`Opened`), and when it is not asked whether the leader still lives (`All`).
#[test]
fn a_group_kill_by_member_kills_no_other_process() {
    let cases = pairs(&[What::Unopened, What::Opened, What::All], &OTHERS);
    Fixture::rounds(times(12, 300), &cases, |fixture, &(what, who)| {
        let round = format!("{what:?}, {who:?}");
        let server = fixture.server_with(2);
        let worker = server.workers[0];
        let pause = fixture.points.pause_at("swift-signal:member-opened");
        let mut tool = fixture.tool(&python(), &["-c", WITHOUT_GROUPS, "swift-signal"]);
        tool.args(KILL);
        let going = Going::start(tool, &row(&server, "running\t-"));
        pause.reached();
        if what != What::Unopened {
            // They are opened in the order of their numbers.
            let pids = fixture.reuser.pids();
            for _ in pids
                .iter()
                .filter(|pid| **pid < worker && **pid != server.pid)
            {
                pause.go();
                pause.reached();
            }
        }
        let (successor, wanted) = if what == What::All {
            let successor = fixture.swap_with(&server, who, 2);
            assert_eq!(successor.workers, server.workers, "{round}");
            (successor, "stopped -")
        } else {
            fixture.reuser.free(worker);
            (fixture.reuser.take(worker, 0, who.line()), "killed -")
        };
        drop(pause);
        let outcome = going.finish();
        assert_eq!(said(&outcome), [wanted], "{round}: {outcome}");
        assert_eq!(fixture.pid_file(), None, "{round}: {PID_FILE}");
        fixture.unharmed(&successor, &round);
        if what != What::All {
            // The others of the group were killed.
            fixture.reuser.free(server.pid);
        }
    });
}
