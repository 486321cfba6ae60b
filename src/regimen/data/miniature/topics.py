"""Tweets of financial news by topic, twenty classes.

Owns the templates and shares of zeroshot/twitter-financial-news-topic. Rates, oil, shares, banks and dividends turn
up in several classes; what the tweet is about is told by what is done to what. Knows the market's clauses for
commentary, and no other table.
"""

from __future__ import annotations

from regimen.data.miniature import market
from regimen.data.miniature.chance import Chance
from regimen.data.miniature.sentiment import address
from regimen.data.miniature.table import Row
from regimen.data.miniature.words import NAMES, TICKERS
from regimen.data.miniature.writing import capital, write

TOPICS = (
    "Analyst Update", "Fed and Central Banks", "Company and Product News", "Treasuries and Corporate Debt", "Dividend",
    "Earnings", "Energy and Oil", "Financials", "Currencies", "General News and Opinion", "Gold and Metals", "IPO",
    "Legal and Regulation", "Mergers and Investments", "Macro", "Markets", "Politics", "Personnel Change",
    "Stock Commentary", "Stock Movement",
)  # fmt: skip
"""The class of label n is the n-th name."""

SHARES = (5, 6, 11, 4, 4, 7, 4, 4, 4, 7, 4, 4, 5, 4, 7, 4, 4, 4, 7, 7)

