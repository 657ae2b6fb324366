"""Two organisations: a municipality of 60 units and a rescue service of five, with what people do in each."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

_ALVSUND = """
kommun|Älvsunds kommun|-|kommun|office|1
ks|Kommunstyrelsens förvaltning|kommun|förvaltning|office|2
kansli|Kansliet|ks|avdelning|office|3
hr|HR-avdelningen|ks|avdelning|office|4
lon|Löneenheten|hr|enhet|office|3
ekonomi|Ekonomiavdelningen|ks|avdelning|office|5
it|IT-avdelningen|ks|avdelning|it|4
servicedesk|Servicedesk|it|enhet|it|4
kommunikation|Kommunikationsavdelningen|ks|avdelning|office|3
naringsliv|Näringslivsenheten|ks|enhet|office|2
naemnd|Förtroendevalda och nämndstöd|ks|enhet|council|9
bu|Barn- och utbildningsförvaltningen|kommun|förvaltning|office|3
elevhalsa|Centrala elevhälsan|bu|enhet|health|5
for-nord|Förskoleområde norr|bu|område|preschool|3
for-solrosen|Förskolan Solrosen|for-nord|förskola|preschool|16
for-bjorken|Förskolan Björken|for-nord|förskola|preschool|15
for-angen|Förskolan Ängen|for-nord|förskola|preschool|14
for-syd|Förskoleområde söder|bu|område|preschool|3
for-lonnen|Förskolan Lönnen|for-syd|förskola|preschool|14
for-ostra|Förskolan Östra Hamnen|for-syd|förskola|preschool|13
for-backen|Förskolan Bäcken|for-syd|förskola|preschool|12
gr-central|Centralskolan F-9|bu|skola|school|45
gr-strand|Strandskolan F-6|bu|skola|school|30
gr-ang|Ängsskolan F-6|bu|skola|school|26
gr-aspa|Åspaskolan 7-9|bu|skola|school|30
gy|Älvsunds gymnasium|bu|skola|school|40
gy-natur|Studieförberedande programmen|gy|arbetslag|school|15
gy-yrkes|Yrkesprogrammen|gy|arbetslag|school|18
vux|Vuxenutbildningen|bu|skola|school|14
kulturskola|Kulturskolan|bu|skola|school|9
so|Socialförvaltningen|kommun|förvaltning|office|3
ifo|Individ- och familjeomsorgen|so|avdelning|social|8
ifo-barn|Barn och unga|ifo|enhet|social|14
ifo-vuxen|Vuxen och försörjningsstöd|ifo|enhet|social|12
bistand|Biståndsenheten|so|enhet|social|8
aldre|Äldreomsorgen|so|avdelning|care|4
hemtjanst-norr|Hemtjänst norr|aldre|enhet|care|34
hemtjanst-soder|Hemtjänst söder|aldre|enhet|care|34
hemtjanst-natt|Nattpatrullen|aldre|enhet|care|14
sabo-ekgarden|Ekgården|aldre|boende|care|40
sabo-sjolunda|Sjölunda|aldre|boende|care|38
sabo-aldershem|Älvbackens äldreboende|aldre|boende|care|36
hsl|Hälso- och sjukvårdsenheten|so|enhet|health|18
funktion|Funktionsstöd|so|avdelning|care|4
gruppbostad-a|Gruppbostaden Åsgatan|funktion|boende|care|14
gruppbostad-o|Gruppbostaden Ögränd|funktion|boende|care|13
assistans|Personlig assistans|funktion|enhet|care|22
daglig|Daglig verksamhet|funktion|enhet|care|14
sb|Samhällsbyggnadsförvaltningen|kommun|förvaltning|office|3
plan|Plan- och byggenheten|sb|enhet|technical|7
miljo|Miljö- och hälsoskydd|sb|enhet|technical|7
gata|Gata och park|sb|enhet|outdoor|16
va|Vatten och avlopp|sb|enhet|outdoor|12
fastighet|Fastighetsenheten|sb|enhet|outdoor|13
maltid|Måltidsenheten|sb|enhet|kitchen|22
lokalvard|Lokalvården|sb|enhet|cleaning|22
kf|Kultur- och fritidsförvaltningen|kommun|förvaltning|office|2
bibliotek|Biblioteken|kf|enhet|culture|9
bad|Älvsunds simhall|kf|anläggning|culture|9
fritid|Fritidsgårdarna|kf|enhet|culture|10
"""

_BERGBY = """
rf|Bergby räddningsförbund|-|förbund|office|2
stab|Stab och administration|rf|avdelning|office|5
bergby|Station Bergby|rf|station|rescue|16
ovre|Station Övre Ån|rf|station|rescue|12
foreb|Förebyggande avdelningen|rf|avdelning|technical|4
"""

TITLES: Mapping[str, tuple[tuple[str, int], ...]] = MappingProxyType(
    {
        "office": (("Handläggare", 36500), ("Ekonom", 41200), ("Administratör", 31800), ("HR-specialist", 43100)),
        "it": (("IT-tekniker", 37400), ("Systemförvaltare", 44300), ("Supporttekniker", 32700)),
        "council": (("Nämndsekreterare", 36100), ("Registrator", 32500)),
        "health": (("Sjuksköterska", 42600), ("Arbetsterapeut", 36300), ("Skolsköterska", 41900), ("Kurator", 38700)),
        "preschool": (("Barnskötare", 29900), ("Förskollärare", 36900)),
        "school": (("Lärare", 40300), ("Elevassistent", 28800), ("Fritidspedagog", 34700), ("Speciallärare", 45100)),
        "social": (("Socialsekreterare", 41300), ("Biståndshandläggare", 38900), ("Socialpedagog", 34400)),
        "care": (("Undersköterska", 31900), ("Vårdbiträde", 28300), ("Stödassistent", 31100), ("Stödpedagog", 34900)),
        "technical": (("Bygglovshandläggare", 41700), ("Miljöinspektör", 39800), ("Planarkitekt", 44900)),
        "outdoor": (("Parkarbetare", 29600), ("Drifttekniker", 35200), ("Fastighetsskötare", 30800)),
        "kitchen": (("Kock", 30700), ("Måltidsbiträde", 27200)),
        "cleaning": (("Lokalvårdare", 26900),),
        "culture": (("Bibliotekarie", 36200), ("Badvärd", 28400), ("Fritidsledare", 30100)),
        "rescue": (("Brandman", 33600), ("Styrkeledare", 40400), ("Brandingenjör", 45800)),
    }
)
"""What people do in each line of work, with a monthly pay to vary around."""

_HEADS: Mapping[str, str] = MappingProxyType(
    {
        "kommun": "Kommundirektör",
        "förvaltning": "Förvaltningschef",
        "avdelning": "Avdelningschef",
        "skola": "Rektor",
        "förskola": "Rektor",
        "förbund": "Förbundsdirektör",
        "station": "Stationschef",
    }
)


@dataclass(frozen=True)
class Unit:
    """A unit; `number` counts from 0 and is also the number of the person who manages it."""

    number: int
    id: str
    name: str
    parent: str | None
    kind: str
    work: str
    weight: int

    @property
    def cost_centre(self) -> str:
        """The unit's cost centre."""
        return f"{3000 + 10 * self.number}"

    @property
    def head(self) -> str:
        """The title of who manages it."""
        return _HEADS.get(self.kind, "Enhetschef")


