import json

cluster = [server, worker1, worker2]


def kubectl(arguments: str) -> str:
    return server.succeed(f"kubectl {arguments}")


start_all()
for machine in cluster:
    machine.wait_for_unit("k3s")

with subtest("one GlooNetwork becomes Available"):
    server.wait_until_succeeds(
        "kubectl wait --for=condition=Available gloonetwork/default --timeout=10s", timeout=900
    )
    status = json.loads(kubectl("get gloonetwork default -o json"))["status"]
    unhealthy = [c for c in status["components"] if c["health"] != "Healthy"]
    assert not unhealthy, f"Available with unhealthy components: {unhealthy}"

with subtest("every node became Ready through the CNI that the operator installed"):
    for machine in cluster:
        server.wait_until_succeeds(
            f"kubectl wait --for=condition=Ready node/{machine.name} --timeout=5s", timeout=120
        )
        machine.succeed("test -x /opt/cni/bin/cilium-cni")

with subtest("pods reach each other across nodes, by address and by Service"):
    server.wait_until_succeeds("kubectl rollout status daemonset/probe --timeout=10s", timeout=300)
    pods = json.loads(kubectl("get pods -l app=probe -o json"))["items"]
    assert len(pods) == len(cluster), f"one probe per node expected, found {len(pods)}"
    for source in pods:
        for target in pods:
            kubectl(
                f"exec {source['metadata']['name']} -- "
                f"timeout 5 busybox wget -q -O - http://{target['status']['podIP']}:8080/"
            )
        kubectl(f"exec {source['metadata']['name']} -- timeout 5 busybox wget -q -O - http://probe/")

with subtest("the command line tool says the same"):
    server.succeed("gloonet status")
