"""The words that all tables share: people, companies, places, things, and the words of each trade.

Owns nouns, names and their grammar (number, tense). Knows no sentence and draws nothing. All names are invented.
The lists are kept short on purpose: with every table together there are about sixteen hundred word types, so that a
vocabulary of three thousand pieces and a tiny model can cope.
"""

from __future__ import annotations

SHE = ("Ana", "Clara", "Ella", "Grace", "Iris", "Kate", "Mia", "Olga", "Rosa", "Tara")
HE = ("Ben", "Dan", "Finn", "Hugo", "Jack", "Leo", "Noah", "Paul", "Sam", "Tom")

NAMES = (
    "Marlen", "Ashvale", "Dorwick", "Norvell", "Tamber", "Orring", "Caldry", "Brenley",
    "Harlock", "Keston", "Lindow", "Morvane", "Pellby", "Quenby", "Rothley", "Selvane",
    "Thorley", "Ulverin", "Varnham", "Westrow", "Yarlow", "Zelby", "Fenwold", "Gorsham",
)  # fmt: skip
"""Each is a surname, a company and a town: only the sentence tells which."""

SECTORS = (
    "Foods", "Bank", "Motors", "Energy", "Mining", "Air", "Media", "Stores",
    "Steel", "Software", "Health", "Homes", "Oil", "Insurance", "Paper", "Toys",
)  # fmt: skip

COMPANIES = tuple(f"{name} {SECTORS[number * 7 % len(SECTORS)]}" for number, name in enumerate(NAMES))
BANKS = ("Harbour Bank", "Castle Bank", "Granite Bank", "Amber Bank", "Bridge Bank", "Lion Bank")
PLACES = ("Avaria", "Belmora", "Corvia", "Drenland", "Estavia", "Galdor", "Hestia", "Ivora", "Lorn", "Sundal")

TICKERS = {
    name: (name[0] + "".join(letter for letter in name[1:] if letter not in "aeiou")).upper()[:4] for name in NAMES
}

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

GOOD_METRICS = {
    "profit": False, "sales": True, "revenue": False, "orders": True, "output": False, "demand": False,
    "income": False, "margins": True, "bookings": True, "cash flow": False,
}  # fmt: skip
"""Figures of which more is better for the company; the value says whether the noun is plural."""

BAD_METRICS = {"costs": True, "debt": False, "losses": True, "delays": True, "complaints": True, "claims": True}

RISE = (("rose", "rises", "rise"), ("grew", "grows", "grow"), ("climbed", "climbs", "climb"), ("jumped", "jumps", "jump"))
FALL = (("fell", "falls", "fall"), ("dropped", "drops", "drop"), ("slid", "slides", "slide"), ("shrank", "shrinks", "shrink"))
"""Past, present singular, present plural."""

PRAISE = ("good", "great", "clever", "warm", "funny", "fresh", "brilliant", "lovely", "strong")
BLAME = ("bad", "dull", "poor", "weak", "slow", "silly", "empty", "clumsy", "boring")

THINGS = (
    "pens", "apples", "books", "coins", "cups", "eggs", "cards", "toys", "stamps", "shirts", "pears", "cakes",
    "stones", "lamps", "chairs", "plants",
)  # fmt: skip
"""Things that can be counted; every one forms its singular by losing the s."""

GOODS = (
    "paper", "steel", "shoes", "toys", "coffee", "bread", "cars", "phones", "tea", "wood", "glass", "cheese", "tools",
    "engines", "furniture", "medicine",
)  # fmt: skip

LISTS: dict[str, tuple[str, ...]] = {
    "first": SHE + HE,
    "she": SHE,
    "he": HE,
    "surname": NAMES,
    "person": tuple(f"{first} {last}" for first in SHE + HE for last in NAMES),
    "firm": NAMES,
    "company": COMPANIES,
    "bank": BANKS,
    "place": PLACES,
    "town": NAMES,
    "month": MONTHS,
    "day": DAYS,
    "year": tuple(str(year) for year in range(2008, 2024)),
    "number": NUMBERS[2:],
    "quarter": ("first", "second", "third", "fourth"),
    "metric": tuple(GOOD_METRICS),
    "good_plural": ("sales", "orders", "margins", "bookings"),
    "good": PRAISE,
    "bad": BLAME,
    "film": ("film", "movie", "comedy", "drama", "thriller", "story", "sequel"),
    "aspect": (
        "acting", "plot", "script", "music", "ending", "cast", "dialogue", "humour", "opening", "direction", "hero",
        "camera work",
    ),
    "part": ("plot", "script", "ending", "cast", "opening", "hero", "story line", "first half"),
    "thing": THINGS,
    "goods": GOODS,
    "role": ("chief executive", "finance chief", "chairman", "head of sales", "director", "chief lawyer"),
    "country": PLACES,
    "animal": ("dog", "cat", "horse", "bird", "cow", "sheep", "fox", "goat", "duck", "rabbit"),
    "animals": ("dogs", "cats", "horses", "birds", "cows", "foxes", "goats", "ducks", "rabbits", "bees"),
    "food": ("bread", "soup", "cheese", "rice", "cake", "fish", "honey", "butter"),
    "fruit": ("apples", "pears", "plums", "grapes", "lemons", "cherries"),
    "colour": ("red", "blue", "green", "white", "black", "yellow", "brown", "grey"),
    "metal": ("gold", "silver", "copper", "iron", "steel", "zinc"),
    "room": ("kitchen", "garden", "office", "hall", "garage", "cellar", "library"),
    "spot": ("market", "station", "school", "harbour", "bridge", "park", "bakery", "museum", "church", "farm"),
    "weather": ("rain", "snow", "wind", "fog", "heat", "frost"),
    "relative": ("sister", "brother", "mother", "father", "uncle", "aunt", "friend", "cousin"),
    "job": ("teacher", "nurse", "driver", "cook", "farmer", "lawyer", "painter", "engineer", "clerk", "baker"),
    "loan": ("car loan", "credit card", "student loan", "bank loan", "home loan", "store card"),
    "asset": ("shares", "bonds", "gold", "a house", "an index fund", "a savings account"),
    "object": ("a car", "a house", "a computer", "a phone", "a boat", "a bicycle", "a piano", "a desk", "a camera", "a van"),
    "risk": (
        "higher energy prices", "a shortage of workers", "new rules", "a strong currency", "weak demand",
        "the loss of a large customer", "old equipment", "cheap imports", "a change of taxes", "a strike at the plant",
    ),
}  # fmt: skip