TEMPLATES: tuple[tuple[str, ...], ...] = (
    (
        "{bank} [raises its rating on {firm} to buy|cuts its rating on {firm} to sell|keeps its rating on {firm} at hold] after {quarter} quarter {metric}",
        "{bank} [starts|begins] to cover {firm} with a [buy|hold|sell] rating and a target of ${5-90}",
        "{bank} [lifts|lowers] its price target for {firm} to ${5-90} from ${5-90}",
        "{firm} [raised|cut] to [buy|hold|sell] at {bank}, which sees its {metric} [rising|falling]",
        "Analysts at {bank} [like|prefer] {firm} over {firm2}, [raise|cut] target by {5-30}%",
    ),
    (
        "Central bank of {place} [raises|cuts|keeps] its [main|key] rate [by|at] {2-9}% [to fight|as it sees less] inflation",
        "The Fed's {surname} says rates may have to [rise|fall] [again|further] in {month}",
        "The Fed and the central bank of {place} [will meet|meet] on {day}, a rate [rise|cut] is likely",
        "Central bank chief {person} says inflation in {place} [may|will] not last, rates to stay",
        "{place} central bank [buys|sells] {2-90} billion of bonds to [lower|lift] rates",
    ),
    (
        "{firm} [starts|begins] to sell [new|cheaper|better] {goods} in {place}",
        "{firm} opens [a store|a plant|an office] for {goods} in {place} in {month}",
        "{firm} [wins|gets] an order for {20-900} [engines|cars|phones|tools] from {place}",
        "{firm} and {firm2} will make {goods} together in {place}",
        "{firm} brings back its {goods} after {2-9} years, first in {place}",
        "{firm} stops [making|selling] {goods} and {goods2} in {place}",
        "{firm} shows a new [phone|car|engine|computer] that costs ${20-900} in {place} on {day}",
    ),
    (
        "{firm} sells [{2-9}-year|ten-year] bonds of ${2-90} million at a yield of {2-9}%",
        "[Ten-year|Two-year] government bonds of {place} yield {2-9}%, [most|least] since {month}",
        "Yields of {place} bonds [rise|fall] [to|by] {2-9}% before the central bank meets",
        "{firm} [will pay|pays] back ${2-90} million of debt, bond due in {year}",
        "{bank} [raises|cuts] the debt rating of {firm}, its bonds [rise|fall]",
    ),
    (
        "{firm} [raises|cuts|keeps] its dividend [to|at] {2-90} cents a share",
        "{firm} declares a {quarter} quarter dividend of {2-90} cents a share",
        "{firm} will [not pay a|pay no|pay a special] dividend [this year|for {year}] [after|despite] [higher|lower] {metric}",
        "Yield of {firm}'s dividend is now {2-9}%, to be paid on {day}",
        "Shareholders of {firm} get {2-90} cents a share in {month}",
    ),
    (
        "{firm} {quarter} quarter profit {2-90} cents a share, {2-9} cents [above|below] forecasts",
        "{firm} reports {quarter} quarter [revenue|sales] of ${2-90} million, [beats|misses] by {2-9} million",
        "{firm} sees {quarter} quarter {metric} of ${2-90} million, forecast was ${2-90} million",
        "{firm} to report its {quarter} quarter results on {day}, {metric} in view",
        "{firm} [lifts|cuts|keeps] its {metric} forecast for {year} after {quarter} quarter results",
    ),
    (
        "Oil [rises|falls] {2-9}% as {place} [cuts|raises] its output",
        "Oil price [above|below] ${20-90} after {weather} [closes|stops] [a port|fields] in {place}",
        "{firm} finds [oil|gas] near {place}, output to start in {year}",
        "Gas [prices|stocks] in {place} [rise|fall] as {weather} lifts demand for heat",
        "{place} wants {2-90}% of its power from [wind|sun|water] by {month}",
    ),
    (
        "{bank} [closes|opens] {2-90} branches in {place}",
        "{bank} [raises|lowers] the rate on its [savings accounts|home loans|car loans] to {2-9}%",
        "{bank} says {2-90}% of its loans in {place} are [late|not paid back]",
        "Banks in {place} [lend more|lend less] as [sales|orders] of small firms [grow|fall]",
        "Insurance [prices|claims] in {place} [rise|fall] after {weather}, {bank} says",
    ),
    (
        "The [crown|florin] [rises|falls] {2-9}% against the dollar [after|before] the rate decision in {place}",
        "Dollar [gains|loses] {2-9} cents against the [crown|florin] as oil [rises|falls]",
        "{bank} [buys|sells] [crowns|florins] and [buys|sells] dollars before {place} votes",
        "The [crown|florin] is at its [highest|lowest] against the dollar since {month}, [good|bad] for {goods} from {place}",
    ),
    (
        "Why [{goods}|{food}] in {place} [costs|cost] [more|less] than in {place2}",
        "How a {job} from {place} [saved|lost|spent] ${20-900} in {2-9} years",
        "{weather} closes schools and roads in {place} on {day}",
        "Opinion: {place} should [build|close] [more|its] [schools|roads|bridges], {surname} writes",
        "What people in {place} [eat|buy|read] when {weather} comes in {month}",
        "The {job} who [built|painted|sold] {number} [boats|houses] in {place}",
    ),
    (
        "{metal} [rises|falls] {2-9}% as the dollar [falls|rises]",
        "{metal} price in {place} at ${20-900}, [highest|lowest] since {month}",
        "{firm} [finds|digs for|sells] {metal} in {place}, output [up|down] {2-90}%",
        "{place} [taxes|limits] {metal} sold to {place2}, price [up|down]",
    ),
    (
        "{firm} plans to sell shares to the public [in {month}|on {day}], first at ${5-90}",
        "{firm} IPO priced at ${5-90} a share, [above|below] its range",
        "{firm} [puts off|prepares] its IPO in {place}, {bank} to lead the sale",
        "Shares of {firm} [rise|fall] {2-90}% on their first day after the IPO",
        "IPO: {firm} wants to raise ${20-900} million in {place}",
    ),
    (
        "Judge in {place} [orders {firm} to pay|lets {firm} keep] ${2-90} million over its {goods}",
        "{firm} [sues|is sued by] {firm2} over [{goods}|a contract|debt] in {place}",
        "{place} [looks into|ends its case against] {firm} over [{goods}|its {metric} report]",
        "Regulator fines {bank} ${2-90} million over [loans|fees|claims] in {place}",
        "New rules for {goods} in {place} will [cost|help] {firm}",
    ),
    (
        "{firm} to buy {firm2} for ${2-90} million in [cash|shares]",
        "{firm} [ends|begins] talks to [buy|merge with] {firm2} of {place}",
        "{firm} sells its {goods} unit to {firm2} for ${2-90} million",
        "{bank} [buys|sells] {2-90}% of {firm} [as|before] it looks for a partner",
        "{firm} puts ${2-90} million into {firm2}, a maker of {goods}",
    ),
    (
        "Inflation in {place} [rises|falls] to {2-9}% in {month}, forecast was {2-9}%",
        "{place} [adds|loses] {20-900} thousand jobs in {month}",
        "Output of {place} [grew|shrank] {2-9}% in the {quarter} quarter",
        "House prices in {place} [up|down] {2-30}% [in {month}|from a year ago]",
        "{goods} orders in {place} [rise|fall] {2-30}% in {month}, a sign of [weak|strong] demand",
        "Shops in {place} sold {2-30}% [more|less] in {month} as prices [rose|fell]",
    ),
    (
        "Stocks in {place} [open|close] {2-9}% [higher|lower] [as|before] {metal} and oil [rise|fall]",
        "[Stocks|Markets] [rise|fall] as traders wait for the Fed and for {metric} reports on {day}",
        "{number} charts that show what markets did in {month}",
        "Markets in {place} closed on {day}, stocks in {place2} [up|down] {2-9}%",
        "[Bank|Oil|Car|Gold] stocks lead {place} markets [up|down] {2-9}%",
    ),
    (
        "{place} votes on {day}, {surname} leads {surname2} by {2-9}%",
        "President {surname} of {place} wants to [raise|cut] taxes on [oil|banks|{goods}]",
        "{person}, minister of {place}, [leaves|stays] after vote on [taxes|rates|debt]",
        "{place} and {place2} agree to [end|begin] talks on [trade|taxes|the border]",
        "Parliament of {place} votes [for|against] a tax on {goods}",
    ),
    (
        "{firm} names {person} as {role} [from {month}|on {day}]",
        "{firm}'s {role} {person} [leaves|to leave] for {firm2} after {2-9} years",
        "{person} joins the board of {bank} in {place}",
        "{firm} [looks for|finds] a new {role} as {person} leaves in {month}",
        "{person} moves from {firm} to {firm2} as {role}",
    ),
    (
        "${ticker} {number} reasons to [buy|sell|hold] {firm} before {month}",
        "I would [buy|sell|not buy|not sell] {firm} [at|below|above] ${5-90}, {news}",
        "{firm} or {firm2}: which [stock|share] is the better buy [now|for {year}]?",
        "{firm} looks [cheap|expensive] at {5-30} times profit, {news}",
        "Is {firm} [too cheap|too expensive] [now|at ${5-90}] or is {firm2} the better stock?",
    ),
    (
        "{move}",
        "{move}",
        "{firm} shares [up|down] {2-90}% [in early trade|at the close|on {day}]",
        "${ticker} [jumps|slides] {2-90}% [on|after] {news}",
    ),
)


