//! One line: the JSON that `hubble observe --output jsonpb` prints, and upstream's exporter writes.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{
    DescriptorError, DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions,
};

use crate::proto::{DESCRIPTORS, observer::GetFlowsResponse};

/// A flow that cannot be written as JSON.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("the protocol's own description cannot be read")]
    Descriptors,
    #[error("a flow is not what its description says")]
    Decode(#[from] prost::DecodeError),
    #[error("a flow cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

static ANSWER: LazyLock<Result<Option<MessageDescriptor>, DescriptorError>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS)?;
    Ok(pool.get_message_by_name("observer.GetFlowsResponse"))
});

/// Adds a line. Fields have their names in Protobuf, and 64 bits are text, as upstream has it.
pub(super) fn append(answer: &GetFlowsResponse, lines: &mut Vec<u8>) -> Result<(), LineError> {
    let Ok(Some(kind)) = &*ANSWER else {
        return Err(LineError::Descriptors);
    };
    let message = DynamicMessage::decode(kind.clone(), answer.encode_to_vec().as_slice())?;
    let names = SerializeOptions::new().use_proto_field_name(true);
    let mut json = serde_json::Serializer::new(&mut *lines);
    message.serialize_with_options(&mut json, &names)?;
    lines.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        event::{Kind, PacketEvent},
        filter::Filters,
        fixture::{self, Cluster},
        mask::Mask,
        observer::{
            self,
            request::{Range, Reader, Wanted},
        },
        server::{now, observe::flow_answer},
    };

    async fn written(event: PacketEvent) -> Value {
        let (observer, mut writer) = observer::new(fixture::config(7), Arc::new(Cluster));
        writer.packet(event);
        let wanted = Wanted::Flows(Filters::default());
        let mut reader = Reader::new(Arc::clone(&observer), wanted, Range::default());
        let item = reader.next(now).await.unwrap();
        let answer = flow_answer(&observer, &Mask::default(), item).unwrap();
        let mut line = Vec::new();
        append(&answer, &mut line).unwrap();
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(text.ends_with('\n'));
        serde_json::from_str(&text).unwrap()
    }

    #[tokio::test]
    async fn a_flow_is_written_as_hubble_prints_it() {
        let line = written(fixture::at(5)).await;
        assert_eq!(line["time"], "1970-01-01T00:00:05Z");
        assert_eq!(line["node_name"], "east/worker-1");
        let flow = &line["flow"];
        assert_eq!(flow["verdict"], "FORWARDED");
        assert_eq!(flow["Type"], "L3_L4");
        assert_eq!(flow["source"]["pod_name"], "client-1");
        assert_eq!(
            flow["source"]["workloads"],
            json!([{"name": "client", "kind": "StatefulSet"}])
        );
        assert_eq!(flow["destination"]["namespace"], "default");
        assert_eq!(flow["l4"]["TCP"]["destination_port"], 80);
        assert_eq!(flow["l4"]["TCP"]["flags"], json!({"SYN": true}));
        assert_eq!(flow["is_reply"], false);
        assert_eq!(flow["traffic_direction"], "INGRESS");
    }

    #[tokio::test]
    async fn a_drop_says_why() {
        let packet = fixture::tcp(fixture::CLIENT, fixture::WEB, 1, 80, fixture::SYN);
        let line = written(fixture::event(Kind::Drop { reason: 133 }, &packet, 5)).await;
        assert_eq!(line["flow"]["verdict"], "DROPPED");
        assert_eq!(line["flow"]["drop_reason_desc"], "POLICY_DENIED");
    }
}
