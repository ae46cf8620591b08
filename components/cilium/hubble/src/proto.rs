//! The messages and services, generated from `proto/`.

/// Flows, filters and the events beside them.
pub mod flow {
    tonic::include_proto!("flow");
}

/// What clients ask of a node.
pub mod observer {
    tonic::include_proto!("observer");
}

/// Which nodes there are.
pub mod peer {
    tonic::include_proto!("peer");
}

/// What a relay says of the nodes behind it.
pub mod relay {
    tonic::include_proto!("relay");
}

/// The descriptors of all files, for reflection and field masks.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("hubble");
