//! What every cluster must pass to be called Kubernetes: the specs of all groups that are marked `[Conformance]`.

use super::suite::{LeftOut, Suite};

const NGINX: &str = "its pods run nginx' image, which cannot be had";
const OLDER: &str = "its pods run agnhost of an earlier release, which the lab does not build";

/// Those of sig-network are in the suite services.
pub const SUITE: Suite = Suite {
    name: "certified",
    focus: r"\[Conformance\]",
    workers: 2,
    left_out: &[
        LeftOut::of("[sig-network]", "run by the suite services"),
        LeftOut::of(
            "Sample API Server",
            "its pods run the images of the sample API server and etcd, which cannot be had",
        ),
        LeftOut::of(
            "should test the lifecycle of a ReplicationController",
            NGINX,
        ),
        LeftOut::of("pod generation should start at 1", NGINX),
        LeftOut::of("StatefulSet Basic StatefulSet functionality", NGINX),
        LeftOut::of("should run the lifecycle of a Deployment", OLDER),
        LeftOut::of("RecreateDeployment should delete old pods", OLDER),
        LeftOut::of(
            "should update pod when spec was updated and update strategy is RollingUpdate",
            OLDER,
        ),
        LeftOut::of(
            "should run through the lifecycle of Pods and PodStatus",
            OLDER,
        ),
        LeftOut::of(
            "should not allow privilege escalation when false",
            "its pods run the image nonewprivs, which cannot be had",
        ),
        LeftOut::of(
            "read only busybox container should not write to root filesystem",
            "it reads busybox' own words for a refused write, and the shell of the image here is Debian's",
        ),
        LeftOut::of(
            "ImageVolume",
            "it mounts the image kitten, which cannot be had",
        ),
        LeftOut::of(
            "Update Demo",
            "its pods run the image nautilus, which cannot be had",
        ),
    ],
};
