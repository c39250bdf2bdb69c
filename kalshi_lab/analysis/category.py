"""Categories by name: the exchange's own words, short ones for them, and a guess from a ticker where nothing better is known."""

from __future__ import annotations

from kalshi_lab.errors import one_of

OTHER = "Other"
CATEGORIES = (
    "Climate and Weather", "Companies", "Crypto", "Economics", "Education", "Elections", "Entertainment", "Financials", "Health",
    "Mentions", "Politics", "Science and Technology", "Social", "Sports", "Transportation", "World",
)  # fmt: skip
ALIASES = {
    "ai": "Science and Technology", "bitcoin": "Crypto", "business": "Companies", "climate": "Climate and Weather",
    "econ": "Economics", "election": "Elections", "ent": "Entertainment", "finance": "Financials", "markets": "Financials",
    "movies": "Entertainment", "pol": "Politics", "science": "Science and Technology", "sport": "Sports",
    "tech": "Science and Technology", "weather": "Climate and Weather",
}  # fmt: skip
# how tickers of a category begin, after the KX that the exchange puts before most; the longest that fits decides
PREFIXES = {
    "HIGH": "Climate and Weather", "LOW": "Climate and Weather", "RAIN": "Climate and Weather", "SNOW": "Climate and Weather",
    "HURR": "Climate and Weather", "TEMP": "Climate and Weather", "BTC": "Crypto", "ETH": "Crypto", "SOL": "Crypto", "DOGE": "Crypto",
    "XRP": "Crypto", "CPI": "Economics", "FED": "Economics", "GDP": "Economics", "PAYROLL": "Economics", "RATECUT": "Economics",
    "RECSS": "Economics", "U3": "Economics", "JOBLESS": "Economics", "INX": "Financials", "NASDAQ": "Financials", "GOLD": "Financials",
    "WTI": "Financials", "TNOTE": "Financials", "NFL": "Sports", "NBA": "Sports", "MLB": "Sports", "NHL": "Sports", "NCAA": "Sports",
    "WNBA": "Sports", "ATP": "Sports", "WTA": "Sports", "UFC": "Sports", "PGA": "Sports", "EPL": "Sports", "UCL": "Sports", "F1": "Sports",
    "PRES": "Elections", "SENATE": "Elections", "HOUSE": "Elections", "GOV": "Elections", "MAYOR": "Elections", "POPVOTE": "Elections",
    "APPROV": "Politics", "CABINET": "Politics", "SCOTUS": "Politics", "BILL": "Politics", "SHUTDOWN": "Politics", "EO": "Politics",
    "OSCAR": "Entertainment", "GRAM": "Entertainment", "EMMY": "Entertainment", "RT": "Entertainment", "BILLBOARD": "Entertainment",
    "NETFLIX": "Entertainment", "SPOTIFY": "Entertainment", "LLM": "Science and Technology", "AGI": "Science and Technology",
    "SPACEX": "Science and Technology", "MENTION": "Mentions", "TSA": "Transportation", "FDA": "Health", "MEASLES": "Health",
}  # fmt: skip


def category(name: str) -> str:
    """The exchange's word for a category, from that word in any case or a short one such as "econ", "pol" or "ai".

    >>> kl.category("econ")
    'Economics'

    Raises UsageError with the nearest match for anything else.
    """
    words = (*CATEGORIES, OTHER)
    return one_of(
        "category", " ".join(str(name).split()).lower(), words, also=ALIASES | {word.lower(): word for word in words}
    )


def guessed_category(ticker: str) -> str:
    """The category that a ticker looks like, "Other" where it looks like none; the category of its series is the truth.

    >>> kl.guessed_category("KXHIGHNY-26NOV22")
    'Climate and Weather'
    """
    bare = ticker.upper().removeprefix("KX")
    fitting = [prefix for prefix in PREFIXES if bare.startswith(prefix)]
    return PREFIXES[max(fitting, key=len)] if fitting else OTHER
