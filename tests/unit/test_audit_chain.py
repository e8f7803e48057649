"""Any tampering with any chain is found; an honest one is found honest, erased or not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from noctis.audit_chain import (
    ERASED,
    START,
    Details,
    Finding,
    Link,
    Verifier,
    encode,
    ranges,
    spans,
)

WORD = st.text(max_size=6)
DETAILS = st.builds(
    Details, WORD, WORD, WORD, WORD, st.binary(min_size=16, max_size=16).map(bytes)
)
MOMENT = st.integers(0, 1 << 51).map(
    lambda it: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=it)
)


def linked(links: list[Link]) -> list[Link]:
    """Give entries their numbers and hashes, as the database does."""
    chain: list[Link] = []
    for number, it in enumerate(links, 1):
        numbered = replace(it, number=number)
        before = chain[-1].hash if chain else START
        chain.append(replace(numbered, hash=numbered.sealed(before)))
    return chain


@st.composite
def link(draw: st.DrawFn) -> Link:
    details = draw(DETAILS)
    return Link(
        number=0,
        at=draw(MOMENT),
        details_id=draw(st.integers(1, 99)),
        tenant_key=draw(st.none() | st.integers(1, 9)),
        action=draw(WORD),
        outcome=draw(WORD),
        commitment=details.commitment,
        hash=b"",
        details=details,
    )


CHAIN = st.lists(link(), min_size=1, max_size=8).map(linked)


def verified(chain: list[Link], anchor: bytes | None = None) -> list[Finding]:
    verifier = Verifier(anchor)
    verifier.take(chain)
    return verifier.finish()


@given(CHAIN)
def test_an_honest_chain_is_found_honest_and_each_of_its_heads_is_in_it(
    chain: list[Link],
) -> None:
    assert verified(chain) == []
    for it in chain:
        assert verified(chain, it.hash) == []
    assert verified([], START) == []


CHANGES: dict[str, Callable[[Link, Link], Link]] = {
    "number": lambda it, other: replace(it, number=it.number + 1 + other.number),
    "time": lambda it, _: replace(it, at=it.at + timedelta(microseconds=1)),
    "details' number": lambda it, _: replace(it, details_id=it.details_id + 1),
    "tenant": lambda it, _: replace(it, tenant_key=(it.tenant_key or 0) + 1),
    "no tenant": lambda it, _: replace(it, tenant_key=None),
    "action": lambda it, other: replace(it, action=other.action),
    "outcome": lambda it, other: replace(it, outcome=other.outcome),
    "commitment": lambda it, other: replace(it, commitment=other.commitment),
    "hash": lambda it, other: replace(it, hash=other.hash),
    "details": lambda it, other: replace(it, details=other.details),
    "no details": lambda it, _: replace(it, details=None),
    "both": lambda it, other: replace(it, details=other.details, commitment=other.commitment),
}


@given(CHAIN, st.sampled_from(sorted(CHANGES)), st.data())
def test_a_changed_entry_is_found(chain: list[Link], what: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(chain) - 1))
    [other] = linked([data.draw(link())])
    changed = CHANGES[what](chain[index], other)
    assume(changed != chain[index])
    assert verified([*chain[:index], changed, *chain[index + 1 :]])


@given(CHAIN, st.data())
def test_a_removed_entry_is_found_the_last_ones_by_a_head_that_was_kept(
    chain: list[Link], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(chain) - 1))
    assert verified([*chain[:index], *chain[index + 1 :]], chain[-1].hash)
    if index < len(chain) - 1:
        assert verified([*chain[:index], *chain[index + 1 :]])


@given(CHAIN, st.data())
def test_entries_in_another_order_are_found(chain: list[Link], data: st.DataObject) -> None:
    other = data.draw(st.permutations(chain))
    assume([it.hash for it in other] != [it.hash for it in chain])
    assert verified(other)


@given(CHAIN, link(), st.data())
def test_an_inserted_entry_is_found_however_well_it_fits(
    chain: list[Link], new: Link, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(chain) - 1))
    number = chain[index].number
    before = chain[index - 1].hash if index else START
    fitting = replace(new, number=number)
    fitting = replace(fitting, hash=fitting.sealed(before))
    moved = [replace(it, number=it.number + 1) for it in chain[index:]]
    assert verified([*chain[:index], fitting, *chain[index:]])
    assert verified([*chain[:index], fitting, *moved])


@given(CHAIN, link(), st.data())
def test_a_chain_that_was_made_anew_is_found_by_a_head_that_was_kept(
    chain: list[Link], new: Link, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(chain) - 1))
    forged = linked([*chain[:index], new, *chain[index + 1 :]])
    assume(forged[index].hash != chain[index].hash)
    assert verified(forged) == []
    assert verified(forged, chain[-1].hash)


@given(CHAIN, st.sets(st.integers(1, 8)))
def test_details_may_be_gone_where_an_entry_tells_of_their_erasure_and_nowhere_else(
    chain: list[Link], wanted: set[int]
) -> None:
    gone = {it for it in wanted if it <= len(chain)}
    told = f'{{"numbers":"{ranges(gone)}"}}'
    details = Details("companion", "", "", told, b"s" * 16)
    last = replace(chain[0], action=ERASED, details=details, commitment=details.commitment)
    whole = linked([*chain, last])
    erased = [replace(it, details=None) if it.number in gone else it for it in whole]
    assert verified(erased) == []
    assert {it.number for it in verified(erased[:-1])} == gone
    more = [replace(it, details=None) if it is erased[0] else it for it in erased]
    assert bool(verified(more)) == (1 not in gone)


@given(st.lists(st.none() | WORD, max_size=4), st.lists(st.none() | WORD, max_size=4))
def test_no_two_lists_of_parts_look_alike(one: list[str | None], two: list[str | None]) -> None:
    assert (encode(*one) == encode(*two)) == (one == two)


@given(st.sets(st.integers(1, 40)))
def test_numbers_are_read_as_they_were_written(numbers: set[int]) -> None:
    assert list(spans(ranges(numbers))) == sorted(numbers)
