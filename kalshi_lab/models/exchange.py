"""The exchange itself: whether it trades, when it is open, and where live data end."""

from __future__ import annotations

from typing import Annotated

from kalshi_lab.models.fields import Flag, Integer, Json, Record, Text, Time, doc


class ShardStatus(Record):
    """Whether one shard of the exchange is up and trading."""

    exchange_index: Integer = doc("the shard")
    description: Text = doc("what trades on it")
    exchange_active: Flag = doc("whether it is up at all")
    trading_active: Flag = doc("whether orders are matched")
    intra_exchange_transfers_active: Flag = doc("whether money moves to and from it")


class ExchangeStatus(Record):
    """Whether the exchange is up and trading, as a whole and shard by shard."""

    exchange_active: Flag = doc("whether it is up at all")
    trading_active: Flag = doc("whether orders are matched")
    intra_exchange_transfers_active: Flag = doc("whether money moves between shards")
    exchange_estimated_resume_time: Time = doc("when it is expected back, during a halt")
    exchange_index_statuses: Annotated[tuple[ShardStatus, ...] | None, Json] = doc(
        "the same for each shard; the fields above are those of shard 0"
    )

    def __repr__(self) -> str:
        def word(flag: bool | None, yes: str, no: str) -> str:
            return "unknown" if flag is None else yes if flag else no

        return f"<ExchangeStatus {word(self.exchange_active, 'up', 'down')}, trading {word(self.trading_active, 'on', 'off')}>"


class Session(Record):
    """One opening of a weekday, in the exchange's own clock (Eastern time), as HH:MM text."""

    open_time: Text = doc("opens")
    close_time: Text = doc("closes")


class Week(Record):
    """The sessions of each weekday over a span of dates."""

    start_time: Time = doc("valid from")
    end_time: Time = doc("valid until")
    monday: Annotated[tuple[Session, ...] | None, Json] = doc("sessions")
    tuesday: Annotated[tuple[Session, ...] | None, Json] = doc("sessions")
    wednesday: Annotated[tuple[Session, ...] | None, Json] = doc("sessions")
    thursday: Annotated[tuple[Session, ...] | None, Json] = doc("sessions")
    friday: Annotated[tuple[Session, ...] | None, Json] = doc("sessions")
    saturday: Annotated[tuple[Session, ...] | None, Json] = doc("sessions")
    sunday: Annotated[tuple[Session, ...] | None, Json] = doc("sessions")


class Maintenance(Record):
    """A planned pause."""

    start_datetime: Time = doc("begins")
    end_datetime: Time = doc("ends")


class Schedule(Record):
    """Regular sessions and planned pauses."""

    standard_hours: Annotated[tuple[Week, ...] | None, Json] = doc("regular sessions")
    maintenance_windows: Annotated[tuple[Maintenance, ...] | None, Json] = doc("planned pauses")


class Cutoff(Record):
    """Where live data end: older rows are served by the historical endpoints only."""

    market_settled_ts: Time = doc("markets settled before, and their candlesticks")
    trades_created_ts: Time = doc("trades before")
    orders_updated_ts: Time = doc("own finished orders before")
    market_positions_last_updated_ts: Time = doc("own settled positions before")

    def __repr__(self) -> str:
        return f"<Cutoff markets {self.market_settled_ts}, trades {self.trades_created_ts}>"


class UserDataTime(Record):
    """Up to when orders, fills, positions and balances are known to be complete in the exchange's answers."""

    as_of_time: Time = doc("complete up to here")
