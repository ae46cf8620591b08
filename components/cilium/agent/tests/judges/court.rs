//! One cluster with its policies before three judges.

use cilium_agent::policy::entries::entries;
use cilium_policy::testing::{Packet, Scene, kernel, reference};
use cilium_policy::{Direction, Repository, SubjectId, Verdict};
use datapath::testing::Judge;

/// Of a scene's packets every seventh is judged, so that more clusters are seen; their kinds and peers are ten and about
/// ten, so all of them have their turn.
const STEP: usize = 7;

/// What was judged.
pub(crate) struct Trial {
    pub(crate) packets: u32,
    pub(crate) disagreement: Option<Disagreement>,
}

/// The first packet the judges were not of one mind about.
pub(crate) struct Disagreement {
    packet: Packet,
    meant: bool,
    resolved: Verdict,
    kernel: Option<datapath::Verdict>,
}

impl Disagreement {
    pub(crate) fn describe(&self, scene: &Scene) -> String {
        let word = |passes| if passes { "passes" } else { "is dropped" };
        let mut text = format!(
            "{:?} {} by the policies; the resolver says {:?}, the kernel {:?}\n",
            self.packet,
            word(self.meant),
            self.resolved,
            self.kernel
        );
        for pod in &scene.pods {
            let labels = pod.labels.canonical();
            text.extend([format!("{} {} {labels:?}\n", pod.identity, pod.address)]);
        }
        for policy in scene.policies.values() {
            text += "---\n";
            text += &serde_norway::to_string(policy).unwrap();
        }
        text
    }
}

/// Has packets of the scene judged. `number` of the scene chooses with which to begin.
pub(crate) fn hear(
    judge: &mut Judge,
    scene: &Scene,
    repository: &mut Repository,
    number: usize,
) -> Trial {
    scene.feed(repository);
    repository.commit();
    judge.set_blocks(repository.prefixes()).unwrap();
    let mut trial = Trial {
        packets: 0,
        disagreement: None,
    };
    let mut at_court = None;
    let packets = scene.packets();
    for packet in packets.iter().skip(number % STEP).step_by(STEP) {
        let subject = SubjectId(u32::try_from(packet.subject).unwrap());
        let state = repository.state(subject).unwrap();
        if at_court != Some(subject) {
            judge.set_policy(&entries(state)).unwrap();
            at_court = Some(subject);
        }
        let meant = reference::allows(scene, packet);
        let resolved = kernel::judge(state, repository.prefixes(), packet);
        let answer = judge.ask(&asked(packet)).unwrap();
        trial.packets += 1;
        if meant != (resolved == Verdict::Allow) || !same(answer, resolved) {
            trial.disagreement = Some(Disagreement {
                packet: *packet,
                meant,
                resolved,
                kernel: answer,
            });
            break;
        }
    }
    trial
}

fn asked(packet: &Packet) -> datapath::testing::Packet {
    datapath::testing::Packet {
        direction: match packet.direction {
            Direction::Ingress => datapath::Direction::Ingress,
            Direction::Egress => datapath::Direction::Egress,
        },
        peer: packet.identity,
        address: packet.address,
        protocol: packet.protocol,
        port: packet.port,
    }
}

/// Besides passing or not, the kind of refusal must be the same: it becomes a drop's reason.
fn same(kernel: Option<datapath::Verdict>, resolved: Verdict) -> bool {
    kernel
        == Some(match resolved {
            Verdict::Allow => datapath::Verdict::Allow,
            Verdict::DefaultDeny => datapath::Verdict::DefaultDeny,
            Verdict::Deny => datapath::Verdict::Deny,
        })
}
