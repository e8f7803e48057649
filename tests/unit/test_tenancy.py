"""Rules of the source: whose data a function touches is said first, and by the token alone."""

import ast
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

SERVICES: Final = {
    "works through devices of all tenants, shard by shard": (
        *("void_tokens.forget",),
        *("commands.open_commands", "commands.sent", "commands.expire", "devices.identities"),
        *("configs.to_tell", "configs.told", "rollout_turns.*"),
        *("drift_reports.due", "drift_reports.keep", "drift_reports.counts"),
        *("drift_reports.forget", "marks.*", "night_histograms.forget", "outbox.newest"),
        *("night_histograms.make", "night_histograms.waiting", "reports.store", "retention.*"),
        *("config_reports.store", "alert_watches.*", "alert_events.*", "night_news.*"),
        *("rolling.*", "rollup_notes.*", "settling.unsettled"),
        "roster.*",
    ),
    "takes frames of many devices at once, each with its sender's name": (
        *("admission.admit", "facts.learn", "ingest.ingest"),
    ),
    "takes rows or surrogate keys that were looked up with a tenant, or by such a service": (
        *(
            "agreement.*",
            "commands.order_erase",
            "disposal.rollups",
            "predictions.store",
            "recordings.add",
        ),
        *("recordings.overlapping", "recordings.revise", "recordings.withdraw", "rows.*"),
        *("stretches.context", "timeline.*"),
    ),
    "carries out what was asked for with a tenant's name, or lists it for the platform": (
        *("erasing.*", "erasures.get", "erasures.list_all", "operation_queue.*", "replays.*"),
    ),
    "belongs to the platform and to no tenant": (
        *("accounts.revoke_service", "accounts.set_service", "experiments.*", "jobs.*"),
        *("firmware.*", "rollouts.*", "audit.record_as", "audit.record_platform", "steering.*"),
        *("stress.cancel", "stress.get", "stress.list_all", "stress.order", "stress.sweep"),
        *("predictions.known_model", "predictions.model_id", "tenants.add", "tenants.list_all"),
    ),
    "shows the platform's operator what was done in all tenants, and verifies it": (
        *("audit_reading.*", "audit_proof.*"),
    ),
    "counts for monitors what each tenant has, and shows them to the platform's operator": (
        *("gaps.*", "standing.*"),
        "health.*",
    ),
    "is for the broker, which knows all accounts, or for who logs in": (
        *("accounts.active", "accounts.authenticate", "void_tokens.list_all"),
        *("quotas.list_all", "revocations.*"),
    ),
    "knows nothing of what the tables hold": (
        *("arrays.*", "copying.copied", "database.ping", "dumps.server_major"),
        *(
            "engine.after_commit",
            "engine.reading",
            "engine.transaction",
            "guards.*",
            "inventory.take",
        ),
        *("locks.held", "policies.*"),
        "timescale.*",
    ),
}
"""Storage functions whose first argument is no tenant, by why that is right."""

FACADE: Final = {
    "accounts.authenticate": "who logs in is known by an account's name and password",
    "database.ping": "asks for a sign of life",
    "quotas.list_all": "how much each tenant may ask for is read once for all requests",
    "void_tokens.list_all": "whose tokens are void is read once for all requests",
    "experiments.get": "experiments are the platform's; their scopes are its role's alone",
    "experiments.list_all": "the same",
    "experiments.stop": "the same",
    "predictions.model_id": "models are the platform's",
    "audit.record_as": "an author bears the tenant of the caller",
    "ingest.ingest": "each frame bears the name of the caller's tenant",
}
"""What the facade calls of them, and why."""

PLATFORM: Final = {
    "routes/experiments.py": "experiments are the platform's, for its own devices or all",
}
"""Modules of the facade that ask for the database of all tenants, and why."""

LOGIN: Final = {
    "logins.py": "who has no token yet names a tenant himself, and sees nothing else of it",
}
"""Modules of the facade that work for a tenant before there is a Principal, and why."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(folder: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield str(path.relative_to(ROOT / folder)), ast.parse(path.read_text())


def parameters(function: Function | ast.Lambda) -> dict[str, str]:
    """Return the annotations of a function's parameters by their names, in order."""
    of = function.args
    every = [*of.posonlyargs, *of.args, *of.kwonlyargs]
    return {it.arg: ast.unparse(it.annotation) if it.annotation else "" for it in every}


def storage_functions() -> dict[str, list[str]]:
    """Return the public functions that get a connection: their parameters by their name."""
    found = {}
    for path, module in parsed("noctis/storage"):
        for node in module.body:
            if isinstance(node, Function) and not node.name.startswith("_"):
                of = parameters(node)
                if {"Connection", "Engine"} & set(of.values()):
                    found[f"{path.removesuffix('.py')}.{node.name}"] = list(of)
    return found


FUNCTIONS: Final = storage_functions()
TENANT_FIRST: Final = {
    name for name, of in FUNCTIONS.items() if of[0] in {"tenant", "tenant_id"}
}


