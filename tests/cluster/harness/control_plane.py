"""etcd, API server, controller manager, scheduler and the cluster's DNS: processes on the host's side of the bridge."""

from pathlib import Path

from . import network
from .binaries import Binaries
from .debian import SYSTEM_PATH
from .kubectl import Client
from .pki import Pki
from .processes import Daemons
from .waiting import GaveUpWaitingError, wait_until
from .work import SetUpError

SERVER = f"https://{network.HOST}:{network.API_PORT}"
NODE_GRACE_PERIOD_S = 20
"""How long a node may be silent before it is NotReady. Kubernetes' default is 50."""
ETCD_URL = f"http://127.0.0.1:{network.ETCD_CLIENT_PORT}"
DNS_SERVICE = "10.96.0.10"
READY_WITHIN_S = 90.0
API_SERVER = "apiserver"
CONTROLLER_MANAGER = "controller-manager"
NAMES = ("coredns", "scheduler", CONTROLLER_MANAGER, API_SERVER, "etcd")
"""In the order in which they are ended."""

COREFILE = """
.:{port} {{
  bind {host}
  errors
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {kubeconfig} test
    pods insecure
  }}
}}
"""


def write_credentials(run: Path, pki: Pki) -> Path:
    """Certificates and kubeconfigs; returns the administrator's."""
    names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.96.0.1", network.HOST)
    pki.issue("apiserver", "kube-apiserver", "kube", names)
    pki.signing_pair("service-accounts")
    users = {
        "admin": ("admin", "system:masters"),
        "controller-manager": ("system:kube-controller-manager", "system"),
        "scheduler": ("system:kube-scheduler", "system"),
    }
    for name, (user, group) in users.items():
        pki.issue(name, user, group)
        path = run / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(pki.kubeconfig(name, SERVER))
    return run / "admin.kubeconfig"


class ControlPlane:
    def __init__(self, run: Path, binaries: Binaries, daemons: Daemons, client: Client) -> None:
        self._run = run
        self._binaries = binaries
        self._daemons = daemons
        self._client = client

    def start(self, pki: Pki) -> None:
        """To the end that the API server is ready and all others are started."""
        self._start("etcd", "etcd", *self._etcd_flags())
        self._start(API_SERVER, "kube-apiserver", *self._api_server_flags(pki))
        self.wait_until_ready()
        self._start(CONTROLLER_MANAGER, "kube-controller-manager", *self._controller_manager_flags(pki))
        scheduler = f"--kubeconfig={self._run / 'scheduler.kubeconfig'}"
        self._start("scheduler", "kube-scheduler", scheduler, "--leader-elect=false", "--secure-port=0")
        self._start_dns()

    def wait_until_ready(self) -> None:
        try:
            wait_until(self._is_ready, "the API server", READY_WITHIN_S)
        except GaveUpWaitingError as gave_up:
            tail = self._daemons.log_tail(API_SERVER)
            raise SetUpError(f"{gave_up}; the end of its log:\n{tail}") from None

    def _is_ready(self) -> bool:
        return self._client.kubectl("get", "--raw", "/readyz", check=False, timeout_s=10).strip() == "ok"

    def _start(self, name: str, program: str, *flags: str) -> None:
        self._daemons.start(name, [self._binaries[program], *flags], path=SYSTEM_PATH)

    def _etcd_flags(self) -> list[str]:
        peer = f"http://127.0.0.1:{network.ETCD_PEER_PORT}"
        return [
            f"--data-dir={self._run / 'etcd'}",
            "--unsafe-no-fsync",  # nobody needs this data after a power failure
            f"--listen-client-urls={ETCD_URL}",
            f"--advertise-client-urls={ETCD_URL}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]

    def _api_server_flags(self, pki: Pki) -> list[str]:
        key, public = pki.key("service-accounts"), pki.key("service-accounts").with_suffix(".pub")
        return [
            f"--etcd-servers={ETCD_URL}",
            f"--bind-address={network.HOST}",
            f"--advertise-address={network.HOST}",
            f"--secure-port={network.API_PORT}",
            f"--cert-dir={self._run / 'pki'}",
            f"--tls-cert-file={pki.certificate('apiserver')}",
            f"--tls-private-key-file={pki.key('apiserver')}",
            f"--client-ca-file={pki.certificate('ca')}",
            f"--service-cluster-ip-range={network.SERVICES}",
            "--allow-privileged=true",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={key}",
            f"--kubelet-client-certificate={pki.certificate('admin')}",
            f"--kubelet-client-key={pki.key('admin')}",
            f"--kubelet-certificate-authority={pki.certificate('ca')}",
            "--kubelet-preferred-address-types=InternalIP",
        ]

    def _controller_manager_flags(self, pki: Pki) -> list[str]:
        return [
            f"--kubeconfig={self._run / 'controller-manager.kubeconfig'}",
            f"--root-ca-file={pki.certificate('ca')}",
            f"--service-account-private-key-file={pki.key('service-accounts')}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--secure-port=0",
            f"--flex-volume-plugin-dir={self._run / 'volume-plugins'}",
            f"--node-monitor-grace-period={NODE_GRACE_PERIOD_S}s",
        ]

    def _start_dns(self) -> None:
        """As a process on the host; a Service without selector gives it its usual address."""
        wait_until(lambda: self._client.get("namespace", "kube-system"), "namespace kube-system", within_s=30)
        corefile = self._run / "Corefile"
        kubeconfig = self._run / "admin.kubeconfig"
        corefile.write_text(COREFILE.format(port=network.DNS_PORT, host=network.HOST, kubeconfig=kubeconfig))
        self._client.apply(_dns_objects())
        self._start("coredns", "coredns", "-conf", str(corefile))


def _dns_objects() -> list[dict[str, object]]:
    protocols = {"dns": "UDP", "dns-tcp": "TCP"}
    meta = {"name": "kube-dns", "namespace": "kube-system"}
    seen = [
        {"name": name, "port": 53, "protocol": protocol, "targetPort": network.DNS_PORT}
        for name, protocol in protocols.items()
    ]
    behind = [{"name": name, "port": network.DNS_PORT, "protocol": protocol} for name, protocol in protocols.items()]
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"clusterIP": DNS_SERVICE, "ports": seen}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "ports": behind,
            "endpoints": [{"addresses": [network.HOST], "conditions": {"ready": True}}],
        },
    ]
