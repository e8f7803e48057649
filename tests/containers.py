"""Services of ``docker-compose.yml`` as processes in namespaces of their own, without Docker.

Each has what its container would have: a root that cannot be written to but for its volumes
and tmpfs, its own network and names of the others, the image's user without any capability,
the variables, secrets, command and healthcheck of the file. The root's content is this
machine's, or with ``NOCTIS_TEST_IMAGE`` the folder that ``tests.image_root`` made. Needs root
and ``ip``.
"""

import os
import pwd
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, Self

from tests import dockerfile
from tests.compose import secrets_of
from tests.dockerfile import ROOT

__all__ = ["Container", "Host", "can_contain"]

HERE: Final = Path("/")
SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
WITHIN_S: Final = 60.0
OTHERS: Final = ("device",)
"""Names in the network of what is no service of the file."""


def run(*arguments: object, within_s: float = WITHIN_S) -> None:
    subprocess.run([str(it) for it in arguments], check=True, timeout=within_s)


def can_contain() -> bool:
    """Tell whether this process may make namespaces and mount in them."""
    if os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("setpriv")):
        return False
    command = ["unshare", "-mn", "mount", "-t", "tmpfs", "noctis-test", "/mnt"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


DATABASE: Final = """
export PATH={programs}:$PATH PGDATA=/var/lib/postgresql/data
if [ ! -s $PGDATA/PG_VERSION ]; then
  initdb --encoding=UTF8 --locale=C --username=$POSTGRES_USER \\
    --pwfile=$POSTGRES_PASSWORD_FILE --auth=scram-sha-256 >/tmp/log
  echo "CREATE DATABASE $POSTGRES_DB" | postgres --single postgres >>/tmp/log
  echo "host all all all scram-sha-256" >>$PGDATA/pg_hba.conf
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories= -c fsync=off {options}
"""


class Host:
    """A network of containers, their volumes and secrets, from entry to exit."""

    def __init__(self, folder: Path, compose: Mapping[str, Any]) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.services: Mapping[str, Any] = compose["services"]
        self.secrets: Mapping[str, Any] = compose["secrets"]
        given = os.environ.get("NOCTIS_TEST_IMAGE")
        self.image_root = Path(given) if given else HERE
        self._name = f"noctis{token_hex(3)}"
        self._containers: list[Container] = []
        names = (*self.services, *OTHERS)
        self._addresses = {name: f"10.77.0.{n}" for n, name in enumerate(names, 10)}

    @property
    def image(self) -> dockerfile.Image:
        """What the image sets; on this machine's root the project's own programs come first."""
        own = Path(sys.executable).parent
        path = SYSTEM_PATH if self.image_root != HERE else f"{own}:{SYSTEM_PATH}"
        return dockerfile.final(path)

    def __enter__(self) -> Self:
        run("ip", "netns", "add", self._name)
        run("ip", "-n", self._name, "link", "add", "hub", "type", "bridge")
        run("ip", "-n", self._name, "link", "set", "hub", "up")
        hosts = "".join(f"{it} {name}\n" for name, it in self._addresses.items())
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
        return self

    def __exit__(self, *_: object) -> None:
        for container in reversed(self._containers):
            container.end()
        for container in self._containers:
            run("ip", "netns", "del", container.netns)
        run("ip", "netns", "del", self._name)

    def container(self, name: str, **changed: Any) -> "Container":  # noqa: ANN401 - YAML
        """Return a service's container, with what stands in for parts of its definition."""
        made = Container(self, name, {**self.services.get(name, {}), **changed})
        self._connect(made, len(self._containers))
        self._containers.append(made)
        return made

    def database(self, programs: Path) -> "Container":
        """Return PostgreSQL in place of TimescaleDB's image, with what its entry point does."""
        owner = pwd.getpwnam("postgres")
        folder = self.volume("database", "")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        folder.chmod(0o700)
        _, *settings = self.services["database"]["command"]
        pairs = zip(settings[::2], settings[1::2], strict=True)
        options = " ".join(f"{flag} {it}" for flag, it in pairs if "timescaledb" not in it)
        script = DATABASE.format(programs=programs, options=options)
        return self.container(
            "database",
            user=f"{owner.pw_uid}:{owner.pw_gid}",
            command=["sh", "-euc", script],
            tmpfs=["/tmp"],  # noqa: S108 - the container's own
        )

    def volume(self, name: str, target: str) -> Path:
        """Return the folder of a volume; a new one is its first container's folder's."""
        folder = self.folder / "volumes" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            if target in dockerfile.image_folders():
                os.chown(folder, *self.image.user)
                folder.chmod(0o700)
        return folder

    def _connect(self, container: "Container", number: int) -> None:
        netns, line = container.netns, f"line{number}"
        run("ip", "netns", "add", netns)
        link = ("link", "add", "eth0", "type", "veth", "peer", "name", line)
        run("ip", "-n", netns, *link, "netns", self._name)
        run("ip", "-n", self._name, "link", "set", line, "master", "hub", "up")
        address = f"{self._addresses[container.name]}/24"
        run("ip", "-n", netns, "address", "add", address, "dev", "eth0")
        run("ip", "-n", netns, "link", "set", "eth0", "up")
        run("ip", "-n", netns, "link", "set", "lo", "up")


class Container:
    """One service: ``start`` or ``run`` it, ask ``healthy``, and ``stop`` it."""

    def __init__(self, host: Host, name: str, definition: Mapping[str, Any]) -> None:
        self.host = host
        self.name = name
        self.definition = definition
        self.netns = f"noctis-{token_hex(4)}"
        self.log = host.folder / f"{name}-{self.netns[-4:]}.log"
        self.is_ours = "build" in definition
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def user(self) -> tuple[int, int]:
        """Of its processes."""
        given = self.definition.get("user")
        if given is None:
            return self.host.image.user
        uid, _, gid = given.partition(":")
        return int(uid), int(gid)

    @property
    def environment(self) -> dict[str, str]:
        """The image's, then the file's."""
        image = self.host.image.environment if self.is_ours else {"PATH": SYSTEM_PATH}
        given = self.definition.get("environment", {})
        return image | {name: str(it) for name, it in given.items()}

    @property
    def command(self) -> list[str]:
        """What it runs: the entry point and the command."""
        return [*self.definition.get("entrypoint", ()), *self.definition.get("command", ())]

    def start(self) -> None:
        """Start its command, and do not wait."""
        assert self._process is None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._inside(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def run(self, *arguments: str, within_s: float = WITHIN_S) -> str:
        """Run its command, or its entry point with ``arguments``, to its end; what it says."""
        command = [*self.definition["entrypoint"], *arguments] if arguments else self.command
        inside = self._inside(command)
        done = subprocess.run(inside, check=False, capture_output=True, timeout=within_s)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode()

    def healthy(self) -> bool:
        """Run its healthcheck as the file has it, where its service runs."""
        assert self._process is not None
        assert self._process.poll() is None, self.tail()
        check = self.definition["healthcheck"]
        word, *command = check["test"]
        assert word == "CMD"
        enter = ["nsenter", "--target", str(self._process.pid), "--mount", "--net", "--root"]
        arguments = [*enter, *self._as_user(command)]
        seconds = float(check["timeout"].removesuffix("s"))
        try:
            done = subprocess.run(
                arguments, check=False, capture_output=True, timeout=seconds * 4
            )
        except subprocess.TimeoutExpired:  # of a busy machine
            return False
        return done.returncode == 0

    def stop(self) -> int:
        """Tell it to end, and return its exit code; TimeoutExpired: it took too long."""
        assert self._process is not None
        self._process.terminate()
        grace = str(self.definition["stop_grace_period"])
        return self._process.wait(float(grace.removesuffix("s")))

    def end(self) -> None:
        """End whatever still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def resident_mib(self) -> float:
        """Return the memory that its processes have in use; what they share counts again."""
        told = subprocess.run(
            ["ip", "netns", "pids", self.netns], check=True, capture_output=True, text=True
        ).stdout
        pages = [int(Path(f"/proc/{it}/statm").read_text().split()[1]) for it in told.split()]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def tail(self) -> str:
        """Return the end of what it has said."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def _inside(self, command: Sequence[str]) -> list[str]:
        script = "\n".join(["set -eu", *self._mounts(), shlex.join(self._entered(command))])
        return ["ip", "netns", "exec", self.netns, "sh", "-c", script]

    def _entered(self, command: Sequence[str]) -> list[str]:
        return ["exec", "chroot", str(self._root), *self._as_user(command)]

    def _as_user(self, command: Sequence[str]) -> list[str]:
        uid, gid = self.user
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        drop = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
        return [
            *("setpriv", f"--reuid={uid}", f"--regid={gid}", *drop),
            *("env", "-i", *variables, *command),
        ]

    @property
    def _root(self) -> Path:
        return self.host.folder / "root"

    def _mounts(self) -> list[str]:
        """The lines of a shell that make its root; what they mount ends with the process."""
        lower = self.host.image_root if self.is_ours else HERE
        upper = self.host.folder / f"upper-{self.netns}"
        layers = f"lowerdir={lower},upperdir={upper}/of,workdir={upper}/work"
        lines = [f"mkdir -p {self._root} {upper}", f"mount -t tmpfs noctis-test {upper}"]
        lines += [
            f"mkdir {upper}/of {upper}/work",
            f"mount -t overlay noctis-test -o {layers} {self._root}",
            *self._reachable(lower),
            *self._bind("/dev", "/dev"),
            f"mount -t proc proc {self._root}/proc",
            *self._bind(str(self.host.folder / "hosts"), "/etc/hosts", read_only=True),
        ]
        for entry in self.definition.get("tmpfs", ()):
            path, _, options = entry.partition(":")
            lines.append(f"mkdir -p {self._root}{path}")
            chosen = f"-o {options}" if options else "-o mode=1777"
            lines.append(f"mount -t tmpfs {chosen} noctis-test {self._root}{path}")
        for entry in self.definition.get("volumes", ()):
            lines += self._mounted(entry)
        for target, source in secrets_of(self.definition).items():
            file = self.host.project / self.host.secrets[source]["file"]
            lines += self._bind(str(file), f"/run/secrets/{target}", read_only=True)
        if self.definition.get("read_only"):
            lines.append(f"mount -o remount,bind,ro {self._root}")
        return lines

    def _reachable(self, lower: Path) -> list[str]:
        """Let the image's user come to the project's files, and have its folders."""
        if lower != HERE:
            return []
        parents = {it for path in (ROOT, Path(sys.prefix)) for it in path.parents}
        lines = [f"chmod a+rx {self._root}{it}" for it in sorted(parents)]
        uid, gid = self.host.image.user
        folders = [self.host.image.folder, *sorted(dockerfile.image_folders())]
        install = f"install -d -o {uid} -g {gid} -m 700"
        home = f"{self._root}{self.host.image.folder}"
        return [
            *lines,
            *(f"mkdir -p {home}", f"mount -t tmpfs noctis-test {home}"),
            *(f"{install} {self._root}{it}" for it in folders),
            f"mount -o remount,ro {home}",
        ]

    def _mounted(self, entry: str) -> list[str]:
        source, target, *mode = entry.split(":")
        is_here = source.startswith(".")
        folder = ROOT / source if is_here else self.host.volume(source, target)
        return self._bind(str(folder), target, read_only=mode == ["ro"])

    def _bind(self, source: str, target: str, *, read_only: bool = False) -> list[str]:
        there = f"{self._root}{target}"
        begin = (
            f"mkdir -p {there}"
            if Path(source).is_dir()
            else f"mkdir -p {Path(there).parent}; touch {there}"
        )
        lines = [begin, f"mount --rbind {source} {there}"]
        return [*lines, f"mount -o remount,bind,ro {there}"] if read_only else lines
