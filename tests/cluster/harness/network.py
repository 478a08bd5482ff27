"""A bridge for the host's side, and a network namespace for each node: nothing of it reaches any other network."""

import ipaddress
import json
import socket
import subprocess
from pathlib import Path

from .work import SetUpError

BRIDGE = "br-dgw"
HOST = "10.250.0.1"
"""The API server and the cluster's DNS, as the nodes see them."""
NODES = "10.250.0.0/24"
PODS = "10.244.0.0/16"
SERVICES = "10.96.0.0/16"
API_PORT = 16443
DNS_PORT = 5353
ETCD_CLIENT_PORT, ETCD_PEER_PORT = 12379, 12380
"""On loopback; the nodes cannot reach it."""
BROADEST_CLASH = 9
"""A route at least so narrow that overlaps with ours is somebody's network. A broader one (a VPN's 10.0.0.0/8) only
loses, while the cluster runs, the part that is ours."""
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
FORWARD_RULE = ["FORWARD", "-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT"]


def node_ip(number: int) -> str:
    return f"10.250.0.{number + 10}"


def node_pods(number: int) -> str:
    return f"10.244.{number}.0/24"


def namespace(number: int) -> str:
    return f"dgw-n{number}"


def cable(number: int) -> str:
    """The host's end of a node's cable."""
    return f"dgw-v{number}"


def ip(*words: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SetUpError(f"`ip {' '.join(words)}` failed: {done.stderr.strip()}")
    return done.stdout


def refuse_what_is_taken() -> None:
    """Raises SetUpError if something of this machine has the addresses, ports or names that the cluster needs."""
    ours = [ipaddress.ip_network(network) for network in (NODES, PODS, SERVICES)]
    for route in json.loads(ip("-j", "-4", "route", "show", "table", "all") or "[]"):
        network = ipaddress.ip_network("0.0.0.0/0" if route["dst"] == "default" else route["dst"], strict=False)
        clash = [str(net) for net in ours if net.overlaps(network) and network.prefixlen >= BROADEST_CLASH]
        if clash:
            raise SetUpError(
                f"the cluster needs {clash[0]}, but this machine has a route to {route['dst']} by {route.get('dev')}"
            )
    for port in (ETCD_CLIENT_PORT, ETCD_PEER_PORT):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise SetUpError(
                    f"the cluster's etcd needs port {port} of 127.0.0.1, and another process has it"
                ) from None
    if ip("link", "show", BRIDGE, check=False):
        raise SetUpError(f"there is a network interface {BRIDGE} that no cluster of these tests has made")


def make_bridge() -> bool:
    """Returns whether this host forwarded packets before: to be given to `remove_bridge`."""
    forwarded = FORWARDING.read_text().strip() == "1"
    FORWARDING.write_text("1")
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("addr", "add", f"{HOST}/24", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")
    # Where Docker runs, the host drops what it forwards unless a rule says otherwise.
    subprocess.run(["iptables", "-w", "-I", *FORWARD_RULE], capture_output=True, check=False)
    return forwarded


def remove_bridge(*, forwarded: bool) -> None:
    subprocess.run(["iptables", "-w", "-D", *FORWARD_RULE], capture_output=True, check=False)
    ip("link", "del", BRIDGE, check=False)
    if not forwarded:
        FORWARDING.write_text("0")


def add_node(number: int) -> None:
    inside = namespace(number)
    ip("netns", "add", inside)
    ip("link", "add", cable(number), "type", "veth", "peer", "name", "eth0", "netns", inside)
    ip("link", "set", cable(number), "master", BRIDGE, "up")
    ip("-n", inside, "link", "set", "lo", "up")
    ip("-n", inside, "addr", "add", f"{node_ip(number)}/24", "dev", "eth0")
    ip("-n", inside, "link", "set", "eth0", "up")
    ip("-n", inside, "route", "add", "default", "via", HOST)
    ip("route", "replace", node_pods(number), "via", node_ip(number))
    ip("netns", "exec", inside, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def remove_node(number: int) -> None:
    ip("netns", "del", namespace(number), check=False)
    ip("link", "del", cable(number), check=False)  # the namespace takes its time to take its end along


def cut(number: int) -> None:
    """Nothing comes through a node's cable any more; its processes and its pods run on."""
    ip("link", "set", cable(number), "down")


def mend(number: int) -> None:
    ip("link", "set", cable(number), "up")
