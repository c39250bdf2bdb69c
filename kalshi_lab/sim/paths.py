"""The hidden truth: each event's value follows Brownian motion, and every probability is exact given the path so far.

The motion W is built by Lévy's midpoint construction on 1,024 steps of the event's life, so W at any one step costs ten draws and
needs no other step. With a correlation c, the draws of ladder events that begin and end together are sqrt(1 - c) times their own plus
sqrt(c) times a common one, so that their motions' changes correlate by c at every step. Given X = center + width * W(s), the final
value is normal with mean X and variance width² (1 - s); the probability that it ends in [low, high) is a difference of two normal
distribution functions, hence a martingale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.errors import UsageError
from kalshi_lab.sim.draws import below, normal
from kalshi_lab.sim.layout import COMBINED, LADDER

if TYPE_CHECKING:
    from kalshi_lab.sim.draws import Floats, Ints
    from kalshi_lab.sim.layout import Events, Markets

LEVELS = 10
STEPS = 1 << LEVELS
_MOTION, _COMMON = 0x574E, 0x434D


class Paths:
    """Latent values and true probabilities of every event and market, at any step of their lives."""

    def __init__(self, seed: int, events: Events, markets: Markets, correlation: float = 0.0) -> None:
        if not 0 <= correlation <= 1:
            raise UsageError(f"correlation is {correlation}", hint="Allowed: 0 to 1")
        self.seed, self.events, self.markets = seed, events, markets
        self.correlation = correlation

    def step(self, event: Ints, now: Ints | int) -> Ints:
        """The last step that has begun at `now` (microseconds); a cancelled event stays at its close."""
        opened, horizon = self.events.open[event], self.events.horizon[event]
        reached = np.where(self.events.void[event], np.minimum(now, self.events.close[event]), now)
        return np.clip((reached - opened) * STEPS // (horizon - opened), 0, STEPS)

    def moment(self, event: Ints, step: Ints) -> Ints:
        """When a step begins, in microseconds."""
        opened, horizon = self.events.open[event], self.events.horizon[event]
        return opened - (opened - horizon) * step // STEPS

    def latent(self, event: Ints, step: Ints) -> Floats:
        """The hidden value at a step; at the last one, the value that decides the event."""
        event, step = np.broadcast_arrays(event, step)
        # the markets of an event share its path, so each point of it is computed once
        points, place = np.unique(event * (2 * STEPS) + step, return_inverse=True)
        motion = self._motion(points // (2 * STEPS), points % (2 * STEPS))[place].reshape(event.shape)
        return self.events.center[event] + self.events.width[event] * motion

    def _motion(self, event: Ints, step: Ints) -> Floats:
        low, high = np.zeros(step.shape), self._draw(event, np.zeros_like(step))
        node, end = np.ones(step.shape, dtype=np.int64), high
        for level in range(LEVELS):
            middle = (low + high) / 2.0 + np.sqrt(0.25 / (1 << level)) * self._draw(event, node)
            right = (step >> (LEVELS - 1 - level)) & 1 == 1
            low, high = np.where(right, middle, low), np.where(right, high, middle)
            node = 2 * node + right
        return np.where(step >= STEPS, end, low)

    def _draw(self, event: Ints, node: Ints) -> Floats:
        own = normal(self.seed, _MOTION, event, node)
        if not self.correlation:
            return own
        common = normal(self.seed, _COMMON, self.events.open[event], self.events.horizon[event], node)
        shared = np.sqrt(1.0 - self.correlation) * own + np.sqrt(self.correlation) * common
        return np.where(self.events.shape[event] == LADDER, shared, own)

    def probability(self, market: Ints, step: Ints) -> Floats:
        """The true probability of YES at a step of the market's own event; at the last step, its payout."""
        event = self.markets.event[market]
        combined = self.events.shape[event] == COMBINED
        if not combined.any():
            return self._single(market, step)
        market, step = np.broadcast_arrays(market, step)
        combined = np.broadcast_to(combined, market.shape)
        chances = np.empty(market.shape)
        chances[~combined] = self._single(market[~combined], step[~combined])
        chances[combined] = self._product(
            market[combined], self.moment(self.markets.event[market[combined]], step[combined])
        )
        return chances

    def _single(self, market: Ints, step: Ints) -> Floats:
        event = self.markets.event[market]
        value = self.latent(event, step)
        left = self.events.width[event] * np.sqrt(1.0 - step / STEPS)
        low, high = self.markets.low[market], self.markets.high[market]
        known = (low <= value) & (value < high)
        scale = np.where(left > 0, left, 1.0)
        open_chance = below((high - value) / scale) - below((low - value) / scale)
        return np.where(left > 0, open_chance, known)

    def _product(self, market: Ints, now: Ints) -> Floats:
        """Legs are of different events, hence independent: the product of their chances."""
        chances = np.ones(market.shape)
        for leg, side in zip(self.markets.legs[market].T, self.markets.sides[market].T, strict=True):
            known = np.maximum(leg, 0)
            yes = self._single(known, self.step(self.markets.event[known], now))
            chances *= np.where(leg < 0, 1.0, np.where(side, yes, 1.0 - yes))
        return chances

    def payout(self, market: Ints) -> Floats:
        """What YES pays at the end, in dollars: 0 or 1, or for a cancelled event its fair price in whole cents."""
        event = self.markets.event[market]
        final = self.probability(market, np.where(self.events.void[event], STEPS // 2, STEPS))
        return np.where(self.events.void[event], np.round(final, 2), final)
