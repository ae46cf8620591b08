//! A thread that lives in network and mount namespaces of its own and does there what it is told.

use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getpid, gettid};

type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Namespace {
    jobs: Sender<Job>,
    thread_id: i32,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let (jobs, queue) = channel::<Job>();
        let (tell, told) = channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
                .expect("unshare (these tests need root)");
            mount(
                None::<&str>,
                "/",
                None::<&str>,
                MsFlags::MS_REC | MsFlags::MS_PRIVATE,
                None::<&str>,
            )
            .unwrap();
            tell.send(gettid().as_raw()).unwrap();
            for job in queue {
                job();
            }
        });
        let namespace = Self {
            jobs,
            thread_id: told.recv().unwrap(),
        };
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs a function inside and waits for its answer; its panic is ours.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let (answer, answered) = channel();
        let job = move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(function));
            drop(answer.send(result));
        };
        self.jobs.send(Box::new(job)).unwrap();
        answered
            .recv()
            .unwrap()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs iproute2 inside.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let arguments = arguments.to_owned();
        self.run(move || {
            let output = Command::new("ip")
                .args(arguments.split_whitespace())
                .output()
                .expect("ip (iproute2)");
            assert!(
                output.status.success(),
                "ip {arguments}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8(output.stdout).unwrap()
        })
    }

    pub(crate) fn thread_id(&self) -> i32 {
        self.thread_id
    }

    /// The file of the network namespace, for whoever wants to enter it.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/task/{}/ns/net", getpid(), self.thread_id))
    }
}
