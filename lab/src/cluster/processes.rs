//! Starting and finding the cluster's long-running processes.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::{Cluster, Error};
use crate::inside::{Enter, Place, Spec};
use crate::process::{self, OWNER};
use crate::state::ProcessRecord;
use crate::{command, disk};

impl Cluster {
    /// The live pid of a process by its name in the state file.
    pub(super) fn pid(&self, name: &str) -> Result<Option<u32>, Error> {
        Ok(self.state()?.processes.get(name).and_then(process::find))
    }

    /// Ends a process and forgets it.
    pub(super) fn stop_process(&self, name: &str, patience: Duration) -> Result<(), Error> {
        if let Some(record) = self.state()?.processes.get(name) {
            process::stop(record, patience)?;
            self.store.record(|s| s.processes.remove(name))?;
        }
        Ok(())
    }

    /// Starts one of the lab's own processes on the machine. It prints `lines` lines when it is ready; with `forks` the
    /// first of them is the pid of the process to record, without it is the started process itself that stays.
    pub(super) fn start_own(&self, name: &str, spec: &Spec, forks: bool) -> Result<u32, Error> {
        let marker = self.announce(name, "gloonet-lab")?;
        let log = self.dir().log(name);
        let mut command = self.internal(spec);
        command
            .env(OWNER, marker)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(open_log(&log)?);
        let fail = |message: String| Error::Launch {
            process: name.to_owned(),
            message,
            log: log.clone(),
        };
        let mut child = command.spawn().map_err(|e| fail(e.to_string()))?;
        let mut lines = child.stdout.take().map(|out| BufReader::new(out).lines());
        let mut next = || lines.as_mut().and_then(Iterator::next).and_then(Result::ok);
        let own = child.id();
        let pid = if forks {
            next().and_then(|line| line.parse().ok())
        } else {
            Some(own)
        };
        if let Some(pid) = pid {
            self.confirm(name, pid)?;
        }
        let ready = next().as_deref() == Some("ready");
        if forks || !ready {
            let _ = child.wait();
        }
        match pid {
            Some(pid) if ready => Ok(pid),
            _ => Err(fail(tail(&log))),
        }
    }

    /// Starts a program in a node and leaves it running.
    pub(super) fn start_in_node(
        &self,
        name: &str,
        place: Place,
        argv: Vec<String>,
    ) -> Result<u32, Error> {
        let program = argv
            .first()
            .and_then(|p| p.rsplit('/').next())
            .unwrap_or_default()
            .to_owned();
        let marker = self.announce(name, &program)?;
        let log = self.dir().log(name);
        disk::make_dir(&self.dir().logs())?;
        let mut env = self.node_environment();
        env.push((OWNER.into(), marker));
        let spec = Spec::Enter(Box::new(Enter {
            place,
            argv,
            env,
            log: Some(log.clone()),
        }));
        let output = command::output(&mut self.internal(&spec))?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let pid = text.parse().map_err(|_| Error::Launch {
            process: name.to_owned(),
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            log,
        })?;
        self.confirm(name, pid)?;
        Ok(pid)
    }

    /// Runs a program in a node or namespace to its end and gives its output.
    pub(super) fn run_in(&self, place: Place, argv: Vec<String>) -> Result<Output, Error> {
        Ok(command::output(
            &mut self.internal(&self.foreground(place, argv)),
        )?)
    }

    /// The command that runs a program in a node or namespace with the caller's own input and output.
    pub(super) fn foreground(&self, place: Place, argv: Vec<String>) -> Spec {
        let mut env = self.node_environment();
        env.push((
            "TERM".into(),
            std::env::var("TERM").unwrap_or_else(|_| "dumb".into()),
        ));
        Spec::Enter(Box::new(Enter {
            place,
            argv,
            env,
            log: None,
        }))
    }

    pub(super) fn internal(&self, spec: &Spec) -> Command {
        let mut command = Command::new(self.program());
        let text = serde_json::to_string(spec).unwrap_or_default();
        command.arg("internal").arg(text).env_clear();
        command
    }

    fn node_environment(&self) -> Vec<(String, String)> {
        let path = format!(
            "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            self.home().bin().display()
        );
        vec![("PATH".into(), path), ("HOME".into(), "/root".into())]
    }

    /// Writes down that a process is about to be.
    fn announce(&self, name: &str, program: &str) -> Result<String, Error> {
        disk::make_dir(&self.dir().logs())?;
        let program = program.to_owned();
        Ok(self.store.record(|s| {
            let marker = s.marker(name);
            let record = ProcessRecord {
                program,
                marker: marker.clone(),
                pid: None,
                started: None,
            };
            s.processes.insert(name.to_owned(), record);
            marker
        })?)
    }

    fn confirm(&self, name: &str, pid: u32) -> Result<(), Error> {
        let started = process::started(pid);
        self.store.record(|s| {
            if let Some(record) = s.processes.get_mut(name) {
                record.pid = Some(pid);
                // Dead already: a start time no process has keeps the record from matching a later owner of the pid.
                record.started = Some(started.unwrap_or(0));
            }
        })?;
        Ok(())
    }
}

fn open_log(path: &PathBuf) -> Result<std::fs::File, Error> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| {
            disk::Error::Write {
                path: path.clone(),
                source,
            }
            .into()
        })
}

/// The last line of a log: what a process said before it died.
fn tail(path: &PathBuf) -> String {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    match read {
        Ok(_) => text.lines().last().unwrap_or("it said nothing").to_owned(),
        Err(error) => error.to_string(),
    }
}
