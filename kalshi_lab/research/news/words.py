"""Words that say which way the odds of an event moved, and figures held against a market's own.

Prose has a tone, and an outcome has another: "the risk of recession falls" is good news and speaks against a recession. So what is said
of likelihood counts before the tone of the words, and a figure beyond the market's strike before both.
"""

from __future__ import annotations

import re
from typing import Final

UP: Final = re.compile(
    r"\b(more likely|likeliest|increasingly likely|all but certain|almost certain|certain to|base case"
    r"|(?:raised|raise|lifted) (?:their |its |the )?(?:odds|chances|forecast)"
    r"|(?:rising|growing|greater|higher) (?:risk|chance|odds|chances|probability)|gain\w* ground|(?:have|has|with) the votes|cleared"
    r"|approved|agreed|deal|progress|(?:clear|overwhelming|strong) favou?rite|all systems are go|on track|ahead of schedule"
    r"|matter of time|supports?|strengthens the case|momentum|favou?rs?|will vote yes|cannot stop|conceded|step down|growing"
    r"|gives? .{0,30}lead|swept|withdrawn|withdrew|quietest|closes in|lies squarely|returns?)\b",
    re.IGNORECASE,
)
DOWN: Final = re.compile(
    r"\b(less likely|unlikely|not (?:at all )?likely|no longer expects?|ruled? out"
    r"|(?:falling|lower|smaller) (?:risk|chance|odds|chances)"
    r"|(?:risk|fears?|hopes?|chances?|odds|prospects?) (?:of|for)? ?.{0,40}"
    r"(?:falls?|fades?|faded|eases?|eased|recedes?|receded|drop\w*|dwindle\w*|collapse\w*)"
    r"|lose\w* ground|nowhere in sight|no sign|denied|denies|rejected|refused|blocks?|blocked|postponed|delay\w*|scrubbed|pushed to"
    r"|pulled from|broke down|collapsed?|dead|doubts?|hard to see|too late|few expect|undermines?|cooled|evaporated|sued|full backing"
    r"|away from|dissipate|resumed|close to collapse|cut (?:their |its )?odds|speak against|faded|without)\b",
    re.IGNORECASE,
)
ADVERSE: Final = re.compile(
    r"\b(recession|downturn|fails?|resigns?|shutdown|default|crash|hurricane|war|impeach\w*|bankrupt\w*|loses?)\b",
    re.IGNORECASE,
)
BELOW: Final = re.compile(r"\b(below|under|less than|fewer than|lower than|at most|or below)\b", re.IGNORECASE)
ABOVE: Final = re.compile(r"\b(above|over|more than|at least|higher than|or above|exceed\w*)\b", re.IGNORECASE)
_NUMBER: Final = re.compile(
    r"(?<![\w.])\$?(\d[\d,]*(?:\.\d+)?)(?!\w|\.\d|\s*(?:points|senators|members|times|weeks|days|hours|metres|percent chance))"
)
_YEARS: Final = range(1990, 2100)
REACH: Final = 3  # a figure within this factor of the strike is taken to be the same quantity


def said(text: str) -> int:
    """Whether more is said for the event than against it: 1, -1, or 0."""
    up, down = len(UP.findall(text)), len(DOWN.findall(text))
    return (up > down) - (up < down)


def beyond(claim: str, text: str) -> int:
    """Whether a figure of the text is on the claim's side of its strike: 1, on the other side: -1, no such figure: 0."""
    below, above = BELOW.search(claim), ABOVE.search(claim)
    strikes = figures(claim)
    if (below is None) == (above is None) or not strikes:
        return 0
    strike = strikes[0]
    near = [value for value in figures(text) if strike / REACH <= value <= strike * REACH]
    if not near or near[-1] == strike:
        return 0
    return 1 if (near[-1] > strike) == (above is not None) else -1


def figures(text: str) -> list[float]:
    """The numbers of a text that are no years."""
    found = [float(match[1].replace(",", "")) for match in _NUMBER.finditer(text) if match[1].strip(",")]
    return [value for value in found if value not in _YEARS]
