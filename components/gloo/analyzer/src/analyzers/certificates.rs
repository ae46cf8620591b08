//! Certificates of the Secrets that are mounted here (their public part only), and of endpoints that serve TLS.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use cilium_api::names::{HUBBLE_DOMAIN, HUBBLE_PORT};
use futures::{StreamExt, stream};
use gloo_record::{
    Certificates,
    certificates::{Certificate, Place, Unreadable},
};

use crate::{
    args::Endpoint,
    pods,
    reader::{AnalyzeError, Reader},
    tls,
};

const AT_ONCE: usize = 16;
/// A certificate with its chain is some kilobytes.
const LARGEST: u64 = 256 * 1024;

type One = Result<Certificate, Unreadable>;

pub(super) async fn run(reader: &Reader) -> Result<Certificates, AnalyzeError> {
    let mut all = match &reader.args.certificates {
        Some(folder) => mounted(folder).map_err(|error| {
            AnalyzeError::Other(format!("{} cannot be read: {error}", folder.display()))
        })?,
        None => Vec::new(),
    };
    let mut endpoints = reader.args.endpoints.clone();
    endpoints.extend(hubble(reader)?);
    let shown: Vec<One> = stream::iter(endpoints)
        .map(|endpoint| async move { ask(&endpoint).await })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    all.extend(shown);
    Ok(sorted(all))
}

fn sorted(all: Vec<One>) -> Certificates {
    let mut record = Certificates::default();
    for one in all {
        match one {
            Ok(certificate) => record.certificates.push(certificate),
            Err(unreadable) => record.unreadable.push(unreadable),
        }
    }
    record
        .certificates
        .sort_by(|one, other| one.place.cmp(&other.place));
    record
        .unreadable
        .sort_by(|one, other| one.place.cmp(&other.place));
    record
}

/// Hubble's port of every node with a running agent.
fn hubble(reader: &Reader) -> Result<Vec<Endpoint>, AnalyzeError> {
    let Some(authority) = &reader.args.hubble_authority else {
        return Ok(Vec::new());
    };
    let cluster = &reader.args.cluster_name;
    let all = reader.world.pods.all()?;
    let agents = all
        .iter()
        .filter(|pod| pods::labelled(pod, "k8s-app", "cilium") && pods::ready(pod));
    Ok(agents
        .filter_map(|pod| {
            let host = pod.status.as_ref()?.host_ip.clone()?;
            let node = pods::node(pod);
            Some(Endpoint {
                name: format!("hubble of {node}"),
                address: format!("{host}:{HUBBLE_PORT}"),
                server_name: format!("{node}.{cluster}.{HUBBLE_DOMAIN}"),
                authority: Some(authority.clone()),
            })
        })
        .collect())
}

async fn ask(endpoint: &Endpoint) -> One {
    let place = Place::Endpoint {
        name: endpoint.name.clone(),
        address: endpoint.address.clone(),
    };
    let unreadable = |why: String| Unreadable {
        place: place.clone(),
        why,
    };
    let chain = tls::shown(&endpoint.address, &endpoint.server_name).await;
    let chain = chain.map_err(|error| unreadable(gloonet_daemon::error::chain(&error)))?;
    let authority = match &endpoint.authority {
        Some(path) => Some(read(path).map_err(&unreadable)?),
        None => None,
    };
    let name = Some(endpoint.server_name.clone());
    tls::describe(place.clone(), &chain, authority.as_deref(), name)
        .map_err(|error| unreadable(error.to_string()))
}

/// `<folder>/<namespace>/<name>/{tls.crt,ca.crt}`. A Secret that is not there has no file, and that is for others to say.
fn mounted(folder: &Path) -> io::Result<Vec<One>> {
    let mut all = Vec::new();
    for namespace in entries(folder)? {
        for secret in entries(&namespace)? {
            for key in ["tls.crt", "ca.crt"] {
                let path = secret.join(key);
                if path.exists() {
                    all.push(file(&namespace, &secret, key, &path));
                }
            }
        }
    }
    Ok(all)
}

/// Folders in it; what a mount keeps for itself begins with two dots.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !name(&path).starts_with("..") {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn file(namespace: &Path, secret: &Path, key: &str, path: &Path) -> One {
    let place = Place::Secret {
        namespace: name(namespace),
        name: name(secret),
        key: key.to_owned(),
    };
    let unreadable = |why: String| Unreadable {
        place: place.clone(),
        why,
    };
    let text = read(path).map_err(&unreadable)?;
    let chain = tls::pem(&text).map_err(|error| unreadable(error.to_string()))?;
    // An authority is its own; a leaf is held against the authority beside it.
    let beside = secret.join("ca.crt");
    let authority = if key == "ca.crt" || !beside.exists() {
        None
    } else {
        Some(read(&beside).map_err(&unreadable)?)
    };
    tls::describe(place.clone(), &chain, authority.as_deref(), None)
        .map_err(|error| unreadable(error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let length = fs::metadata(path).map_err(wrong)?.len();
    if length > LARGEST {
        return Err(format!(
            "{} has {length} bytes, more than {LARGEST}",
            path.display()
        ));
    }
    fs::read(path).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_certificate_is_unreadable_and_costs_its_neighbours_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let secret = |name: &str, text: &str| {
            let path = folder.path().join("gloo-mesh").join(name);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("tls.crt"), text).unwrap();
        };
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        secret("good", &parameters.self_signed(&key).unwrap().pem());
        secret("bad", "not PEM");
        secret("empty", "");
        let record = sorted(mounted(folder.path()).unwrap());
        assert_eq!(record.certificates.len(), 1);
        assert_eq!(record.certificates[0].names, ["a.example"]);
        let why: Vec<&str> = record
            .unreadable
            .iter()
            .map(|one| one.why.as_str())
            .collect();
        assert_eq!(
            why,
            [
                "there is no certificate in it",
                "there is no certificate in it"
            ]
        );
    }
}
