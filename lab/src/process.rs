//! Processes by identity. A pid alone is never enough: it may belong to somebody else by now.

use std::fs;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::state::ProcessRecord;

/// Environment variable that carries [`ProcessRecord::marker`].
pub const OWNER: &str = "GLOONET_LAB_OWNER";

/// How long a killed process may take to be gone.
const LAST: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// Why a process could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused the signal.
    #[error("cannot signal process {pid} ({program})")]
    Signal {
        pid: u32,
        program: String,
        #[source]
        source: Errno,
    },
    /// It lives on after SIGKILL.
    #[error("process {pid} ({program}) did not end within {seconds} s of SIGKILL")]
    Immortal {
        pid: u32,
        program: String,
        seconds: u64,
    },
}

/// Start time of a process in clock ticks since boot; `None` when there is no such process or it has ended and waits to be
/// reaped.
pub fn started(pid: u32) -> Option<u64> {
    look(pid).map(|life| life.started)
}

#[derive(Debug, PartialEq, Eq)]
struct Life {
    started: u64,
    /// Killed, and busy dying: the first process of a pid namespace ends all others of it before it is gone.
    exiting: bool,
}

/// `PF_EXITING` in field 9 of `/proc/PID/stat`.
const EXITING: u64 = 0x4;

fn look(pid: u32) -> Option<Life> {
    parse_life(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in field 2 may hold spaces and parentheses, so fields are counted from the last one.
fn parse_life(stat: &str) -> Option<Life> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    let flags: u64 = fields.get(6)?.parse().ok()?;
    Some(Life {
        started: fields.get(19)?.parse().ok()?,
        exiting: flags & EXITING != 0,
    })
}

/// The live pid of a record: the recorded one, or, when the lab died before it could write the pid down, the one that
/// carries the marker. One that is dying is waited for and then counts as gone.
pub fn find(record: &ProcessRecord) -> Option<u32> {
    let (Some(pid), Some(then)) = (record.pid, record.started) else {
        return find_marked(record);
    };
    let life = look(pid).filter(|life| life.started == then)?;
    if life.exiting && wait_gone(pid, LAST) {
        return None;
    }
    Some(pid)
}

/// Waits a little until processes that have ended are gone from the process table too. The machine's first process sees
/// to that; one that takes long is not the lab's to mend.
pub fn wait_reaped<'a>(records: impl IntoIterator<Item = &'a ProcessRecord>, patience: Duration) {
    let end = Instant::now() + patience;
    for pid in records.into_iter().filter_map(|record| record.pid) {
        while look(pid).is_none()
            && fs::exists(format!("/proc/{pid}")).unwrap_or(false)
            && Instant::now() < end
        {
            std::thread::sleep(POLL);
        }
    }
}

fn find_marked(record: &ProcessRecord) -> Option<u32> {
    let wanted = format!("{OWNER}={}", record.marker);
    let pids = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find(|&pid| {
        has_marker(pid, &wanted) && runs(pid, &record.program) && started(pid).is_some()
    })
}

fn has_marker(pid: u32, wanted: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
        environ
            .split(|&b| b == 0)
            .any(|entry| entry == wanted.as_bytes())
    })
}

fn runs(pid: u32, program: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
        let first = line.split(|&b| b == 0).next().unwrap_or_default();
        String::from_utf8_lossy(first).rsplit('/').next() == Some(program)
    })
}

/// Ends a process: SIGTERM, then SIGKILL after `patience`. Returns when it is gone; one that is gone already is fine.
pub fn stop(record: &ProcessRecord, patience: Duration) -> Result<(), Error> {
    let Some(pid) = find(record) else {
        return Ok(());
    };
    if !patience.is_zero() {
        signal(record, pid, Signal::SIGTERM)?;
        if wait_gone(pid, patience) {
            return Ok(());
        }
    }
    signal(record, pid, Signal::SIGKILL)?;
    if wait_gone(pid, LAST) {
        return Ok(());
    }
    Err(Error::Immortal {
        pid,
        program: record.program.clone(),
        seconds: LAST.as_secs(),
    })
}

/// Ends processes at once, all of them together.
pub fn kill_all<'a>(records: impl IntoIterator<Item = &'a ProcessRecord>) -> Result<(), Error> {
    let live: Vec<_> = records
        .into_iter()
        .filter_map(|record| Some((record, find(record)?)))
        .collect();
    for (record, pid) in &live {
        signal(record, *pid, Signal::SIGKILL)?;
    }
    for (record, _) in &live {
        // Again until none is found: a start that was cut short may have left a process and the one that started it.
        while find(record).is_some() {
            stop(record, Duration::ZERO)?;
        }
    }
    Ok(())
}

fn signal(record: &ProcessRecord, pid: u32, signal: Signal) -> Result<(), Error> {
    let raw = i32::try_from(pid).unwrap_or(i32::MAX);
    match kill(Pid::from_raw(raw), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(source) => Err(Error::Signal {
            pid,
            program: record.program.clone(),
            source,
        }),
    }
}

fn wait_gone(pid: u32, patience: Duration) -> bool {
    let then = started(pid);
    let end = Instant::now() + patience;
    while then.is_some() && started(pid) == then {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_start_time_is_found_behind_a_name_with_spaces_and_parentheses() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        assert_eq!(
            parse_life(stat),
            Some(Life {
                started: 987_654,
                exiting: false
            })
        );
    }

    #[test]
    fn a_zombie_counts_as_gone() {
        let stat = "42 (sleep) Z 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        assert_eq!(parse_life(stat), None);
    }

    #[test]
    fn a_process_that_is_dying_is_told_from_a_live_one() {
        let stat = "42 (etcd) D 1 42 42 0 -1 4194564 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        assert_eq!(
            parse_life(stat),
            Some(Life {
                started: 987_654,
                exiting: true
            })
        );
    }

    #[test]
    fn a_recorded_process_is_ended_and_a_reused_pid_is_left_alone() {
        let mut child = Command::new("sleep")
            .arg("60")
            .env(OWNER, "t/1")
            .spawn()
            .unwrap();
        let real = ProcessRecord {
            program: "sleep".into(),
            marker: "t/1".into(),
            pid: Some(child.id()),
            started: started(child.id()),
        };
        let stranger = ProcessRecord {
            started: Some(1),
            ..real.clone()
        };
        stop(&stranger, Duration::ZERO).unwrap();
        assert!(
            child.try_wait().unwrap().is_none(),
            "another start time is another process"
        );
        stop(&real, Duration::from_secs(5)).unwrap();
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_process_whose_pid_was_never_written_down_is_found_by_its_marker() {
        let marker = format!("test-{}/x", std::process::id());
        let mut child = Command::new("sleep")
            .arg("60")
            .env(OWNER, &marker)
            .spawn()
            .unwrap();
        let lost = ProcessRecord {
            program: "sleep".into(),
            marker,
            pid: None,
            started: None,
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        while find(&lost).is_none() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        assert_eq!(find(&lost), Some(child.id()));
        stop(&lost, Duration::ZERO).unwrap();
        child.wait().unwrap();
    }
}