@dataclass(frozen=True)
class Organisation:
    """One of the organisations in deploy/local/organisations.toml. `first` is the number of its first person."""

    key: str
    source: str
    town: str
    people: int
    first: int
    table: str

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """All units, parents before children."""
        rows = (line.split("|") for line in self.table.strip().splitlines())
        return tuple(
            Unit(number, id_, name, None if parent == "-" else parent, kind, work, int(weight))
            for number, (id_, name, parent, kind, work, weight) in enumerate(rows)
        )

    @cached_property
    def unit_weights(self) -> tuple[int, ...]:
        """How many work where, relative to each other."""
        return tuple(unit.weight for unit in self.units)

    @cached_property
    def by_id(self) -> Mapping[str, Unit]:
        """Units by their id."""
        return {unit.id: unit for unit in self.units}

    def person_id(self, number: int) -> str:
        """Return the id that this organisation's HR system has for its person so numbered."""
        return f"{self.key}-{100_000 + number}"

    def manager_of(self, unit: Unit, number: int) -> str | None:
        """Return who manages a person in the unit; the unit's own manager answers to the one above."""
        if number != unit.number:
            return self.person_id(unit.number)
        return self.person_id(self.by_id[unit.parent].number) if unit.parent else None


ALVSUND = Organisation("alvsund", "https://hr.alvsund.example/personal", "Älvsund", 1000, 0, _ALVSUND)
BERGBY = Organisation("bergby", "https://hr.bergby.example/personal", "Bergby", 40, 300_000, _BERGBY)
ORGANISATIONS = (ALVSUND, BERGBY)
