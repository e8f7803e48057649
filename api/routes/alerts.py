"""Alerts of the tenant's devices, who has seen them, and the rules by which they are raised."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Response, Security
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, TypeAdapter

from api import etags
from api.auditing import record
from api.bodies import Body
from api.deps import caller, database
from api.names import NAME
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import documented, invalid
from api.scopes import ALERTS_ACKNOWLEDGE, ALERTS_READ, ALERTS_WRITE
from noctis.alerts import LONGEST_COOLDOWN_S, MOST_LOOKS, UNITS, Name, Rule, RuleError, check
from noctis.identity import Principal
from noctis.storage import alert_rules, alerts
from noctis.storage.alert_rules import Ruled
from noctis.storage.database import Connection, Database

__all__ = ["Alert", "AlertRule", "router", "shown", "shown_rule"]

router = APIRouter(
    prefix="/v1", tags=["alerts"], responses=documented(401, 403, 404, 422, 503, 504)
)
Reader = Annotated[Principal, Security(caller, scopes=[ALERTS_READ])]
Store = Annotated[Database, Depends(database)]
Id = Annotated[int, Field(ge=1, lt=1 << 63)]
Key = Annotated[int, Path(ge=1, lt=1 << 63, examples=[511])]
RuleName = Annotated[Name, Path(examples=["silent"])]
Looks = Annotated[StrictInt, Field(ge=1, le=MOST_LOOKS)]
_BY_ID: Final = TypeAdapter(tuple[Id])


class Alert(BaseModel):
    """Something that its people should know of a device. It is no medical alarm."""

    id: int
    device: str = Field(examples=["bedroom"])
    rule: Name = Field(examples=["silent"])
    state: Literal["open", "cleared"]
    message: str = Field(
        description="what it said when it was raised, in English",
        examples=["bedroom has not been heard of for 10 minutes."],
    )
    details: dict[str, Any] = Field(
        description="what was measured then, and the threshold",
        examples=[{"value": 612, "threshold": 600, "unit": "s"}],
    )
    raised_at: datetime
    cleared_at: datetime | None = Field(description="null while it is open")
    acknowledged_at: datetime | None = Field(description="null: nobody said that he saw it")
    acknowledged_by: str | None = Field(examples=["user:ann@home"])


class AlertPage(BaseModel):
    """Alerts, the newest first."""

    alerts: list[Alert]
    next_page_token: str | None = Field(description="null on the last page")


class RuleSettings(Body):
    """When alerts of a rule are raised and cleared, all of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "enabled": True,
                    "threshold": 900,
                    "raise_after": 2,
                    "clear_after": 2,
                    "cooldown_s": 900,
                }
            ]
        }
    )

    enabled: StrictBool = Field(description="false: open alerts are cleared, none is raised")
    threshold: Annotated[StrictInt, Field(ge=1, le=604800)] = Field(
        description="in the rule's unit: so much, or more, is bad"
    )
    raise_after: Looks = Field(description="bad looks without a good one between them")
    clear_after: Looks = Field(description="good looks without a bad one between them")
    cooldown_s: Annotated[StrictInt, Field(ge=0, le=LONGEST_COOLDOWN_S)] = Field(
        description="seconds after it was cleared in which none is raised again"
    )


class AlertRule(BaseModel):
    """A rule of the tenant's alerts."""

    rule: Name = Field(examples=["silent"])
    version: int = Field(description="rises with each change; 0: as by default", examples=[1])
    changed_at: datetime | None
    unit: str = Field(description="of its threshold", examples=["s"])
    enabled: bool = Field(examples=[True])
    threshold: int = Field(examples=[900])
    raise_after: int = Field(examples=[2])
    clear_after: int = Field(examples=[2])
    cooldown_s: int = Field(examples=[900])


class AlertRules(BaseModel):
    """All rules that there are."""

    rules: list[AlertRule]


