"""What a node's programs are told: pure functions of its number and its directory. JSON where they take YAML."""

import json
from pathlib import Path
from typing import Any

from . import network
from .control_plane import DNS_SERVICE
from .versions import PAUSE_IMAGE

CONTAINERD = """\
version = 2
root = "{directory}/containerd/root"
state = "{directory}/containerd/state"
[grpc]
address = "{directory}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{directory}/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# Where CAP_SYS_RESOURCE is missing, a negative oom_score_adj fails as "can't get final child's PID from pipe".
restrict_oom_score_adj = true
# Not in /run/netns, which all nodes share: so a crash finds the mounts of its node's pods by their path.
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{directory}/cni"
"""


def containerd(directory: Path) -> str:
    return CONTAINERD.format(directory=directory, pause=PAUSE_IMAGE)


def cni(number: int, directory: Path) -> str:
    """A bridge in the node; between nodes the host routes (`network.add_node`)."""
    addresses = {
        "type": "host-local",
        "subnet": network.node_pods(number),
        "dataDir": str(directory / "ipam"),
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": addresses,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "0.4.0", "name": f"n{number}", "plugins": [bridge, ports]})


def kubelet(group: str, directory: Path, *, authority: Path, certificate: Path, key: Path) -> str:
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,  # it refuses version 1 by default since 1.35
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{group}",
        "containerRuntimeEndpoint": f"unix://{directory / 'containerd.sock'}",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True, "cacheTTL": "2m"},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "failSwapOn": False,
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": str(directory / "resolv.conf"),
        "podLogsDir": str(directory / "pod-logs"),
        "volumePluginDir": str(directory / "volume-plugins"),
        # No node ever throws images away or pods out because the machine's disk is nearly full.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        # Tests wait for what a kubelet reports, so it reports often.
        "nodeStatusUpdateFrequency": "4s",
        "nodeLeaseDurationSeconds": 16,
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        "syncFrequency": "10s",
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
    }
    return json.dumps(config, indent=1)


def kube_proxy(name: str, directory: Path) -> str:
    config: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(directory / "proxy.kubeconfig")},
        "clusterCIDR": network.PODS,
        "hostnameOverride": name,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # 0: these limits are the machine's, not a namespace's.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    return json.dumps(config, indent=1)
