use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aya::maps::{MapData, MapInfo};
use datapath_abi::{FLOWS, FORMAT};
use nix::sys::statfs::{BPF_FS_MAGIC, CGROUP2_SUPER_MAGIC, FsType, statfs};

use super::maps::OF_TRAFFIC;
use crate::{Config, Error};

/// Where our objects are named: `<bpffs>/gloonet/{maps-v<FORMAT>,flows-v<FLOWS>,links}`. A folder `live-v<FORMAT>` says that the
/// attached programs read the maps of that version.
#[derive(Clone, Debug)]
pub(super) struct Pins {
    root: PathBuf,
    maps: PathBuf,
    flows: PathBuf,
    links: PathBuf,
    /// Programs were attached that read maps of another version.
    pub(super) others_run: bool,
}

impl Pins {
    /// Makes the folders; refuses a folder that is no bpffs, and a cgroup root that is no cgroup v2.
    pub(super) fn prepare(config: &Config) -> Result<Self, Error> {
        require_bpffs(&config.bpffs)?;
        require(
            &config.cgroup_root,
            CGROUP2_SUPER_MAGIC,
            "a cgroup v2 folder; socket load balancing needs one",
        )?;
        let root = root(&config.bpffs);
        let mut pins = Self {
            maps: maps(&config.bpffs),
            flows: root.join(format!("flows-v{FLOWS}")),
            links: root.join("links"),
            root,
            others_run: false,
        };
        for folder in [&pins.maps, &pins.flows, &pins.links] {
            make(folder)?;
        }
        pins.others_run = !names(&pins.links)?.is_empty() && !pins.live().exists();
        if pins.others_run {
            // What an agent left that ended before its maps were full is older than what is known now.
            remove(&pins.maps)?;
            make(&pins.maps)?;
        }
        Ok(pins)
    }

    /// The attached programs read these maps now; those of other versions are nobody's.
    pub(super) fn go_live(&self) -> Result<(), Error> {
        make(&self.live())?;
        let ours = [&self.maps, &self.flows, &self.links, &self.live()].map(PathBuf::clone);
        for name in names(&self.root)? {
            let path = self.root.join(name);
            if !ours.contains(&path) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn live(&self) -> PathBuf {
        self.root.join(format!("live-v{FORMAT}"))
    }

    /// Where a map is pinned.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        if OF_TRAFFIC.contains(&name) {
            self.flows.join(name)
        } else {
            self.maps.join(name)
        }
    }

    /// One more handle of a map.
    pub(super) fn open(&self, name: &'static str) -> Result<MapData, Error> {
        MapData::from_pin(self.map(name)).map_err(|source| Error::Map {
            operation: "open",
            map: name,
            source,
        })
    }

    /// Where a link is pinned.
    pub(super) fn link(&self, name: &str) -> PathBuf {
        self.links.join(name)
    }

    /// Unpins, and so detaches, every link but these.
    pub(super) fn keep_links(&self, names: &[String]) -> Result<(), Error> {
        for found in self::names(&self.links)? {
            if !names.iter().any(|name| found == name.as_str()) {
                let path = self.links.join(found);
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Refuses a pinned map that differs from its definition: aya would reuse it as it is, and every entry would be misread.
    pub(super) fn check(&self, name: &str, wanted: &aya_obj::Map) -> Result<(), Error> {
        let path = self.map(name);
        if !path.exists() {
            return Ok(());
        }
        let map = |source| Error::Map {
            operation: "read the layout of",
            map: "a pinned map",
            source,
        };
        let info = MapInfo::from_pin(&path).map_err(map)?;
        let found = layout(
            info.map_type().map_or(0, |kind| kind as u32),
            [
                info.key_size(),
                info.value_size(),
                info.max_entries(),
                info.map_flags(),
            ],
        );
        let wanted = layout(
            wanted.map_type(),
            [
                wanted.key_size(),
                wanted.value_size(),
                wanted.max_entries(),
                wanted.map_flags(),
            ],
        );
        if found == wanted {
            Ok(())
        } else {
            Err(Error::MapFormat {
                path,
                found,
                wanted,
            })
        }
    }
}

fn layout(kind: u32, [key, value, entries, flags]: [u32; 4]) -> String {
    format!(
        "type {kind}, key {key} bytes, value {value} bytes, {entries} entries, flags {flags:#x}"
    )
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File {
        operation,
        path,
        source,
    }
}

fn names(folder: &Path) -> Result<Vec<OsString>, Error> {
    let entries = fs::read_dir(folder).map_err(failed("list", folder))?;
    entries
        .map(|entry| Ok(entry.map_err(failed("list", folder))?.file_name()))
        .collect()
}

fn make(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(failed("make folder", folder))
}

/// With everything in it; links detach with their last name. What is not there is removed.
pub(super) fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

/// Where the maps that the agent fills are pinned.
pub(super) fn maps(bpffs: &Path) -> PathBuf {
    root(bpffs).join(format!("maps-v{FORMAT}"))
}

fn root(bpffs: &Path) -> PathBuf {
    bpffs.join("gloonet")
}

fn require_bpffs(path: &Path) -> Result<(), Error> {
    let what = "a BPF file system; mount one with `mount -t bpf bpf`";
    require(path, BPF_FS_MAGIC, what)
}

fn require(path: &Path, kind: FsType, what: &str) -> Result<(), Error> {
    let found = statfs(path).map_err(|errno| failed("look at", path)(errno.into()))?;
    if found.filesystem_type() == kind {
        return Ok(());
    }
    Err(Error::Config(format!("{} is not {what}", path.display())))
}

/// The folder of everything of ours below a bpffs, if there is one. Without the bpffs itself, nothing can be said, nor where the maps
/// are another release's: what they say is not understood here.
pub(super) fn left(bpffs: &Path) -> Result<Option<PathBuf>, Error> {
    require_bpffs(bpffs)?;
    let root = root(bpffs);
    if !root.exists() {
        return Ok(None);
    }
    let of_maps = |name: &OsString| name.to_string_lossy().starts_with("maps-v");
    if names(&root)?.iter().any(of_maps) && !maps(bpffs).exists() {
        let complaint = format!(
            "{} has the maps of another release's agent; use the image of the agent that ran here last",
            root.display()
        );
        return Err(Error::Config(complaint));
    }
    Ok(Some(root))
}
