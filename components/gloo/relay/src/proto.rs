//! The messages and services, generated from `proto/relay.proto`.

tonic::include_proto!("gloonet.relay.v1");
