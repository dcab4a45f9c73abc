"""What belongs to a country: adjectives and names of peoples, as people write them.

General knowledge, in English for every country, and for some in German, Spanish and French. Codes
are ISO 3166-1 alpha-2. A word of several countries names all of them (`Korean`).
"""

from functools import cache

from geo.names import fold

_ENGLISH = (
    "AD Andorran;AE Emirati;AF Afghan;AG Antiguan Barbudan;AI Anguillan;AL Albanian;AM Armenian;"
    "AO Angolan;AR Argentine Argentinian Argentinean;AS Samoan;AT Austrian;AU Australian Aussie;"
    "AW Aruban;AZ Azerbaijani Azeri;BA Bosnian;BB Barbadian Bajan;BD Bangladeshi;BE Belgian;"
    "BF Burkinabe;BG Bulgarian;BH Bahraini;BI Burundian;BJ Beninese;BM Bermudian;BN Bruneian;"
    "BO Bolivian;BR Brazilian;BS Bahamian;BT Bhutanese;BW Botswanan;BY Belarusian Belarussian;"
    "BZ Belizean;CA Canadian;CD Congolese;CF Central_African;CG Congolese;CH Swiss;CI Ivorian;"
    "CL Chilean;CM Cameroonian;CN Chinese;CO Colombian;CR Costa_Rican;CU Cuban;CV Cape_Verdean;"
    "CW Curacaoan;CY Cypriot;CZ Czech;DE German;DJ Djiboutian;DK Danish;DM Dominican;DO Dominican;"
    "DZ Algerian;EC Ecuadorian Ecuadorean;EE Estonian;EG Egyptian;EH Sahrawi;ER Eritrean;"
    "ES Spanish Catalan Andalusian Basque;ET Ethiopian;FI Finnish;FJ Fijian;FM Micronesian;"
    "FO Faroese;FR French Breton Corsican;GA Gabonese;"
    "GB British English Scottish Welsh Northern_Irish;GD Grenadian;GE Georgian;GF French_Guianese;"
    "GG Guernsey;GH Ghanaian;GI Gibraltarian;GL Greenlandic;GM Gambian;GN Guinean;GP Guadeloupean;"
    "GQ Equatoguinean Equatorial_Guinean;GR Greek;GT Guatemalan;GU Guamanian;GW Bissau_Guinean;"
    "GY Guyanese;HK Hong_Konger Hongkongese;HN Honduran;HR Croatian Croat;HT Haitian;HU Hungarian;"
    "ID Indonesian Balinese Javanese;IE Irish;IL Israeli;IM Manx;IN Indian;IQ Iraqi;"
    "IR Iranian Persian;IS Icelandic;IT Italian Sicilian Sardinian Tuscan;JM Jamaican;JO Jordanian;"
    "JP Japanese;KE Kenyan;KG Kyrgyz;KH Cambodian Khmer;KI Kiribati;KM Comorian;KN Kittitian;"
    "KP Korean North_Korean;KR Korean South_Korean;KW Kuwaiti;KY Caymanian;KZ Kazakh Kazakhstani;"
    "LA Laotian Lao;LB Lebanese;LC Saint_Lucian;LI Liechtensteiner;LK Sri_Lankan;LR Liberian;"
    "LS Basotho;LT Lithuanian;LU Luxembourgish Luxembourger;LV Latvian;LY Libyan;MA Moroccan;"
    "MC Monegasque;MD Moldovan;ME Montenegrin;MG Malagasy Madagascan;MH Marshallese;MK Macedonian;"
    "ML Malian;MM Burmese;MN Mongolian;MO Macanese;MQ Martinican;MR Mauritanian;MS Montserratian;"
    "MT Maltese;MU Mauritian;MV Maldivian;MW Malawian;MX Mexican;MY Malaysian;MZ Mozambican;"
    "NA Namibian;NC New_Caledonian;NE Nigerien;NG Nigerian;NI Nicaraguan;NL Dutch;NO Norwegian;"
    "NP Nepali Nepalese;NR Nauruan;NU Niuean;NZ New_Zealander Kiwi;OM Omani;PA Panamanian;"
    "PE Peruvian;PF French_Polynesian Tahitian;PG Papua_New_Guinean;"
    "PH Philippine Filipino Filipina;"
    "PK Pakistani;PL Polish;PR Puerto_Rican;PS Palestinian;PT Portuguese Azorean Madeiran;"
    "PW Palauan;PY Paraguayan;QA Qatari;RE Reunionese;RO Romanian;RS Serbian;RU Russian Siberian;"
    "RW Rwandan;SA Saudi Saudi_Arabian;SB Solomon_Islander;SC Seychellois;SD Sudanese;SE Swedish;"
    "SG Singaporean;SI Slovenian Slovene;SK Slovak Slovakian;SL Sierra_Leonean;SM Sammarinese;"
    "SN Senegalese;SO Somali Somalian;SR Surinamese;SS South_Sudanese;ST Sao_Tomean;"
    "SV Salvadoran Salvadorian;SX Sint_Maartener;SY Syrian;SZ Swazi;TC Turks_and_Caicos_Islander;"
    "TD Chadian;TG Togolese;TH Thai;TJ Tajik Tajikistani;TL Timorese;TM Turkmen;TN Tunisian;"
    "TO Tongan;TR Turkish;TT Trinidadian Tobagonian;TV Tuvaluan;TW Taiwanese;TZ Tanzanian;"
    "UA Ukrainian;UG Ugandan;US American;UY Uruguayan;UZ Uzbek;VA Vatican;VC Vincentian;"
    "VE Venezuelan;VI Virgin_Islander;VN Vietnamese;VU Vanuatuan Ni_Vanuatu;WS Samoan;XK Kosovar;"
    "YE Yemeni;ZA South_African;ZM Zambian;ZW Zimbabwean"
)
_GERMAN = (
    "AR argentinisch;AT osterreichisch;AU australisch;BE belgisch;BO bolivianisch;"
    "BR brasilianisch;CA kanadisch;CH schweizerisch;CL chilenisch;CN chinesisch;CO kolumbianisch;"
    "CZ tschechisch;DE deutsch;DK danisch;ES spanisch;FI finnisch;FR franzosisch;"
    "GB britisch englisch schottisch;GR griechisch;HR kroatisch;HU ungarisch;IE irisch;IN indisch;"
    "IS islandisch;IT italienisch;JP japanisch;MX mexikanisch;NL niederlandisch hollandisch;"
    "NO norwegisch;PE peruanisch;PL polnisch;PT portugiesisch;RO rumanisch;RS serbisch;"
    "RU russisch;SE schwedisch;SI slowenisch;SK slowakisch;TH thailandisch;TR turkisch;"
    "UA ukrainisch;US amerikanisch"
)
_SPANISH = (
    "AR argentino;AT austriaco;AU australiano;BE belga;BO boliviano;BR brasileno;CH suizo;"
    "CL chileno;CN chino;CO colombiano;CU cubano;DE aleman;EC ecuatoriano;ES espanol;FR frances;"
    "GB ingles britanico;GR griego;IT italiano;JP japones;MA marroqui;MX mexicano;PE peruano;"
    "PL polaco;PT portugues;RU ruso;TR turco;US estadounidense;UY uruguayo;VE venezolano"
)
_FRENCH = (
    "AT autrichien;BE belge;BR bresilien;CA canadien;CH suisse;CL chilien;CN chinois;DE allemand;"
    "DZ algerien;ES espagnol;FR francais;GB anglais britannique;GR grec;IT italien;JP japonais;"
    "MA marocain;MX mexicain;NL neerlandais hollandais;PE peruvien;PL polonais;PT portugais;"
    "RU russe;SN senegalais;TN tunisien;TR turc;US americain"
)
_PEOPLES = (
    "DK Dane Danes;ES Spaniard Spaniards;FI Finn Finns;FR Frenchman;GB Englishman Brit Brits;"
    "IE Irishman;NL Dutchman;PL Pole Poles;SE Swede Swedes;TR Turk Turks;IS Icelander;"
    "RS Serb Serbs;AR Argentines;PH Filipinos"
)
_NO_PEOPLE = frozenset(["pole", "poles", "finn", "brit", "turk", "kiwi"])
"""Written small they are things, or names."""


