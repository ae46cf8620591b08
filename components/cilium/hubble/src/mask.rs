//! Field masks: which fields of a flow a client wants.
//!
//! Fields are dropped from the encoded flow, by number, so that this needs no table of fields beside the descriptors.

use std::{collections::BTreeMap, sync::LazyLock};

use prost::{
    Message,
    encoding::{WireType, decode_key, decode_varint},
};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use crate::proto::{DESCRIPTORS, flow::Flow};

/// A path that leads to no field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the field mask has the path {path:?}, which leads to no field of a flow")]
pub struct MaskError {
    pub path: String,
}

/// The wanted fields by number. A field without an entry of its own below it is wanted whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    fields: BTreeMap<u32, Mask>,
}

impl Mask {
    /// Reads a mask; no paths means that everything is wanted.
    pub fn new(paths: &[String]) -> Result<Self, MaskError> {
        let mut mask = Self::default();
        for path in paths {
            let numbers = numbers(path).ok_or_else(|| MaskError { path: path.clone() })?;
            mask.add(&numbers);
        }
        Ok(mask)
    }

    /// The flow with the wanted fields only.
    pub fn apply(&self, flow: &Flow) -> Flow {
        if self.fields.is_empty() {
            return flow.clone();
        }
        let kept = self.keep(&flow.encode_to_vec()).unwrap_or_default();
        Flow::decode(kept.as_slice()).unwrap_or_default()
    }

    /// A path that is the beginning of another one wants all that the other one wants.
    fn add(&mut self, numbers: &[u32]) {
        let [first, rest @ ..] = numbers else {
            self.fields.clear();
            return;
        };
        match self.fields.get_mut(first) {
            Some(whole) if whole.fields.is_empty() => {}
            Some(part) => part.add(rest),
            None => self.fields.entry(*first).or_default().add(rest),
        }
    }

    fn keep(&self, message: &[u8]) -> Option<Vec<u8>> {
        let (mut rest, mut kept) = (message, Vec::new());
        while !rest.is_empty() {
            let field = rest;
            let (number, wire) = decode_key(&mut rest).ok()?;
            let length = match wire {
                WireType::Varint => {
                    decode_varint(&mut rest).ok()?;
                    0
                }
                WireType::ThirtyTwoBit => 4,
                WireType::SixtyFourBit => 8,
                WireType::LengthDelimited => {
                    usize::try_from(decode_varint(&mut rest).ok()?).ok()?
                }
                WireType::StartGroup | WireType::EndGroup => return None,
            };
            let value = rest.get(..length)?;
            rest = rest.get(length..)?;
            match self.fields.get(&number) {
                Some(whole) if whole.fields.is_empty() => {
                    kept.extend_from_slice(&field[..field.len() - rest.len()]);
                }
                Some(part) => prost::encoding::bytes::encode(number, &part.keep(value)?, &mut kept),
                None => {}
            }
        }
        Some(kept)
    }
}

static FILES: LazyLock<FileDescriptorSet> =
    LazyLock::new(|| FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default());

fn numbers(path: &str) -> Option<Vec<u32>> {
    let mut message = Some(message(".flow.Flow")?);
    let mut numbers = Vec::new();
    for name in path.split('.') {
        let field = message?.field.iter().find(|field| field.name() == name)?;
        numbers.push(u32::try_from(field.number()).ok()?);
        message = below(field);
    }
    Some(numbers)
}

/// What a path may go on into: nothing behind a list, as with Protobuf's own masks.
fn below(field: &FieldDescriptorProto) -> Option<&'static DescriptorProto> {
    use prost_types::field_descriptor_proto::Label;
    if field.label() == Label::Repeated {
        None
    } else {
        message(field.type_name.as_deref()?)
    }
}

fn message(full_name: &str) -> Option<&'static DescriptorProto> {
    let messages = FILES.file.iter().flat_map(|file| {
        file.message_type
            .iter()
            .map(move |message| (file.package(), message))
    });
    messages
        .into_iter()
        .find(|(package, message)| {
            full_name.strip_prefix('.') == Some(&format!("{package}.{}", message.name()))
        })
        .map(|(_, message)| message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::flow::{Endpoint, Layer4, Tcp, layer4::Protocol};

    fn paths(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|&path| path.to_owned()).collect()
    }

    fn flow() -> Flow {
        Flow {
            uuid: "one".to_owned(),
            verdict: 2,
            source: Some(Endpoint {
                id: 7,
                pod_name: "web".to_owned(),
                labels: vec!["k8s:app=web".to_owned()],
                ..Endpoint::default()
            }),
            l4: Some(Layer4 {
                protocol: Some(Protocol::Tcp(Tcp {
                    source_port: 1,
                    destination_port: 2,
                    flags: None,
                })),
            }),
            ..Flow::default()
        }
    }

    #[test]
    fn only_the_wanted_fields_are_left() {
        let mask = Mask::new(&paths(&[
            "verdict",
            "source.pod_name",
            "l4.TCP.destination_port",
        ]))
        .unwrap();
        let expected = Flow {
            verdict: 2,
            source: Some(Endpoint {
                pod_name: "web".to_owned(),
                ..Endpoint::default()
            }),
            l4: Some(Layer4 {
                protocol: Some(Protocol::Tcp(Tcp {
                    source_port: 0,
                    destination_port: 2,
                    flags: None,
                })),
            }),
            ..Flow::default()
        };
        assert_eq!(mask.apply(&flow()), expected);
    }

    #[test]
    fn a_path_wants_all_below_it_in_either_order() {
        for both in [["source", "source.ID"], ["source.ID", "source"]] {
            let mask = Mask::new(&paths(&both)).unwrap();
            assert_eq!(mask.apply(&flow()).source, flow().source);
        }
    }

    #[test]
    fn no_paths_leave_everything() {
        assert_eq!(Mask::new(&[]).unwrap().apply(&flow()), flow());
    }

    #[test]
    fn a_path_to_no_field_is_refused() {
        for path in ["nothing", "verdict.more", "source.labels.x", ""] {
            assert_eq!(
                Mask::new(&paths(&[path])),
                Err(MaskError {
                    path: path.to_owned()
                })
            );
        }
    }
}