@router.get(
    "/alerts", operation_id="listAlerts", summary="List alerts", responses=documented(400)
)
async def list_alerts(
    *,
    who: Reader,
    store: Store,
    device: Annotated[str | None, Query(pattern=NAME, description="of this one alone")] = None,
    rule: Annotated[Name | None, Query(description="of this one alone")] = None,
    state: Annotated[alerts.State | None, Query(description="those alone")] = None,
    acknowledged: Annotated[bool | None, Query(description="those alone, or the rest")] = None,
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> AlertPage:
    """Return the tenant's alerts, the newest first.

    No alert says that all is well: a platform that is down raises none.
    """
    asked = (device, rule, state, acknowledged)
    before = position_of(page_token, _BY_ID, *asked)[0] if page_token else None
    size = min(page_size, MAX_PAGE_SIZE)
    found = await store.read(
        lambda it: alerts.list_of(
            who.tenant,
            it,
            device=device,
            rule=rule,
            state=state,
            acknowledged=acknowledged,
            before=before,
            limit=size + 1,
        )
    )
    page = found[:size]
    token = next_token([page[-1].id], *asked) if len(found) > size else None
    return AlertPage(alerts=[shown(it) for it in page], next_page_token=token)


@router.get("/alerts/{alert:name}", operation_id="getAlert", summary="Get an alert")
async def get_alert(alert: Key, who: Reader, store: Store) -> Alert:
    """Return an alert as it is now."""
    return shown(await store.read(lambda it: alerts.get(who.tenant, it, alert)))


@router.post(
    "/alerts/{alert:name}:acknowledge",
    operation_id="acknowledgeAlert",
    summary="Tell that an alert was seen",
)
async def acknowledge_alert(
    alert: Key,
    who: Annotated[Principal, Security(caller, scopes=[ALERTS_ACKNOWLEDGE])],
    store: Store,
) -> Alert:
    """Keep who saw an alert, and when; apps are told. It clears nothing.

    The first one counts: again, the answer is what is there.
    """

    def work(connection: Connection) -> alerts.Alert:
        after, is_first = alerts.acknowledge(who.tenant, connection, alert, by=who.subject)
        if is_first:
            target = f"{who.tenant}/{after.device}"
            record(who, connection, "alert_acknowledged", target, alert=alert, rule=after.rule)
        return after

    return shown(await store.call(work))


@router.get("/alert-rules", operation_id="listAlertRules", summary="List the rules of alerts")
async def list_rules(who: Reader, store: Store) -> AlertRules:
    """Return all rules, those too that the tenant never changed."""
    found = await store.read(lambda it: alert_rules.list_of(who.tenant, it))
    return AlertRules(rules=[shown_rule(it) for it in found])


@router.get(
    "/alert-rules/{rule:name}", operation_id="getAlertRule", summary="Get a rule of alerts"
)
async def get_rule(rule: RuleName, who: Reader, store: Store, response: Response) -> AlertRule:
    """Return a rule; its `ETag` is what a change of it names."""
    found = await store.read(lambda it: alert_rules.get(who.tenant, it, rule))
    response.headers["ETag"] = _etag(found)
    return shown_rule(found)


@router.put(
    "/alert-rules/{rule:name}",
    operation_id="putAlertRule",
    summary="Change a rule of alerts",
    responses=documented(412, 428),
)
async def put_rule(
    rule: RuleName,
    wanted: RuleSettings,
    who: Annotated[Principal, Security(caller, scopes=[ALERTS_WRITE])],
    store: Store,
    response: Response,
    *,
    if_match: etags.IfMatch = None,
) -> AlertRule:
    """Say when alerts are raised and cleared; `If-Match` names what that was thought out from.

    It holds from the next look on. What an alert that is open said stays as it was.
    """
    new = Rule(**wanted.model_dump())
    try:
        check(rule, new)
    except RuleError as error:
        raise invalid(("body", error.setting), error.message) from error

    def work(connection: Connection) -> Ruled:
        known = alert_rules.get(who.tenant, connection, rule, to_change=True)
        etags.check(if_match, _etag(known))
        made = alert_rules.put(who.tenant, connection, rule, new)
        if made.version != known.version:
            record(who, connection, "alert_rule_set", rule, **asdict(new))
        return made

    made = await store.call(work)
    response.headers["ETag"] = _etag(made)
    return shown_rule(made)


def shown(alert: alerts.Alert) -> Alert:
    """Return an alert as the facade tells it."""
    return Alert(**asdict(alert), state=alert.state)


def shown_rule(known: Ruled) -> AlertRule:
    """Return a rule as the facade tells it."""
    return AlertRule(
        rule=known.name,
        version=known.version,
        changed_at=known.changed_at,
        unit=UNITS[known.name],
        **asdict(known.rule),
    )


def _etag(known: Ruled) -> str:
    return f'"{known.version}"'
