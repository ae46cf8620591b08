//! What an agent of this node left is taken away, by the kernel's account; needs root, for a network namespace and a bpffs.

use std::fs::{self, File};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use cilium_cni::error::chain;
use cilium_cni::install::{ABOUT, InstallArguments, install};
use cilium_dbg::{Arguments, Error, run};
use clap::Parser as _;
use datapath::{Config, Kernel, Routing};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

const FOLDERS: [&str; 4] = ["bpf", "run", "net.d", "bin"];

/// Nobody listens any more. A program that another test starts has the socket, too, until it is really that program.
fn close(listening: UnixListener) {
    let address = listening.local_addr().unwrap();
    let path = address.as_pathname().unwrap();
    drop(listening);
    while UnixStream::connect(path).is_ok() {
        std::thread::yield_now();
    }
}

/// The folders of a node whose agent has ended.
struct Node {
    root: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in FOLDERS.iter().chain(&["run/state", "run/deleteQueue"]) {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let node = Self { root };
        File::create(node.path("run/state/lockfile")).unwrap();
        // As an agent leaves it that was killed.
        close(UnixListener::bind(node.path("run/cilium.sock")).unwrap());
        fs::write(node.path("program"), ABOUT).unwrap();
        let arguments = InstallArguments {
            bin_dir: node.path("bin"),
            conf_dir: node.path("net.d"),
            exclusive: true,
            report: Some(node.path("run/cni-install.json")),
        };
        install(&arguments, &node.path("program")).unwrap();
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// What the command says, a line each, and how it ends. It works where the caller is.
    fn clean(&self, force: &str) -> (Vec<String>, Result<(), Error>) {
        let at = |option: &str, name: &str| format!("--{option}={}", self.path(name).display());
        let mut words = vec!["cilium-dbg".to_owned(), at("host", "run/cilium.sock")];
        words.push("post-uninstall-cleanup".to_owned());
        let options = ["bpf-root", "runtime-dir", "cni-conf-dir", "cni-bin-dir"];
        words.extend(
            options
                .iter()
                .zip(FOLDERS)
                .map(|(option, name)| at(option, name)),
        );
        words.extend((!force.is_empty()).then(|| force.to_owned()));
        let arguments = Arguments::try_parse_from(words).unwrap();
        let mut out = Vec::new();
        let here = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let ended = here.block_on(run(&arguments, &mut out));
        let text = String::from_utf8(out).unwrap();
        (text.lines().map(str::to_owned).collect(), ended)
    }

    /// Everything of ours, as the command names it.
    fn everything(&self) -> Vec<String> {
        let path = |name: &str| self.path(name).display().to_string();
        vec![
            path("net.d/05-cilium.conflist"),
            path("bin/cilium-cni"),
            format!("programs and maps in {}", path("bpf/gloonet")),
            "device cilium_vxlan".to_owned(),
            "device cilium_host".to_owned(),
            path("run/cilium.sock"),
            path("run/cni-install.json"),
            path("run/deleteQueue"),
            path("run/state"),
        ]
    }

    fn mount_bpffs(&self) {
        let (bpf, none) = (Some("bpf"), None::<&str>);
        mount(bpf, &self.path("bpf"), bpf, MsFlags::empty(), none).unwrap();
    }

    /// What an agent loads, and what stays in the kernel when it ends.
    fn load_datapath(&self) {
        let bpffs = self.path("bpf");
        self.mount_bpffs();
        ip("link set lo up");
        ip("link add eth0 type veth peer name wire");
        ip("addr add 172.30.9.11/24 dev eth0");
        ip("link set eth0 up");
        ip("link set wire up");
        let cgroup = Cgroup::new();
        let config = Config {
            bpffs,
            cgroup_root: cgroup.0.clone(),
            node_ip: [172, 30, 9, 11].into(),
            router_ip: [10, 244, 1, 1].into(),
            pod_cidr: "10.244.1.0/24".parse().unwrap(),
            native_cidrs: vec!["10.244.0.0/16".parse().unwrap()],
            routing: Routing::Tunnel,
            devices: Vec::new(),
            tunnel_port: 8472,
            mtu: None,
        };
        drop(Kernel::open(config).unwrap());
    }
}

/// A cgroup that no process is in.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Self {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let root = mounts.lines().find_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            (words[2] == "cgroup2").then(|| PathBuf::from(words[1]))
        });
        let name = format!("gloonet-cleanup-{}", std::process::id());
        let folder = root.unwrap().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.unwrap();
    assert!(output.status.success(), "ip {arguments}");
    String::from_utf8(output.stdout).unwrap()
}

/// On a thread with a network and mounts of its own, which go with it.
fn apart(work: impl FnOnce() + Send + 'static) {
    let apart = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).unwrap();
        work();
    });
    if let Err(panic) = apart.join() {
        std::panic::resume_unwind(panic);
    }
}

