"""The endpoints that move a member's money about: subaccounts, shards, allocation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.desk import shapes
from kalshi_lab.sim.desk.calls import Body, Call, Reply, Signed, invalid
from kalshi_lab.sim.desk.ledger import CENT, SHARDS, Account, Record
from kalshi_lab.sim.desk.listing import listed
from kalshi_lab.sim.queries import Refused, missing
from kalshi_lab.sim.wire import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import Route

    from kalshi_lab.sim.desk.keys import Ids
    from kalshi_lab.sim.desk.shapes import Json

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MOST_CENTS = 10**12
INSTANCES = ("event_contract", "margined")


class Transfers:
    """Answers about subaccounts and transfers."""

    def __init__(self, ids: Ids) -> None:
        self.ids = ids

    def routes(self) -> list[Route]:
        """The endpoints."""
        one = "/portfolio/intra_exchange_instance_transfers/{transfer_id}"
        listed: list[tuple[str, str, Callable[..., Any], str]] = [
            ("POST", "/portfolio/subaccounts", self.create, "write"),
            ("GET", "/portfolio/subaccounts/balances", self.balances, "read::portfolio_balance"),
            ("GET", "/portfolio/subaccounts/netting", self.netting, "read"),
            ("PUT", "/portfolio/subaccounts/netting", self.change_netting, "write"),
            ("POST", "/portfolio/subaccounts/transfer", self.transfer, "write::transfer"),
            ("GET", "/portfolio/subaccounts/transfers", self.transfers, "read"),
            ("POST", "/portfolio/intra_exchange_instance_transfer", self.move, "write::transfer"),
            ("GET", "/portfolio/intra_exchange_instance_transfers", self.moves, "read"),
            ("GET", one, self.one_move, "read"),
            ("GET", "/portfolio/target_balance_allocation", self.allocation, "read"),
            ("POST", "/portfolio/target_balance_allocation", self.allocate, "write::transfer"),
        ]
        return [Signed(*route) for route in listed]

    # ------------------------------------------------------------------ subaccounts

    def create(self, call: Call) -> Reply:
        """POST /portfolio/subaccounts: for direct members from the tier Advanced."""
        _unrestricted(call)
        if not call.account.direct or call.account.tier == "basic":
            raise Refused(403, "forbidden", "forbidden", "subaccounts are for direct members from the tier advanced")
        number = min(set(range(1, 65)) - call.account.subaccounts)
        if number == 64:
            raise invalid("there are 63 subaccounts already")
        call.body.number("exchange_index", 0, SHARDS - 1)
        call.account.subaccounts.add(number)
        return Reply(201, {"subaccount_number": number})

    def balances(self, call: Call) -> Json:
        """GET /portfolio/subaccounts/balances."""
        return {
            "subaccount_balances": [
                {
                    "subaccount_number": number,
                    "exchange_index": shard,
                    "balance": shapes.balance(call.account.available(number, shard)),
                    "updated_ts": call.now // SECOND,
                }
                for number in sorted(call.account.subaccounts)
                if call.caller.subaccount in {None, number}
                for shard in range(SHARDS)
            ]
        }

    def netting(self, call: Call) -> Json:
        """GET /portfolio/subaccounts/netting."""
        return {
            "netting_configs": [
                {"subaccount_number": number, "enabled": call.account.netting.get(number, False), "exchange_index": 0}
                for number in sorted(call.account.subaccounts)
            ]
        }

    def change_netting(self, call: Call) -> Reply:
        """PUT /portfolio/subaccounts/netting: it is kept and shown; collateral is not netted inside an event here."""
        number = call.caller.allowed(call.body.needed("subaccount_number", 0, 63)) or 0
        if "enabled" not in call.body.values:
            raise invalid("enabled is required")
        call.account.netting[number] = call.body.flag("enabled")
        return Reply(200)

    def transfer(self, call: Call) -> Json:
        """POST /portfolio/subaccounts/transfer."""
        _unrestricted(call)
        body, account = call.body, call.account
        client = _client(body, "client_transfer_id", needed=True)
        cents = body.needed("amount_cents", 1, _MOST_CENTS)
        shard = body.number("exchange_index", 0, SHARDS - 1) or 0
        source, target = (call.caller.allowed(body.needed(f"{end}_subaccount", 0, 63)) or 0 for end in ("from", "to"))
        _once(account, "subaccount_transfers", client)
        _moved(account, (source, shard), (target, shard), cents * CENT)
        made = {
            "transfer_id": client, "from_subaccount": source, "to_subaccount": target, "amount_cents": cents,
            "created_ts": call.now // SECOND, "exchange_index": shard,
        }  # fmt: skip
        account.kept("subaccount_transfers").append(Record(call.now, made, order=client))
        return {}

    def transfers(self, call: Call) -> Json:
        """GET /portfolio/subaccounts/transfers."""
        rows = call.account.kept("subaccount_transfers")
        chosen, cursor = listed(call, "/portfolio/subaccounts/transfers", rows, 1000)
        return {"transfers": [record.body for record in chosen], "cursor": cursor}

    # ------------------------------------------------------------------ shards

    def move(self, call: Call) -> Json:
        """POST /portfolio/intra_exchange_instance_transfer: between shards; the exchange for margin trading is not part of this one."""
        _unrestricted(call)
        body, account = call.body, call.account
        source, target = (body.word(end, INSTANCES) for end in ("source", "destination"))
        if "margined" in {source, target}:
            raise invalid("the margined exchange is not simulated")
        amount, client = body.needed("amount", 1, _MOST_CENTS * 100), _client(body, "client_transfer_id")
        places = [
            (
                call.caller.allowed(body.number(f"{end}_subaccount", 0, 63), 0) or 0,
                body.number(f"{end}_exchange_shard", 0, SHARDS - 1) or 0,
            )
            for end in ("source", "destination")
        ]
        if amount * 100 % account.unit:
            raise invalid("amount must be a whole number of the balance's smallest part")
        if client:
            _once(account, "moves", client)
        _moved(account, places[0], places[1], amount * 100)
        transfer = client or self.ids.new()
        made = {
            "transfer_id": transfer, "source": source, "destination": target, "source_exchange_shard": places[0][1],
            "destination_exchange_shard": places[1][1], "amount": shapes.balance(amount * 100), "status": "complete",
            "created_ts": call.now // SECOND,
        }  # fmt: skip
        account.kept("moves").append(Record(call.now, made, order=transfer))
        return {"transfer_id": transfer}

    def moves(self, call: Call) -> Json:
        """GET /portfolio/intra_exchange_instance_transfers."""
        chosen, cursor = listed(call, "/portfolio/intra_exchange_instance_transfers", call.account.kept("moves"), 500)
        return {"transfers": [record.body for record in chosen], "cursor": cursor}

    def one_move(self, call: Call, transfer_id: str) -> Json:
        """GET /portfolio/intra_exchange_instance_transfers/{transfer_id}."""
        for record in call.account.kept("moves"):
            if record.order == transfer_id:
                return {"transfer": record.body}
        raise missing()

    # ------------------------------------------------------------------ allocation

    def allocation(self, call: Call) -> Json:
        """GET /portfolio/target_balance_allocation: for direct members."""
        _institutional(call.account)
        return {"allocations": call.account.allocation, "resting_margin_reservation": call.account.reservation}

    def allocate(self, call: Call) -> Json:
        """POST /portfolio/target_balance_allocation: shares of the shards in percent, or none; free cash follows every 10 seconds."""
        _institutional(call.account)
        given = call.body.values.get("allocations")
        if not isinstance(given, list) or len(given) > 101:
            raise invalid("invalid allocations")
        shares = [Body(item) for item in given]
        wanted = [
            {
                "exchange_index": share.needed("exchange_index", 0, SHARDS - 1),
                "percent": share.needed("percent", 0, 100),
            }
            for share in shares
        ]
        if wanted and (
            sum(one["percent"] for one in wanted) != 100 or len({one["exchange_index"] for one in wanted}) < len(wanted)
        ):
            raise invalid("the percentages must add up to 100, each shard once")
        reservation = call.body.word("resting_margin_reservation", ("none", "max", "sum"), "sum")
        call.account.allocation, call.account.reservation = wanted, reservation
        call.account.rebalance()
        return {}


def _unrestricted(call: Call) -> None:
    if call.caller.subaccount is not None:
        raise Refused(403, "forbidden", "forbidden", "the key is restricted to one subaccount")


def _institutional(account: Account) -> None:
    if not account.direct:
        code = "target_balance_allocation_is_not_enabled_for_this_user"
        raise Refused(403, code, code.replace("_", " "))


def _client(body: Body, name: str, *, needed: bool = False) -> str:
    value = body.text(name, needed=needed)
    if value and not _UUID.fullmatch(value):
        raise invalid(f"{name} must be a UUID")
    return value


def _once(account: Account, name: str, client: str) -> None:
    if any(record.order == client for record in account.kept(name)):
        raise Refused(409, "already_exists", "already exists")


def _moved(account: Account, source: tuple[int, int], target: tuple[int, int], amount: int) -> None:
    if source == target:
        raise invalid("source and destination are the same")
    if account.available(*source) < amount:
        raise Refused(400, "available_balance_too_low", "available balance too low")
    account.add(*source, -amount)
    account.add(*target, amount)
