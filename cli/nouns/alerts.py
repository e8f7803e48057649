"""Alerts and their rules, in this machine's database or behind a facade."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import islice
from typing import Any, Protocol, get_args

from api.routes.alerts import shown, shown_rule
from cli.auditing import record
from cli.facade import Facade
from cli.local import operator
from cli.nouns.documents import Document, Open, plain
from cli.nouns.tenancy import check_own
from noctis.alerts import Name, check
from noctis.errors import ConfigurationError
from noctis.storage import alert_rules, alerts
from noctis.storage.tenants import id_of

__all__ = ["Alerts", "AskedAlerts", "StoredAlerts", "rule_of"]

Changes = Mapping[str, bool | int]
_SETTINGS = ("enabled", "threshold", "raise_after", "clear_after", "cooldown_s")


def rule_of(name: str) -> Name:
    """Return the rule of that name; raise ConfigurationError for none."""
    for known in get_args(Name):
        if name == known:
            found: Name = known
            return found
    message = f"there is no rule {name!r}"
    raise ConfigurationError(message, hint=f"the rules are {', '.join(get_args(Name))}")


class Alerts(Protocol):
    """What can be asked of alerts."""

    def list_of(self, tenant: str, filters: Mapping[str, Any], limit: int) -> list[Document]:
        """Return a tenant's alerts, the newest first."""

    def acknowledge(self, tenant: str, key: int) -> Document:
        """Say that an alert was seen."""

    def rules(self, tenant: str) -> list[Document]:
        """Return a tenant's rules."""

    def change(self, tenant: str, name: Name, changes: Changes) -> Document:
        """Change settings of a rule; what is not named stays."""


class StoredAlerts:
    """Alerts in this machine's database."""

    def __init__(self, opened: Open) -> None:
        self._opened = opened

    def list_of(self, tenant: str, filters: Mapping[str, Any], limit: int) -> list[Document]:
        """Return a tenant's alerts, the newest first."""
        with self._opened() as connection:
            id_of(tenant, connection)
            found = alerts.list_of(tenant, connection, **filters, limit=limit)
        return [plain(shown(it)) for it in found]

    def acknowledge(self, tenant: str, key: int) -> Document:
        """Say that the operator has seen an alert."""
        with self._opened() as connection:
            after, is_first = alerts.acknowledge(tenant, connection, key, by=operator())
            if is_first:
                target, facts = f"{tenant}/{after.device}", {"alert": key, "rule": after.rule}
                record(tenant, connection, "alert_acknowledged", target, **facts)
        document: Document = plain(shown(after))
        return document

    def rules(self, tenant: str) -> list[Document]:
        """Return a tenant's rules."""
        with self._opened() as connection:
            found = alert_rules.list_of(tenant, connection)
        return [plain(shown_rule(it)) for it in found]

    def change(self, tenant: str, name: Name, changes: Changes) -> Document:
        """Change settings of a rule; raise RuleError for numbers that make no sense."""
        with self._opened() as connection:
            known = alert_rules.get(tenant, connection, name, to_change=True)
            new = replace(known.rule, **changes)  # type: ignore[arg-type]  # of these types
            check(name, new)
            made = alert_rules.put(tenant, connection, name, new)
            if made.version != known.version:
                record(tenant, connection, "alert_rule_set", name, **asdict(new))
        document: Document = plain(shown_rule(made))
        return document


class AskedAlerts:
    """Alerts of the tenant whose token a facade is shown."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def list_of(self, tenant: str, filters: Mapping[str, Any], limit: int) -> list[Document]:
        """Return a tenant's alerts, the newest first."""
        check_own(self._facade, tenant)
        found = self._facade.pages("/v1/alerts", "alerts", filters)
        return [plain(it) for it in islice(found, limit)]

    def acknowledge(self, tenant: str, key: int) -> Document:
        """Say that the caller has seen an alert."""
        check_own(self._facade, tenant)
        told: Document = plain(self._facade.ask("POST", f"/v1/alerts/{key}:acknowledge"))
        return told

    def rules(self, tenant: str) -> list[Document]:
        """Return a tenant's rules."""
        check_own(self._facade, tenant)
        return [plain(it) for it in self._facade.ask("GET", "/v1/alert-rules")["rules"]]

    def change(self, tenant: str, name: Name, changes: Changes) -> Document:
        """Change settings of a rule as it is now, by its ETag: no other change is lost."""
        check_own(self._facade, tenant)
        place = f"/v1/alert-rules/{name}"
        answer = self._facade.exchange("GET", place)
        known = answer.json()
        told: Document = plain(
            self._facade.ask(
                "PUT",
                place,
                body={it: known[it] for it in _SETTINGS} | dict(changes),
                headers={"If-Match": answer.headers["ETag"]},
            )
        )
        return told
