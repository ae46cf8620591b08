//! One tc block shared by all pods' links: a program on it sees what every bound link receives.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, Nla};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcHeader, TcMessage,
    TcOption,
};

use super::{Error, Netlink};

/// Our block's number; the namespace's blocks share one space of 32 bits ("glnt").
const BLOCK: u32 = 0x676c_6e74;
const CLSACT: &str = "clsact";
const CLSACT_HANDLE: TcHandle = TcHandle {
    major: u16::MAX,
    minor: 0,
};
/// `TCA_INGRESS_BLOCK` (linux/rtnetlink.h).
const INGRESS_BLOCK: u16 = 13;
const PRIORITY: u32 = 1;
/// `ETH_P_ALL` in network byte order, as tc wants it.
const ALL_PROTOCOLS: u32 = 0x0003_u16.to_be() as u32;

impl Netlink {
    /// Binds a link's incoming side to the block; one that is bound is fine, one with a clsact of others gets ours instead.
    pub(crate) fn bind_to_block(&mut self, ifindex: u32) -> Result<(), Error> {
        let operation = format!("bind interface {ifindex} to the pods' program");
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let bind = || RouteNetlinkMessage::NewQueueDiscipline(clsact(ifindex));
        match self.tell(&operation, bind(), flags) {
            Err(error) if error.errno() == Some(libc::EEXIST) => {
                if self.bound_to_block()?.contains(&ifindex) {
                    return Ok(());
                }
                self.unbind_from_block(ifindex)?;
                self.tell(&operation, bind(), flags)
            }
            result => result,
        }
    }

    /// Takes a link off the block; one that is not bound, or gone, is fine.
    pub(crate) fn unbind_from_block(&mut self, ifindex: u32) -> Result<(), Error> {
        let request = RouteNetlinkMessage::DelQueueDiscipline(clsact(ifindex));
        match self.tell(
            &format!("unbind interface {ifindex} from the pods' program"),
            request,
            0,
        ) {
            Err(error)
                if !matches!(
                    error.errno(),
                    Some(libc::ENOENT | libc::ENODEV | libc::EINVAL)
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Interfaces bound to the block.
    pub(crate) fn bound_to_block(&mut self) -> Result<Vec<u32>, Error> {
        let request = RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default());
        let answers = self.ask("list queueing disciplines", request, NLM_F_DUMP)?;
        Ok(answers.iter().filter_map(bound).collect())
    }

    /// Makes a program the block's only one. Every bound link changes from the old to the new program at once.
    /// The block lives while a link is bound to it.
    pub(crate) fn set_block_program(&mut self, program: BorrowedFd<'_>) -> Result<(), Error> {
        let header = TcHeader {
            index: TcHeader::TCM_IFINDEX_MAGIC_BLOCK.cast_signed(),
            handle: TcHandle::from(1),
            parent: TcHandle::from(BLOCK),
            info: PRIORITY << 16 | ALL_PROTOCOLS,
            ..TcHeader::default()
        };
        let options = vec![
            TcOption::Bpf(TcFilterBpfOption::ProgFd(
                program.as_raw_fd().cast_unsigned(),
            )),
            TcOption::Bpf(TcFilterBpfOption::ProgName("from_container".to_owned())),
            TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
        ];
        let attributes = vec![
            TcAttribute::Kind(TcFilterBpf::KIND.to_owned()),
            TcAttribute::Options(options),
        ];
        let request =
            RouteNetlinkMessage::NewTrafficFilter(TcMessage::from_parts(header, attributes));
        self.tell(
            "set the pods' program",
            request,
            NLM_F_CREATE | NLM_F_REPLACE,
        )
    }
}

fn clsact(ifindex: u32) -> TcMessage {
    let header = TcHeader {
        index: ifindex.cast_signed(),
        handle: CLSACT_HANDLE,
        parent: TcHandle::CLSACT,
        ..TcHeader::default()
    };
    let attributes = vec![
        TcAttribute::Kind(CLSACT.to_owned()),
        TcAttribute::Other(DefaultNla::new(INGRESS_BLOCK, BLOCK.to_ne_bytes().to_vec())),
    ];
    TcMessage::from_parts(header, attributes)
}

fn bound(message: &RouteNetlinkMessage) -> Option<u32> {
    let RouteNetlinkMessage::NewQueueDiscipline(message) = message else {
        return None;
    };
    let ours = message.attributes.iter().any(|attribute| match attribute {
        TcAttribute::Other(other) if other.kind() == INGRESS_BLOCK => {
            let mut value = [0; 4];
            other.value_len() == value.len() && {
                other.emit_value(&mut value);
                u32::from_ne_bytes(value) == BLOCK
            }
        }
        _ => false,
    });
    ours.then(|| message.header.index.cast_unsigned())
}
