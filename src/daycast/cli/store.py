"""Commands of who runs the forecast store: its schema, seen and brought up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daycast.cli.options import AsJson, Debug, ready

if TYPE_CHECKING:
    from daycast.adapters.store import Schema


def status(as_json: AsJson = False, debug: Debug = False) -> None:
    """Where the forecast store is, and whether its schema is this code's; changes nothing.

    Example:

        daycast store status
    """
    here, _ = ready(None, debug)
    from daycast.adapters import store
    from daycast.cli import console

    told = _told(store.schema(here.store_url))
    console.machine(told) if as_json else console.facts(told)


def upgrade(as_json: AsJson = False, debug: Debug = False) -> None:
    """Bring the forecast store up to this code's schema, as opening it does; done already, it changes nothing.

    Back it up first: `infra/backup` does, and `docs/server.md` has the order of an upgrade.

    Example:

        daycast store upgrade
    """
    here, _ = ready(None, debug)
    from daycast.adapters import store
    from daycast.cli import console

    before, after = (_told(schema) for schema in store.upgrade(here.store_url))
    if as_json:
        console.machine({"before": before, "after": after})
        return
    console.heading("upgraded" if before != after else "up to date already")
    console.facts(after | {"before": before["found"]})


def _told(schema: Schema) -> dict[str, Any]:
    return {"store": schema.url, "found": schema.found, "wanted": schema.wanted, "state": schema.state}
