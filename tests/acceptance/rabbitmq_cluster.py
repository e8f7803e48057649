"""Three RabbitMQ nodes on loopback, with all they need of their own."""

import json
import os
import queue
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import paho.mqtt.client as paho

from broker.rabbitmq import definitions
from noctis.childproc import Child, User, child_user, free_port
from tests.integration.broker_fixtures import Client

SERVER: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
SETTINGS: Final = Path(__file__).parents[2] / "docs" / "rabbitmq.conf"
STARTS_WITHIN_S: Final = 240.0
NODES: Final = 3


def is_installed() -> bool:
    return SERVER.exists() and shutil.which("epmd") is not None


class Node:
    """One node; ``kill`` ends it at once, as a power cut would."""

    def __init__(self, name: str, folder: Path, user: User | None) -> None:
        self.name = name
        self.port, self.amqp_port, self.peer_port = free_port(), free_port(), free_port()
        self.folder = folder / name
        self.folder.mkdir()
        self._user = user
        if user is not None:
            os.chown(self.folder, user.uid, user.gid)

    def start(self, cluster: Sequence[str], settings: Path, epmd: int, cookie: str) -> None:
        plugins = self.folder / "plugins"
        plugins.write_text("[rabbitmq_mqtt,rabbitmq_auth_backend_http].\n")
        config = self.folder / "rabbitmq.conf"
        config.write_text(self._config(settings, cluster))
        erlang = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false +S 1:1"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "RUNNING_UNDER_SYSTEMD": "1",  # the script becomes the node: one process id
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_DIST_PORT": str(self.peer_port),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{erlang} -setcookie {cookie}",
        }
        self.child = Child(
            [str(SERVER)],
            log=self.folder / "log",
            user=self._user,
            environment=environment,
        )

    def _config(self, settings: Path, cluster: Sequence[str]) -> str:
        own = [
            f"listeners.tcp.1 = 127.0.0.1:{self.amqp_port}",
            f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.port}",
            "cluster_formation.peer_discovery_backend = rabbit_peer_discovery_classic_config",
            *(
                f"cluster_formation.classic_config.nodes.{number} = {name}"
                for number, name in enumerate(cluster, 1)
            ),
        ]
        return f"{settings.read_text()}\n" + "".join(f"{line}\n" for line in own)

    def admits(self, username: str) -> bool:
        """Tell whether an account can connect: the cluster knows who is connected by now."""
        assert self.child.exit_code is None, self.child.tail(30)
        try:
            with Client(self.port, username, version=paho.MQTTv311) as client:
                return client.refused is None
        except (OSError, queue.Empty):
            return False

    def kill(self) -> None:
        self.child.kill()


class Cluster:
    """The nodes, and what they listen on: ``127.0.0.1:1,127.0.0.1:2,…``."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes

    @property
    def addresses(self) -> str:
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)


@contextmanager
def running_cluster(
    folder: Path, services: Mapping[str, str], *, authority: int
) -> Iterator[Cluster]:
    """Run a cluster that knows the services and asks the authority on a port about devices.

    It ends with the block, by process ids.
    """
    user = child_user("rabbitmq")
    known = folder / "definitions.json"
    known.write_text(json.dumps(definitions(services)))
    line = f"load_definitions = {known}"
    text = re.sub(r"(?m)^load_definitions = .*", line, SETTINGS.read_text())
    text = text.replace("http://127.0.0.1:8085/", f"http://127.0.0.1:{authority}/")
    settings = folder / "common.conf"
    settings.write_text(text)
    settings.chmod(0o644)
    probe = min(services)
    names = [f"r{number}@localhost" for number in range(1, NODES + 1)]
    nodes = [Node(name, folder, user) for name in names]
    epmd, cookie = free_port(), secrets.token_hex(16)
    with ExitStack() as stack:
        mapper = [shutil.which("epmd") or "epmd", "-port", str(epmd), "-address", "127.0.0.1"]
        daemon = Child(mapper, log=folder / "epmd.log", user=user)
        stack.callback(daemon.kill)
        deadline = time.monotonic() + STARTS_WITHIN_S
        # The first one alone: the client ids' consensus is not founded by several at once.
        for group in (nodes[:1], nodes[1:]):
            for node in group:
                node.start(names, settings, epmd, cookie)
                stack.callback(node.kill)
            while not all(node.admits(probe) for node in group):
                assert time.monotonic() < deadline, [node.child.tail(30) for node in group]
                time.sleep(0.2)
        yield Cluster(nodes)
