use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aya::maps::{MapData, MapInfo};
use datapath_abi::FORMAT;
use nix::sys::statfs::{BPF_FS_MAGIC, CGROUP2_SUPER_MAGIC, FsType, statfs};

use crate::{Config, Error};

/// Where our objects are named: `<bpffs>/gloonet/{maps-v<FORMAT>,links}`.
#[derive(Clone, Debug)]
pub(super) struct Pins {
    maps: PathBuf,
    links: PathBuf,
}

impl Pins {
    /// Makes the folders; refuses a folder that is no bpffs, and a cgroup root that is no cgroup v2.
    pub(super) fn prepare(config: &Config) -> Result<Self, Error> {
        require(
            &config.bpffs,
            BPF_FS_MAGIC,
            "a BPF file system; mount one with `mount -t bpf bpf`",
        )?;
        require(
            &config.cgroup_root,
            CGROUP2_SUPER_MAGIC,
            "a cgroup v2 folder; socket load balancing needs one",
        )?;
        let root = root(&config.bpffs);
        let pins = Self {
            maps: root.join(format!("maps-v{FORMAT}")),
            links: root.join("links"),
        };
        for folder in [&pins.maps, &pins.links] {
            fs::create_dir_all(folder).map_err(|source| Error::File {
                operation: "make folder",
                path: folder.clone(),
                source,
            })?;
        }
        Ok(pins)
    }

    /// Where a map is pinned.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.maps.join(name)
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
        let failed = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| Error::File {
                operation,
                path,
                source,
            }
        };
        let entries = fs::read_dir(&self.links).map_err(failed("list", &self.links))?;
        for entry in entries {
            let entry = entry.map_err(failed("list", &self.links))?;
            if !names.iter().any(|name| entry.file_name() == name.as_str()) {
                fs::remove_file(entry.path()).map_err(failed("remove", &entry.path()))?;
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

fn root(bpffs: &Path) -> PathBuf {
    bpffs.join("gloonet")
}

fn require(path: &Path, kind: FsType, what: &str) -> Result<(), Error> {
    let found = statfs(path).map_err(|errno| Error::File {
        operation: "look at",
        path: path.to_owned(),
        source: errno.into(),
    })?;
    if found.filesystem_type() == kind {
        return Ok(());
    }
    Err(Error::Config(format!("{} is not {what}", path.display())))
}

/// Unpins everything of ours below a bpffs; links detach with their last name.
pub(super) fn remove_all(bpffs: &Path) -> Result<(), Error> {
    let root = root(bpffs);
    match fs::remove_dir_all(&root) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::File {
            operation: "remove",
            path: root,
            source,
        }),
        _ => Ok(()),
    }
}
