//! Death in the midst of a reload: whoever is killed, the service answers on or comes back, and can be
//! reloaded as before.

use std::process::Child;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use test_helpers::lab::Process;
use test_helpers::systemd::Machine;
use test_helpers::{ends_within, finish, report};

use crate::hello;
use crate::reloads::times;

/// Within this time a service is back, says swift-systemd(7). Only the long form, which has the machine to
/// itself, holds it against that.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// Which of the unit's processes is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// The main process, as systemd knows it.
    Main,
    /// Another one that runs a program of this name.
    Other(&'static str),
}

impl Victim {
    /// Whether this process is one, when the unit's main process has this pid inside.
    fn is(self, process: &Process, main: u32) -> bool {
        let is_main = process.inner_pid() == Some(main);
        match self {
            Victim::Main => is_main,
            Victim::Other(name) => {
                let words = process.words();
                let path = words.first().map_or("", String::as_str);
                !is_main && path.rsplit('/').next() == Some(name)
            }
        }
    }
}

/// Whether a child has ended. It is not waited for yet.
fn has_ended(child: &Child) -> bool {
    ends_within(child, Duration::ZERO).expect("it is our child")
}

/// Numbers that look random, from a seed (xorshift64).
pub struct Random(u64);

impl Random {
    /// The seed is that of KILLS_SEED, or of the clock; it is printed.
    pub fn new() -> Random {
        let given = std::env::var("KILLS_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let now = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .expect("after 1970")
        };
        let seed = given.unwrap_or_else(|| now().as_micros() as u64 | 1);
        report(&format!("KILLS_SEED={seed}"));
        Random(seed)
    }

    /// Up to `limit`.
    pub fn duration(&mut self, limit: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        limit.mul_f64((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// A unit whose processes are killed.
struct Site {
    machine: Machine,
    unit: &'static str,
    cgroup: String,
    /// How long a reload takes here and now.
    reload: Duration,
}

impl Site {
    /// Starts the unit, and reloads it once to see how long that takes.
    fn new(machine: Machine, unit: &'static str) -> Site {
        machine.must(&format!("systemctl start {unit}"));
        let begun = Instant::now();
        machine.must(&format!("systemctl reload {unit}"));
        let cgroup = machine.property(unit, "ControlGroup");
        Site {
            reload: begun.elapsed(),
            machine,
            unit,
            cgroup,
        }
    }

    /// Kills in the midst of a reload. Returns how long the service did not answer for, counted from the
    /// kill.
    fn kill(&self, victim: Victim, random: &mut Random) -> Duration {
        loop {
            let main = self.machine.main_pid(self.unit);
            let mut reload = self.machine.command("systemctl");
            let reload = reload
                .args(["reload", self.unit])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .expect("systemctl can be run");
            thread::sleep(random.duration(self.reload));
            let found = self.find(victim, main, &reload);
            if let Some(process) = found {
                process.kill();
                let killed = Instant::now();
                let down = self.await_service(killed, &reload);
                finish(reload);
                // Whoever manages it now does what it is told.
                self.machine
                    .must(&format!("systemctl reload {}", self.unit));
                return down;
            }
            // It had ended, or not begun: the next moment is another one.
            finish(reload);
        }
    }

    /// The victim, when there is one before the reload has ended.
    fn find(&self, victim: Victim, main: u32, reload: &Child) -> Option<Process> {
        loop {
            let processes = self.machine.processes_in(&self.cgroup);
            let found = processes
                .into_iter()
                .find(|process| victim.is(process, main));
            let goes_on = !has_ended(reload);
            if found.is_some() || !goes_on {
                return found.filter(|_| goes_on);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until the reload has ended, the unit is active and its main process lives. Returns how long
    /// after the kill the last request was not answered.
    fn await_service(&self, killed: Instant, reload: &Child) -> Duration {
        let mut down = Duration::ZERO;
        self.machine.until("the unit serves after a kill", || {
            let answers = hello::answers(&self.machine);
            if !answers {
                down = killed.elapsed();
            }
            answers
                && has_ended(reload)
                && self.machine.property(self.unit, "SubState") == "running"
                && self.main_lives()
                // Between two looks it may have gone again.
                && hello::answers(&self.machine)
        });
        down
    }

    fn main_lives(&self) -> bool {
        let main = self.machine.main_pid(self.unit);
        let processes = self.machine.processes_in(&self.cgroup);
        let is_main = |process: &&Process| process.inner_pid() == Some(main);
        processes.iter().find(is_main).is_some_and(Process::runs)
    }
}

fn kills(unit: &'static str, victims: &[Victim], rounds: usize) {
    let Some(machine) = Machine::boot() else {
        return;
    };
    hello::install(&machine, &[]);
    let site = Site::new(machine, unit);
    let mut random = Random::new();
    let mut downs = Vec::new();
    for round in 0..rounds {
        for victim in victims {
            let down = site.kill(*victim, &mut random);
            let version = site.machine.version();
            report(&format!(
                "systemd {version}, {unit}: {round}: {victim:?} killed: down {down:.1?}"
            ));
            downs.push(down);
        }
    }
    let longest = downs.iter().max().expect("there was one");
    if rounds > 1 {
        assert!(*longest < BACK_WITHIN, "{unit}: {downs:?}");
    }
}

/// The second process of swift-serve is its standby, which takes over from the manager.
#[test]
fn swift_serve_outlives_kills_in_reloads() {
    let others = ["swift-serve", "swift-reload"].map(Victim::Other);
    kills(
        hello::UNIT,
        &[&[Victim::Main][..], &others].concat(),
        times(1, 10),
    );
}

/// The unit's main process is swift-init, swift-serve is its server's manager or standby, and the second
/// swift-init is the reload's.
#[test]
fn swift_init_outlives_kills_in_reloads() {
    let others = ["swift-serve", "swift-reload", "swift-init"].map(Victim::Other);
    kills(
        "swift@hello",
        &[&[Victim::Main][..], &others].concat(),
        times(1, 8),
    );
}