fn each(verb: &str, things: &[String]) -> Vec<String> {
    things
        .iter()
        .map(|thing| format!("{verb} {thing}"))
        .collect()
}

fn exist(paths: &[String]) -> bool {
    paths
        .iter()
        .filter(|path| path.starts_with('/'))
        .all(|path| Path::new(path).exists())
}

#[test]
fn what_the_last_agent_left_is_listed_and_with_force_removed_and_then_there_is_nothing() {
    apart(|| {
        let node = Node::new();
        node.load_datapath();
        fs::write(node.path("net.d/10-flannel.conflist.cilium_bak"), "{}").unwrap();
        let all = node.everything();

        let (mut said, ended) = node.clean("");
        assert!(said.pop().unwrap().contains("rename it back"), "{said:?}");
        assert_eq!(said, each("would remove", &all));
        let refused = chain(&ended.unwrap_err());
        assert!(
            refused.contains("nothing was removed; with --force these 9 go"),
            "{refused}"
        );
        assert!(exist(&all) && ip("-br link").contains("cilium_host"));

        let (mut said, ended) = node.clean("-f");
        ended.unwrap();
        assert!(said.pop().unwrap().starts_with("left /"), "{said:?}");
        assert_eq!(said, each("removed", &all));
        let links = ip("-br link");
        assert!(!links.contains("cilium_"), "{links}");
        for path in ["net.d/05-cilium.conflist", "bin/cilium-cni", "bpf/gloonet"] {
            assert!(!node.path(path).exists(), "{path}");
        }
        assert_eq!(fs::read_dir(node.path("run")).unwrap().count(), 0);
        assert!(node.path("net.d/10-flannel.conflist.cilium_bak").exists());

        let (said, ended) = node.clean("--force");
        ended.unwrap();
        assert_eq!(said.last().unwrap(), "nothing of ours is on this node");
    });
}

#[test]
fn what_ciliums_own_agent_has_under_the_same_names_stays() {
    apart(|| {
        let node = Node::new();
        node.mount_bpffs();
        ip("link add cilium_host type veth peer name cilium_net");
        fs::remove_file(node.path("run/state/lockfile")).unwrap();
        let (said, ended) = node.clean("--force");
        ended.unwrap();
        let path = |name: &str| node.path(name).display().to_string();
        let ours = [
            path("net.d/05-cilium.conflist"),
            path("bin/cilium-cni"),
            path("run/cni-install.json"),
        ];
        assert_eq!(said, each("removed", &ours));
        assert!(ip("-br link").contains("cilium_host"));
        assert!(node.path("run/state").exists() && node.path("run/cilium.sock").exists());
    });
}

#[test]
fn maps_of_another_release_are_for_its_own_image() {
    apart(|| {
        let node = Node::new();
        node.mount_bpffs();
        for folder in ["bpf/gloonet", "bpf/gloonet/maps-v0"] {
            fs::create_dir(node.path(folder)).unwrap();
        }
        let error = chain(&node.clean("--force").1.unwrap_err());
        assert!(
            error.contains("use the image of the agent that ran here last"),
            "{error}"
        );
        assert!(node.path("bpf/gloonet/maps-v0").exists() && node.path("bin/cilium-cni").exists());
    });
}

#[test]
fn nothing_is_removed_while_an_agent_listens_or_has_begun() {
    let node = Node::new();
    let socket = node.path("run/cilium.sock");
    fs::remove_file(&socket).unwrap();
    let listening = UnixListener::bind(&socket).unwrap();
    let refused = |held: &Path| {
        let (said, ended) = node.clean("--force");
        let error = chain(&ended.unwrap_err());
        let expected = format!(
            "a Cilium agent runs on this node and holds {}:",
            held.display()
        );
        assert!(error.contains(&expected), "{error}");
        assert_eq!(said, [""; 0]);
        assert!(node.path("bin/cilium-cni").exists() && node.path("run/state").exists());
    };
    refused(&socket);
    close(listening);
    let path = node.path("run/state/lockfile");
    let lock = File::open(&path).unwrap();
    lock.lock().unwrap();
    refused(&path);
}

#[test]
fn a_folder_that_is_not_mounted_is_named_and_not_taken_for_a_clean_one() {
    let node = Node::new();
    fs::remove_dir_all(node.path("net.d")).unwrap();
    let error = chain(&node.clean("--force").1.unwrap_err());
    assert!(error.contains("net.d is no folder"), "{error}");
    assert!(error.contains("--cni-conf-dir"), "{error}");
    // The other ones are there, but this is no bpffs.
    fs::create_dir(node.path("net.d")).unwrap();
    let error = chain(&node.clean("--force").1.unwrap_err());
    assert!(error.contains("bpf is not a BPF file system"), "{error}");
    assert!(node.path("bin/cilium-cni").exists());
}
