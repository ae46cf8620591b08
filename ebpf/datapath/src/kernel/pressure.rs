use aya::maps::MapData;

use super::batch;
use super::maps::{CONNECTIONS, TRANSLATIONS};
use super::pins::Pins;
use crate::{Error, MapPressure};

const NAMES: &[&str] = &[
    "cilium_lxc",
    "cilium_ipcache",
    "cilium_node_cidr",
    "cilium_lb4_services",
    "cilium_lb4_backends",
    "cilium_lb4_members",
    "cilium_lb4_maglev",
    "cilium_lb4_source_range",
    "cilium_lb4_affinity",
    "cilium_lb4_reverse_sk",
    "cilium_ct_service",
    "cilium_blocks",
    TRANSLATIONS,
    CONNECTIONS,
];

/// Handles of the maps that can be full, so that counting holds nobody up.
#[derive(Debug)]
pub(super) struct Gauges(Vec<(&'static str, MapData)>);

impl Gauges {
    pub(super) fn open(pins: &Pins) -> Result<Self, Error> {
        let open = |name: &&'static str| Ok((*name, pins.open(name)?));
        NAMES.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn read(&self) -> Result<Vec<MapPressure>, Error> {
        self.0
            .iter()
            .map(|(name, map)| pressure(name, map))
            .collect()
    }
}

fn pressure(name: &'static str, map: &MapData) -> Result<MapPressure, Error> {
    let used = batch::count(map).map_err(|source| Error::Batch {
        operation: "count",
        map: name,
        source,
    })?;
    Ok(MapPressure {
        name,
        used,
        max: map.info().map_or(0, |info| info.max_entries()),
    })
}
