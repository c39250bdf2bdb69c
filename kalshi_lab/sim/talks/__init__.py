"""What members say to one another: requests for quotes, quotes, block trades; and what clearing members set for their traders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.sim.talks.batches import Batches
from kalshi_lab.sim.talks.blocks import Blocks
from kalshi_lab.sim.talks.clearers import Clearers
from kalshi_lab.sim.talks.communications import Communications
from kalshi_lab.sim.talks.room import Room

if TYPE_CHECKING:
    from starlette.routing import Route

    from kalshi_lab.sim.desk.venue import Venue
    from kalshi_lab.sim.reference.combos import Combos


def routes(venue: Venue, combos: Combos) -> list[Route]:
    """The endpoints; all need a key."""
    communications = Communications(Room(venue))
    batches, blocks = Batches(communications, combos), Blocks(venue)
    return [*communications.routes(), *batches.routes(), *blocks.routes(), *Clearers(venue).routes()]