def test_a_storage_function_takes_the_tenant_first_or_is_listed_with_a_reason() -> None:
    patterns = [pattern for listed in SERVICES.values() for pattern in listed]
    others = FUNCTIONS.keys() - TENANT_FIRST
    unlisted = [it for it in others if not any(fnmatchcase(it, p) for p in patterns)]
    assert not unlisted, "take the tenant as the first argument"
    stale = [p for p in patterns if not any(fnmatchcase(it, p) for it in others)]
    assert not stale, "take these out of the list"
    assert len(TENANT_FIRST) > 30


def test_whoever_takes_a_tenant_takes_it_first() -> None:
    late = {name for name, of in FUNCTIONS.items() if "tenant" in of[1:]}
    assert late == {"guards.enter"}


class Calls(ast.NodeVisitor):
    """The calls of storage functions in a module of the facade, each with its first argument.

    ``wrong`` are calls whose tenant is not that of a caller, a parameter of type Principal.
    """

    def __init__(self, module: ast.Module, aliases: AbstractSet[str]) -> None:
        self.called: set[str] = set()
        self.wrong: list[str] = []
        self._names: dict[str, str] = {}
        self._aliases = aliases
        self._scopes: list[Mapping[str, str]] = []
        self.visit(module)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for name in node.names:
            if node.module == "noctis.storage":
                self._names[name.asname or name.name] = name.name
            elif (node.module or "").startswith("noctis.storage."):
                module = str(node.module).rpartition(".")[2]
                self._names[name.asname or name.name] = f"{module}.{name.name}"

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, Function | ast.Lambda):
            self._scopes.append(parameters(node))
            self.generic_visit(node)
            self._scopes.pop()
        elif isinstance(node, ast.Call) and self._function(node.func):
            if not (node.args and self._is_callers(node.args[0])):
                self._refuse(self._function(node.func), node)
            for part in (*node.args, *node.keywords):
                self.visit(part)
        elif isinstance(node, ast.Name | ast.Attribute) and self._function(node):
            self._refuse(self._function(node), node)  # handed on, who knows with what
        else:
            super().visit(node)

    def _function(self, node: ast.expr) -> str:
        """Return the storage function that an expression names, else an empty text."""
        head, _, tail = ast.unparse(node).partition(".")
        name = ".".join(filter(None, (self._names.get(head, ""), tail)))
        if name in FUNCTIONS:
            self.called.add(name)
            return name
        return ""

    def _refuse(self, name: str, node: ast.expr) -> None:
        if name in TENANT_FIRST:
            self.wrong.append(f"line {node.lineno}: {ast.unparse(node)}")

    def _is_callers(self, node: ast.expr) -> bool:
        if not (isinstance(node, ast.Attribute) and node.attr == "tenant"):
            return False
        if not isinstance(node.value, ast.Name):
            return False
        for scope in reversed(self._scopes):
            if node.value.id in scope:
                kind = scope[node.value.id]
                return "Principal" in kind or kind in self._aliases
        return False


@cache
def principal_aliases() -> frozenset[str]:
    """Return names such as ``Writer`` in ``Writer = Annotated[Principal, ...]``."""
    return frozenset(
        ast.unparse(node.targets[0])
        for _, module in parsed("api")
        for node in module.body
        if isinstance(node, ast.Assign) and "Annotated[Principal" in ast.unparse(node.value)
    )


MODULES: Final = {
    path: module for path, module in parsed("api") if not path.startswith("internal/")
}
"""The facade's. ``/internal`` is for the platform's operators, who see all tenants."""


@pytest.mark.parametrize("path", sorted(MODULES.keys() - LOGIN - PLATFORM.keys()))
def test_the_facade_takes_the_tenant_from_the_principal_alone(path: str) -> None:
    assert not Calls(MODULES[path], principal_aliases()).wrong


def test_what_the_facade_calls_without_a_tenant_is_listed_with_a_reason() -> None:
    aliases = principal_aliases()
    called = set().union(*(Calls(module, aliases).called for module in MODULES.values()))
    assert called - TENANT_FIRST == FACADE.keys()
    assert len(called & TENANT_FIRST) >= 5


def test_who_asks_for_the_database_of_all_tenants_is_listed_with_a_reason() -> None:
    asking = {
        path
        for path, module in MODULES.items()
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "Depends"
        and any(ast.unparse(it).endswith("platform") for it in node.args)
    }
    assert asking == PLATFORM.keys()


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("def f(who: Principal): devices.get(who.tenant, it, name)", False),
        ("def f(who: Writer):\n def work(it): return devices.get(who.tenant, it, name)", False),
        ("def f(who: Principal, tenant: str): devices.get(tenant, it, name)", True),
        ("def f(who: Body): devices.get(who.tenant, it, name)", True),
        ("def f(who: Principal): devices.get('home', it, name)", True),
        ("def f(who: Principal): return lambda who: devices.get(who.tenant, it, name)", True),
        ("def f(who: Principal): devices.get(connection=it, tenant=who.tenant)", True),
        ("def f(who: Principal): store.call(partial(devices.get, 'home'))", True),
    ],
)
def test_the_rule_knows_a_wrong_tenant_when_it_sees_one(source: str, wrong: bool) -> None:  # noqa: FBT001
    module = ast.parse(f"from noctis.storage import devices\n{source}\n")
    assert bool(Calls(module, {"Writer"}).wrong) == wrong
