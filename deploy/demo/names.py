"""Names: Swedish ones in about their real proportions, and the spellings that break careless software.

No name belongs to anyone: given and family names are drawn apart. Weights are relative and rounded by hand.
"""

from dataclasses import dataclass
from random import Random

_FEMALE = """
Anna 30 Eva 22 Maria 24 Karin 18 Kristina 16 Lena 16 Sara 17 Kerstin 10 Emma 17 Ingrid 8 Malin 14 Jenny 14
Linda 12 Ulla 6 Hanna 13 Marie 10 Susanne 10 Elin 14 Ida 12 Åsa 9 Johanna 13 Linnéa 9 Sofia 13 Birgitta 8
Katarina 11 Monica 8 Helena 11 Camilla 10 Josefin 8 Åse 1 Amanda 9 Märta 3 Frida 9 Ulrika 9 Annika 10 Therése 6
Caroline 7 Cecilia 8 Lovisa 5 Agneta 7 Moa 6 Hélène 1 Gun-Britt 2 Ann-Christin 3 Anna-Lena 3 Eva-Lotta 2
Maj-Lis 1 Ann-Sofie 3 Zoë 1
"""

_MALE = """
Lars 26 Mikael 24 Anders 24 Johan 22 Erik 20 Per 18 Peter 18 Thomas 17 Karl 15 Jan 15 Daniel 16 Fredrik 15
Hans 11 Andreas 14 Stefan 13 Mats 12 Marcus 13 Magnus 13 Mattias 13 Jonas 13 Bengt 8 Niklas 11 Martin 11 Bo 8
Nils 8 Viktor 10 Håkan 8 Björn 9 Göran 6 Jörgen 5 Robin 8 Simon 9 Oskar 10 Emil 10 Åke 3 Östen 1 Gösta 2
Leif 7 Ulf 8 Sven 7 Christoffer 7 Joakim 8 Kjell 5 André 4 Rasmus 6 Alexander 8 Karl-Erik 2 Lars-Göran 2
Jan-Olof 2 Sven-Åke 1 Carl-Johan 2 Örjan 2
"""

_FAMILY = """
Andersson 224 Johansson 221 Karlsson 195 Nilsson 151 Eriksson 132 Larsson 112 Olsson 100 Persson 96 Svensson 89
Gustafsson 86 Pettersson 83 Jonsson 65 Jansson 44 Hansson 38 Bengtsson 31 Jönsson 28 Lindberg 28 Jakobsson 26
Magnusson 25 Lindström 25 Olofsson 24 Lindqvist 23 Lindgren 23 Berg 22 Axelsson 21 Bergström 21 Lundberg 21
Lind 20 Lundgren 20 Lundqvist 19 Mattsson 19 Berglund 19 Fredriksson 17 Sandberg 17 Henriksson 16 Forsberg 16
Sjöberg 16 Wallin 15 Engström 15 Eklund 15 Danielsson 14 Lundin 14 Håkansson 14 Björk 13 Bergman 13 Gunnarsson 13
Wikström 12 Holm 13 Samuelsson 12 Isaksson 12 Fransson 12 Bergqvist 12 Nyström 12 Holmberg 12 Arvidsson 11
Löfgren 11 Söderberg 11 Nyberg 11 Blomqvist 11 Claesson 10 Nordström 10 Mårtensson 10 Lundström 10 Viklund 9
Björklund 9 Berggren 9 Sandström 9 Ström 8 Hermansson 8 Åberg 8 Ekström 8 Falk 8 Öberg 7 Åkesson 7 Sjögren 7
Hedlund 7 Dahlberg 7 Hellström 7 Åström 5 Östlund 4 Ljungqvist 4 Rosén 3 Norén 3 Wallén 2 Ödman 2 Äng 1
"""

_RARE_FAMILIES = (
    "von Bergen",
    "von Ekensteen",
    "af Klint",
    "de la Torre",
    "Lindqvist Berg",
    "Åkesson-Öberg",
    "Sjöström Norén",
    "Wijk-Håkansson",
)

_SAMI = (
    ("Áilu", "Sárá"),
    ("Máret", "Utsi"),
    ("Biret-Ánne", "Guttorm"),
    ("Niillas", "Labba"),
    ("Iŋgá", "Nutti"),
    ("Máhtte", "Kuhmunen"),
    ("Elle Márjá", "Čuorvu"),
    ("Duommá", "Šuorji"),
    ("Ánte", "Ruŧŧi"),
    ("Rávdná", "Bieđđi"),
)

_ABROAD = (
    ("Mohammed", "Al-Hassan"),
    ("Fatima", "Hussein"),
    ("Ahmed", "Ali"),
    ("Amina", "Warsame"),
    ("Łukasz", "Wójcik"),
    ("Olha", "Kovalenko"),
    ("Đorđe", "Petrović"),
    ("Siobhán", "O'Connor"),
    ("José", "García Márquez"),
    ("Jürgen", "Weiß"),
    ("Søren", "Kjær"),
    ("Thị Lan", "Nguyễn"),
    ("Aino", "Mäkelä"),
    ("Çiğdem", "Yıldız"),
    ("Madonna", ""),
)

_PERSIAN_PREFERRED = ("Reza", "Ali Reza")


@dataclass(frozen=True)
class GivenName:
    """A name as HR spells it; `preferred` is the tilltalsnamn, when it is not simply the first given name."""

    given: str
    family: str
    preferred: str | None = None

    def data(self) -> dict[str, str]:
        """Return it as it travels."""
        said = {"given": self.given, "family": self.family}
        return {**said, "preferred": self.preferred} if self.preferred else said


class _Weighted:
    def __init__(self, table: str) -> None:
        pairs = table.split()
        self._names = pairs[::2]
        self._weights = [int(weight) for weight in pairs[1::2]]

    def draw(self, rng: Random) -> str:
        return rng.choices(self._names, self._weights)[0]


_WOMEN, _MEN, _FAMILIES = _Weighted(_FEMALE), _Weighted(_MALE), _Weighted(_FAMILY)
NAMESAKE = GivenName("Anna", "Andersson")
"""The name that several people share."""


def draw(rng: Random) -> GivenName:
    """Draw a name: mostly Swedish, some from Sápmi or abroad, some double."""
    origin = rng.random()
    if origin < 0.012:
        return GivenName(*rng.choice(_SAMI))
    if origin < 0.05:
        return GivenName(*rng.choice(_ABROAD))
    if origin < 0.052:
        return GivenName(_PERSIAN_PREFERRED[1], "Rostami", _PERSIAN_PREFERRED[0])
    first = _WOMEN if rng.random() < 0.62 else _MEN  # most who work for a municipality are women
    given = first.draw(rng)
    family = rng.choice(_RARE_FAMILIES) if rng.random() < 0.02 else _FAMILIES.draw(rng)
    second = first.draw(rng)
    if rng.random() < 0.25 and second != given:
        # The name of address may be the second of two.
        return GivenName(f"{given} {second}", family, second if rng.random() < 0.3 else given)
    return GivenName(given, family)


def family_name(rng: Random, other_than: str) -> str:
    """Draw another family name, for somebody who marries."""
    while (name := _FAMILIES.draw(rng)) == other_than:
        continue
    return name
