//! Running the specs: upstream's runner, its whole output in a file, one line per spec on screen. cilium-cli is run so, too.
//!
//! Everything goes through the API server: specs probe from pods by exec. So the suite runs on the machine and needs only the
//! lab's door.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;

use super::live::{Reader, Reading};
use super::plan::Plan;
use super::{Pace, report};
use crate::home;
use crate::lab::Lab;
use crate::progress::human;

/// File name of the runner's whole output.
pub const LOG: &str = "output.log";
const ERRORS: &str = "errors.log";

/// The screen is not left silent longer than this.
const HEARTBEAT: Duration = Duration::from_mins(1);

/// An empty folder for the reports of a run. Beside the other logs, so that it outlives the cluster.
pub fn fresh_folder(lab: &Lab, suite: &str) -> Result<PathBuf> {
    let folder = home::cache_folder("logs")?
        .join("conformance")
        .join(lab.name())
        .join(suite);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// Runs the plan to its end. Whether specs failed is in the report, not in the result.
pub fn run(lab: &Lab, plan: &Plan, pace: Pace, nodes: usize, folder: &Path) -> Result<()> {
    let command = command(lab, plan, pace, nodes, folder)?;
    let reader = Reader::of(plan.specs.len());
    eprintln!(
        "… {} specs; the cluster is looked at first",
        plan.specs.len()
    );
    // Its code says the same as the report, and less.
    let (_reader, _status) = to_its_end(command, reader, folder)?;
    Ok(())
}

/// Runs a program whose output `reader` understands. Gives the reader back, and how the program ended.
pub fn to_its_end<R: Reading>(
    command: Command,
    reader: R,
    folder: &Path,
) -> Result<(R, ExitStatus)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    runtime.block_on(follow(command, reader, folder))
}

async fn follow<R: Reading>(
    mut command: Command,
    reader: R,
    folder: &Path,
) -> Result<(R, ExitStatus)> {
    // Registered before the child starts: from here on an interrupt is the runner's to handle, and the table is printed.
    let mut interrupts = signal(SignalKind::interrupt()).context("listen for interrupts")?;
    let mut terminations = signal(SignalKind::terminate()).context("listen for the end")?;
    let log = File::create(folder.join(LOG)).context("create the log")?;
    let mut screen = Screen::new(reader, log);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(folder.join(ERRORS)).context("create the log of errors")?);
    let mut child =
        start(&mut command).context("start the suite's program; ./dev programs NAME builds it")?;
    let output = child.stdout.take().context("the runner's output")?;
    let mut lines = BufReader::new(output).split(b'\n');
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            line = lines.next_segment() => match line.context("read the runner's output")? {
                Some(line) => screen.line(&String::from_utf8_lossy(&line))?,
                None => break,
            },
            () = asked_to_stop(&mut interrupts, &mut terminations, &child) => screen.say(
                "interrupted: the specs that run are ended and cleaned up, which takes up to a minute",
            ),
            _ = heartbeat.tick() => screen.still(),
        }
    }
    let status = child.wait().await.context("wait for the runner")?;
    Ok((screen.reader, status))
}

/// Starts the runner with a process group of its own: what it starts is in it, and nothing else.
fn start(command: &mut Command) -> std::io::Result<Child> {
    command.process_group(0).spawn()
}

/// Passes an interrupt on, whoever it is from: a terminal does not know the runner's group.
async fn asked_to_stop(interrupts: &mut Signal, terminations: &mut Signal, child: &Child) {
    tokio::select! {
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
    }
    interrupt(child);
}

/// Interrupts the runner and the processes that run its specs. Those that have ended need none.
fn interrupt(child: &Child) {
    let group = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(group) = group {
        let _gone = killpg(Pid::from_raw(group), nix::sys::signal::Signal::SIGINT);
    }
}

fn command(lab: &Lab, plan: &Plan, pace: Pace, nodes: usize, folder: &Path) -> Result<Command> {
    let bin = home::cache_folder("bin")?;
    let mut command = Command::new(bin.join("ginkgo"));
    command
        .current_dir(folder)
        .args(["run", "-v", "--no-color", "--silence-skips"])
        .arg(format!("--procs={}", pace.parallel))
        .arg(format!("--timeout={}s", pace.limit.as_secs()))
        .arg(format!("--focus={}", plan.focus()))
        .arg(format!("--output-dir={}", folder.display()))
        .arg(format!("--json-report={}", report::FILE))
        .arg(bin.join("e2e.test"))
        .args(["--", "--provider=skeleton"])
        .arg(format!("--kubeconfig={}", lab.kubeconfig().display()))
        .arg(format!("--report-dir={}", folder.display()))
        // Specs that need two nodes skip themselves unless told how many there are.
        .arg(format!("--num-nodes={nodes}"));
    Ok(command)
}

/// What is shown.
struct Screen<R> {
    started: Instant,
    said: Instant,
    done: usize,
    reader: R,
    log: File,
}

impl<R: Reading> Screen<R> {
    fn new(reader: R, log: File) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            said: now,
            done: 0,
            reader,
            log,
        }
    }

    fn line(&mut self, line: &str) -> Result<()> {
        writeln!(self.log, "{line}").context("write the log")?;
        if let Some(ended) = self.reader.line(line) {
            self.done += 1;
            self.said = Instant::now();
            eprintln!(
                "{} {:>2}/{} {:>6} s  {}  ({})",
                ended.outcome.mark(),
                self.done,
                self.reader.total(),
                ended.seconds.split('.').next().unwrap_or_default(),
                ended.name,
                human(self.started.elapsed())
            );
        }
        Ok(())
    }

    fn say(&mut self, what: &str) {
        self.said = Instant::now();
        eprintln!("… {what}");
    }

    fn still(&mut self) {
        if self.said.elapsed() >= HEARTBEAT / 2 {
            let (done, total) = (self.done, self.reader.total());
            let time = human(self.started.elapsed());
            self.say(&format!("{done} of {total} done after {time}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    /// A shell that says `up`, and `told` when it is interrupted, as the child of another one.
    fn family() -> Command {
        let grandchild =
            "trap 'echo told; exit 0' INT; echo up; for i in $(seq 400); do sleep 0.05; done";
        // Whoever runs tests in the background ignores interrupts for them, and a shell cannot trap what it came to be with ignored.
        let mut command = Command::new("env");
        command
            .args(["--default-signal=INT", "sh", "-c"])
            // The last command of a shell takes its place, so there is one more.
            .args(["sh -c \"$0\"; echo ended", grandchild])
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    #[tokio::test]
    async fn an_interrupt_reaches_what_the_runner_started() {
        let mut child = start(&mut family()).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "up");
        interrupt(&child);
        let told = tokio::time::timeout(LIMIT, lines.next_line()).await;
        assert_eq!(told.unwrap().unwrap().unwrap(), "told");
        tokio::time::timeout(LIMIT, child.wait())
            .await
            .unwrap()
            .unwrap();
    }
}