CUES: tuple[str, ...] = (
    "{bank} [raises|cuts] {firm} to [buy|sell]", "the Fed [meets|waits|raises rates|cuts rates]", "{firm} [starts|stops] selling [new|cheap] {goods}",
    "bond yields [rise|fall]", "{firm} [raises|cuts] its dividend", "{firm} profit [beats|misses] forecasts", "oil [rises|falls] [above|below] ${20-90}",
    "{bank} [opens|closes] branches", "the [crown|florin] [rises|falls]", "{weather} [closes schools|stops traffic] in {place}", "{metal} [rises|falls] by {2-9}%",
    "{firm} IPO [nears|is put off]", "{firm} is [sued|fined]", "{firm} [buys|sells] {firm2}", "{place} inflation [rises|falls]", "{place} stocks [rise|fall]",
    "{place} [votes|elects {surname}]", "{firm} [loses|names] its {role}", "{firm} looks [cheap|expensive]", "{firm} shares [jump|slide]",
)  # fmt: skip
"""What each topic is in a few words: of two cues in a tweet the first is what it is about."""


def draw(chance: Chance) -> list[Row]:
    """A row of the topic table: text, and label 0 to 19."""
    label = chance.weighted({number: share for number, share in enumerate(SHARES)})
    firm = chance.pick(NAMES)
    sign = chance.sign()
    news = market.cause(chance, sign) if label == 19 else market.clause(chance, sign, "its", now=True, first=False)
    given = {"firm": firm, "ticker": TICKERS[firm], "news": news}
    if label == 19:
        given["move"] = market.shares(chance, sign, firm)
    plain = write(chance, chance.pick(TEMPLATES[label]), **given)
    text = _two_cues(chance, label, firm) if chance.yes(0.3) else plain
    if len(text.split()) < 6:
        text += write(chance, chance.pick((" in {place}", " on {day} in {place}", " in {month}, {bank} says")))
    if chance.yes(0.15) and "$" not in text[:1]:
        text = f"${TICKERS[firm]} {text}" if firm in text else text
    return [{"text": capital(text) + address(chance, 0.15), "label": label}]


def _two_cues(chance: Chance, label: int, firm: str) -> str:
    other = chance.pick([number for number in range(len(CUES)) if number != label])
    first = write(chance, CUES[label], firm=firm)
    second = write(chance, CUES[other].replace("{firm2}", "{firm3}").replace("{firm}", "{firm2}"), firm=firm)
    return f"{first} {chance.pick(('as', 'while', 'after', 'before', 'just as'))} {second}"