def countries_of_word(words: str) -> tuple[str, ...]:
    """Return the countries that an adjective or the name of a people belongs to, sorted.

    Args:
        words: one to four of them, in any case; `Poles` is one where `poles` is not.
    """
    if words in _NO_PEOPLE:
        return ()
    return _table().get(fold(words), ())


@cache
def _table() -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    inflected = (
        (_ENGLISH, ("", "s")),
        (_PEOPLES, ("",)),
        (_GERMAN, ("", "e", "er", "es", "en", "em")),
        (_SPANISH, ("", "a", "o", "s", "as", "os", "es")),
        (_FRENCH, ("", "e", "ne", "s", "es", "nes")),
    )
    for table, endings in inflected:
        for entry in table.split(";"):
            code, *words = entry.split()
            for word in words:
                for form in _forms(fold(word.replace("_", " ")), endings):
                    found.setdefault(form, set()).add(code)
    return {word: tuple(sorted(codes)) for word, codes in found.items()}


def _forms(word: str, endings: tuple[str, ...]) -> set[str]:
    """Return a word and its inflections; a Spanish -o and a final -e give way to an ending."""
    forms = {word + ending for ending in endings}
    if word[-1] == "o" and "as" in endings:
        forms |= {word[:-1] + ending for ending in ("a", "as")}
    return forms
