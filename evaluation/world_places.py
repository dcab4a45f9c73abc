"""Where the rendered world stands: real towns, approximate coordinates, words in their languages.

Town names, coordinates, dialling codes and shop words are general knowledge, written by hand. The
shops, phone subscribers and web addresses are invented.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Town:
    """A street corner of the rendered world and the words its signs carry.

    Attributes:
        name: the town as its people write it.
        country: ISO 3166-1 alpha-2.
        latitude: degrees, WGS84, within the old town.
        longitude: degrees, WGS84.
        shops: the words on the two shop fronts.
        street: the street-name plate.
        phone: the telephone number on a sign.
        site: the web address on a sign.
        poster: a word on the bills pasted to the side wall.
        style: name of the building style; two towns of one style look alike.
    """

    name: str
    country: str
    latitude: float
    longitude: float
    shops: tuple[str, str]
    street: str
    phone: str
    site: str
    poster: str
    style: str


TOWNS: tuple[Town, ...] = (
    Town(
        "Regensburg", "DE", 49.0190, 12.0956, ("BÄCKEREI", "BUCHHANDLUNG"), "Obere Bachgasse",
        "+49 941 5730", "eckhaus-alt.de", "KONZERT", "timber",
    ),
    Town(
        "Annecy", "FR", 45.8988, 6.1266, ("BOULANGERIE", "PHARMACIE"), "Rue Sainte-Claire",
        "+33 4 50 45 61", "aucoin-dulac.fr", "THÉÂTRE", "ochre",
    ),
    Town(
        "Cuenca", "ES", 40.0776, -2.1318, ("PANADERÍA", "LIBRERÍA"), "Calle San Pedro",
        "+34 969 21 40", "esquina-vieja.es", "FIESTA", "stone",
    ),
    Town(
        "Steyr", "AT", 48.0393, 14.4187, ("APOTHEKE", "KONDITOREI"), "Enge Gasse",
        "+43 7252 4418", "zum-engen-eck.at", "AUSSTELLUNG", "timber",
    ),
    Town(
        "Lucca", "IT", 43.8434, 10.5046, ("TRATTORIA", "GELATERIA"), "Via Fillungo",
        "+39 0583 4917", "angolo-antico.it", "MOSTRA", "ochre",
    ),
    Town(
        "Delft", "NL", 52.0115, 4.3585, ("BAKKERIJ", "FIETSENMAKER"), "Oude Langendijk",
        "+31 15 214 30", "hoekje-oud.nl", "VOORSTELLING", "brick",
    ),
    Town(
        "Toruń", "PL", 53.0104, 18.6045, ("PIEKARNIA", "KSIĘGARNIA"), "ul. Szeroka",
        "+48 56 622 41", "stary-rog.pl", "WYSTAWA", "gothic",
    ),
    Town(
        "Évora", "PT", 38.5713, -7.9091, ("PADARIA", "OURIVESARIA"), "Rua da Moeda",
        "+351 266 70 21", "esquina-branca.pt", "ESPETÁCULO", "white",
    ),
    Town(
        "Olomouc", "CZ", 49.5941, 17.2507, ("PEKAŘSTVÍ", "KNIHKUPECTVÍ"), "Ostružnická",
        "+420 585 22 14", "na-rohu-dum.cz", "DIVADLO", "mint",
    ),
    Town(
        "Ystad", "SE", 55.4296, 13.8203, ("BAGERI", "BLOMSTERHANDEL"), "Stora Östergatan",
        "+46 411 55 18", "gamla-hornet.se", "UTSTÄLLNING", "brick",
    ),
    Town(
        "Eger", "HU", 47.9027, 20.3768, ("CUKRÁSZDA", "GYÓGYSZERTÁR"), "Dobó István utca",
        "+36 36 31 42", "regi-sarok.hu", "SZÍNHÁZ", "mint",
    ),
    Town(
        "Ouro Preto", "BR", -20.3856, -43.5036, ("CHURRASCARIA", "PAPELARIA"), "Rua Direita",
        "+55 31 3551 20", "esquina-velha.com.br", "CARNAVAL", "white",
    ),
    Town(
        "Rovinj", "HR", 45.0826, 13.6333, ("PEKARNICA", "LJEKARNA"), "Ulica Grisia",
        "+385 52 81 40", "stari-kut.hr", "IZLOŽBA", "stone",
    ),
    Town(
        "Porvoo", "FI", 60.3948, 25.6573, ("LEIPOMO", "KIRJAKAUPPA"), "Jokikatu",
        "+358 19 524 10", "vanha-kulma.fi", "NÄYTTELY", "gothic",
    ),
    Town(
        "Oaxaca", "MX", 17.0648, -96.7236, ("TORTILLERÍA", "ARTESANÍAS"), "Calle Alcalá",
        "+52 951 516 20", "la-esquina-roja.mx", "BAILE", "ochre",
    ),
    Town(
        "Sibiu", "RO", 45.7969, 24.1519, ("BRUTĂRIE", "COFETĂRIE"), "Strada Cetății",
        "+40 269 21 70", "coltul-vechi.ro", "SPECTACOL", "mint",
    ),
)  # fmt: skip

UNSEEN_TOWN = Town(
    "Škofja Loka", "SI", 46.1662, 14.3066, ("SLAŠČIČARNA", "ZLATARNA"), "Mestni trg",
    "+386 4 512 30", "stari-vogal.si", "GLEDALIŠČE", "ochre",
)  # fmt: skip
"""A corner with readable signs of which no gallery photo exists."""

OPEN_LAND = (47.25, 101.20, "MN")
"""Latitude, longitude and country of a landscape that shows neither sign nor building."""


def variant(town: Town) -> int:
    """Return how many towns before this one share its style, so that their layouts can differ."""
    alike = [other.name for other in (*TOWNS, UNSEEN_TOWN) if other.style == town.style]
    return alike.index(town.name)


def number(town: Town) -> int:
    """Return the town's place in the table, the unseen town last."""
    return (*TOWNS, UNSEEN_TOWN).index(town)
