"""Every field that the contract names for a public answer is a field of a record, of the right kind, and nested ones are records."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

import pytest

from kalshi_lab import models
from kalshi_lab.models import Record, columns, exchange

CONTRACT = json.loads((Path(__file__).parents[1] / "contract.json").read_text(encoding="utf-8"))
FAMILIES = {
    "exchange",
    "market",
    "events",
    "milestone",
    "multivariate",
    "structured_targets",
    "search",
    "incentive_programs",
    "live_data",
}
HISTORICAL = {
    "get_historical_cutoff",
    "get_historical_markets",
    "get_trades_historical",
    "get_market_candlesticks_historical",
}
RECORDS: dict[str, type[Record]] = {
    "AssociatedEvent": models.AssociatedEvent,
    "CreateMarketInMultivariateEventCollectionResponse": models.ComboMarket,
    "DailySchedule": exchange.Session,
    "EventData": models.Event,
    "EventFeeChange": models.EventFeeChange,
    "EventLiveData": models.EventLiveData,
    "ExchangeIndexStatus": models.ShardStatus,
    "ExchangeStatus": models.ExchangeStatus,
    "ForecastPercentilesPoint": models.ForecastPoint,
    "GetEventMetadataResponse": models.EventMetadata,
    "GetFiltersBySportsResponse": models.SportFilters,
    "GetHistoricalCutoffResponse": models.Cutoff,
    "GetUserDataTimestampResponse": models.UserDataTime,
    "GetWeatherIndexCalibrationsResponse": models.WeatherCalibrations,
    "GetWeatherIndexResponse": models.WeatherIndex,
    "IncentiveProgram": models.IncentiveProgram,
    "LiveData": models.LiveData,
    "MaintenanceWindow": exchange.Maintenance,
    "Market": models.Market,
    "MarketCandlestick": models.Candlestick,
    "MarketCandlestickHistorical": models.Candlestick,
    "MarketMetadata": models.MarketPicture,
    "Milestone": models.Milestone,
    "MultivariateEventCollection": models.Collection,
    "MveSelectedLeg": models.Leg,
    "PercentilePoint": models.ForecastPoint,
    "PlayByPlay": models.PlayByPlay,
    "PlayByPlayPeriodsInner": models.Period,
    "PriceRange": models.PriceRange,
    "Schedule": models.Schedule,
    "ScopeList": models.Scopes,
    "Series": models.Series,
    "SeriesFeeChange": models.SeriesFeeChange,
    "SettlementSource": models.SettlementSource,
    "SportFilterDetails": models.SportFilter,
    "StructuredTarget": models.StructuredTarget,
    "Trade": models.Trade,
    "WeatherIndexCalibration": models.WeatherCalibration,
    "WeatherIndexCalibrationStation": models.CalibratedStation,
    "WeatherIndexPoint": models.WeatherPoint,
    "WeatherIndexStationReading": models.StationReading,
    "WeeklySchedule": exchange.Week,
}
# groups of prices, which candlesticks spread out; books, which are no rows; and tags, which are lists by category
OTHERWISE = {
    "BidAskDistribution",
    "BidAskDistributionHistorical",
    "GetTagsForSeriesCategoriesResponse",
    "MarketCandlesticksResponse",
    "GetEventCandlesticksResponse",
    "MarketOrderbookFp",
    "OrderbookCountFp",
    "PriceDistribution",
    "PriceDistributionHistorical",
}
FLATTENED = {"percentile_points"}
FORMATS = {"fixed_point_dollars": {"price", "money"}, "fixed_point_count": {"count"}, "date-time": {"time"}}
TYPES = {
    "string": {"text", "key"},
    "integer": {"integer", "unix", "milliseconds"},
    "number": {"number"},
    "boolean": {"flag"},
}
Field = dict[str, Any]


def answers() -> set[str]:
    """The models of all public answers, without envelopes: answers that hold one list or object of records, and a cursor."""
    asked = [e for e in CONTRACT["endpoints"] if e["family"] in FAMILIES or e["operation"] in HISTORICAL]
    waiting = {e["response"] for e in asked}
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        fields = CONTRACT["models"].get(name)
        if fields is None or name in found:
            continue
        found.add(name)
        waiting |= {field["ref"] for field in fields.values() if "ref" in field}
    return {name for name in found if not envelope(CONTRACT["models"][name], name)}


def envelope(fields: dict[str, Field], name: str) -> bool:
    inner = {field for field in fields if field not in {"cursor", "next_cursor", "ticker", "milestones", "markets"}}
    known = name in RECORDS or name in OTHERWISE
    return not known and name.endswith("Response") and len(inner) <= 1


def kinds(field: Field) -> set[str]:
    written = "string" if field["type"] in CONTRACT["enums"] else field["type"]
    return FORMATS.get(field.get("format", ""), TYPES.get(written, {"json"}))


def flat(name: str) -> dict[str, Field]:
    """The model's fields, groups that the record spreads out replaced by their own fields."""
    out: dict[str, Field] = {}
    for wire, field in CONTRACT["models"][name].items():
        if wire in RECORDS[name].nested:
            out |= {f"{wire}_{inner}": value for inner, value in CONTRACT["models"][field["ref"]].items()}
        elif wire not in FLATTENED:
            out[wire] = field
    return out


def records_in(annotation: Any) -> set[type]:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return {annotation}
    return {found for inner in typing.get_args(annotation) for found in records_in(inner)}


def test_every_model_of_a_public_answer_is_looked_at() -> None:
    """No answer of the public families holds a model that the tests below do not compare."""
    assert answers() - OTHERWISE == RECORDS.keys()


@pytest.mark.parametrize("name", RECORDS)
def test_every_field_has_its_kind_and_its_meaning(name: str) -> None:
    """API-19: each field of today's model is a column that is read as its format says; what is deprecated says so."""
    table = {wire: column for column in columns(RECORDS[name]) for wire in column.wires}
    fields = {wire: field for wire, field in flat(name).items() if wire not in RECORDS[name].apart}
    assert fields.keys() - table.keys() == set()
    wrong = {wire: table[wire].kind for wire, field in fields.items() if table[wire].kind not in kinds(field)}
    assert wrong == {}
    assert [wire for wire in fields if not table[wire].doc.strip()] == []
    assert [w for w, field in fields.items() if field.get("deprecated") and "deprecated" not in table[w].doc] == []


@pytest.mark.parametrize("name", RECORDS)
def test_nested_fields_are_records(name: str) -> None:
    """API-19: where the contract names the fields of a nested object, it is a record and no dict."""
    record = RECORDS[name]
    names = {wire: column.name for column in columns(record) for wire in column.wires} | {
        one: one for one in record.apart
    }
    for wire, field in flat(name).items():
        if "ref" in field and field["ref"] in RECORDS:
            assert records_in(record.model_fields[names[wire]].annotation) == {RECORDS[field["ref"]]}, wire


@pytest.mark.parametrize("name", RECORDS)
def test_times_in_whole_numbers_are_times(name: str) -> None:
    """Unix seconds and milliseconds are read as times, and no other whole number is."""
    table = {wire: column.kind for column in columns(RECORDS[name]) for wire in column.wires}
    whole = {wire: table[wire] for wire, field in flat(name).items() if field["type"] == "integer"}
    expected = {
        wire: "milliseconds" if wire.endswith("_ms") or wire == "t" else "unix" if wire.endswith("_ts") else "integer"
        for wire in whole
    }
    assert whole == expected
