"""Phrases that deny, doubt, ask or go on, as patterns over a text whose names are marked."""

import re

from tools.said_denials import DENYING, DENYING_A_NAME, NOT

UNSURE, SURE, LIKELY, MAYBE = "\uf001", "\uf002", "\uf003", "\uf004"
IDIOMS = [
    (r"(\bnie\b[^.!?;,]*?)\s+nie\b", r"\1"),  # Afrikaans says it twice and means it once
    (r"\b(?:not|n't)\s+(?:so |too |very |that |all that )?far (?:away )?from\b", " near "),
    (r"\b(?:no|nicht) (?:muy )?(?:lejos de|weit von)\b|\bpas loin (?:de|du|d')\b", " near "),
    (r"\bnot (?:only|just|merely)\b", " "),
    (r"\b(?:nothing|nowhere|none|no other|no one) (?:but|other than|else than|than)\b", " "),
    (r"\b(?:without (?:a |any )?|no |beyond )(?:doubt|question)\b|\bundoubtedly\b", f" {SURE} "),
    (r"\bnot (?:impossible|unlikely|implausible|out of the question|ruled out)\b", f" {MAYBE} "),
    (
        r"\b(?:not|n't|never|no)\s+(?:at all |so |too |really |entirely |quite |fully |100 ?% |"
        r"very )?(?:sure|certain|convinced|positive|clear|seguro|sicher)\b|\bunsure\b|\buncertain\b"
        r"|\b(?:do not|don't|dont|can't|cannot|can not|couldn't) (?:really )?"
        r"(?:know|tell|say|remember)\b"
        r"|\bno (?:idea|clue)\b|\bnot necessarily\b|\bhard to (?:say|tell)\b|\bno (?:lo )?sé\b"
        r"|\bweiß nicht\b|\bje ne sais pas\b|\bwho knows\b",
        f" {UNSURE} ",
    ),
    (
        r"\b(?:anywhere|everywhere|anything|any place|any country|anyplace|all|somewhere|elsewhere)"
        r" (?:else )?(?:but|except(?: for)?|other than|outside(?: of)?|than)\b",
        f" {NOT} ",
    ),
    (
        r"\b(?:rul(?:e|ed|es|ing)|cross(?:ed|es|ing)?|tak(?:e|es|en|ing)|took|str(?:ike|uck)|leave"
        r"|left|count(?:ed)?|keep|kept|throw|threw)\s+"
        r"(?=[\ue000-\uefff][^.;!?]*\b(?:out|off|away)\b)"
        r"|\b(?:scratch|strike|skip|delete|remove|discard|dismiss|reject|disregard|cross out"
        r"|cross off)(?:ed|s|ing)?\b(?=\s+[\ue000-\uefff])"
        r"|\b(?:is|are|was|seems?|looks?|feels?)\s+(?:\w+\s+){0,2}(?:out|off)\b"
        r"|\b(?:makes? )?no sense\b|\bless likely\b|\bruled out\b",
        f" {NOT} ",
    ),
    (
        r"\b(?:nothing like|rul(?:e|ed|es|ing) out|exclud(?:e|ed|es|ing)|eliminat(?:e|ed|es|ing)"
        r"|except(?: for)?|other than|rather than|instead of|unlike|outside(?: of)?|forget|drop"
        r"|out of the question|impossible|wrong|incorrect|unlikely|doubtful|improbable|implausible"
        r"|false|i doubt|we doubt|unmöglich|falsch|imposible|ausgeschlossen)\b",
        f" {NOT} ",
    ),
    (r"\b\w+n['’]t\b|\b(?:is|was|does|ca|wo|do|are|could|would)nt\b|\bcannot\b", f" {NOT} "),
    (r"\bne\s+(?=\w+\s+pas\b)|\bn['’](?=\w+\s+(?:pas|ni)\b)|\bne\s+(?=\w+\s+ni\b)", " "),
    (DENYING, f" {NOT} "),
    (DENYING_A_NAME, f" {NOT} "),
    (
        r"\b(?:sure|certain|certainly|definitely|absolutely|100 ?%|clearly|obviously|i know"
        r"|positive|surely|must be|seguro|segura|sicher|bestimmt|certainement|sûr)\b",
        f" {SURE} ",
    ),
    (
        r"\b(?:probably|likely|presumably|most likely|wahrscheinlich|probablemente|probablement"
        r"|probabilmente|looks|looked|look like|seems?|appears?|sieht"
        r"|parece|resembles?|feels?|reminds? me)\b",
        f" {LIKELY} ",
    ),
    (
        r"\b(?:maybe|perhaps|possibly|might|may be|could be|could well be|can be|i guess|i suspect"
        r"|vielleicht|eventuell|quizás?|tal vez|peut[ -]être|forse|talvez|može|может|possible)\b",
        f" {MAYBE} ",
    ),
]  # fmt: skip
REWRITES = [(re.compile(pattern, re.IGNORECASE), mark) for pattern, mark in IDIOMS]
DENIES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (DENYING, DENYING_A_NAME, NOT, r"\b(?:no|non)\b")
]
LATE_NO = re.compile(
    r"([\ue000-\uefff])\s*[,\-–—:]*\s*(?:no|nope|nah|nein|non|não|нет)\W*$", re.IGNORECASE
)
DISCOURSE_NO = re.compile(
    r"(?:^|(?<=[.!?;,]))\s*(?:no|nope|nah|nein|non|não|нет)\s*(?=[,.!;:]|$|\s+(?:it|its|it's|this|that|i|we|the|they)\b)",
    re.IGNORECASE,
)
OPENING_NO = re.compile(r"^\W*(?:no|nope|nah|nein|non|não|нет)\s*[,;:]", re.IGNORECASE)
NO = re.compile(r"\b(?:no|non)\b", re.IGNORECASE)
NO_WAY = re.compile(r"\bno way\b|\bin no way\b|\bunder no circumstances\b", re.IGNORECASE)
SENTENCES = re.compile(r"[^.!?;\n]*(?:[.!?;\n]+|$)")
CONTRAST = re.compile(
    r"\b(?:but|rather|instead|however|sondern|sino|mais|pero|aber|ma|mas|maar|yet|though|although"
    r"|because|since|weil|porque|parce que|as|so)\b",
    re.IGNORECASE,
)
REASON = r"\b(?:because|since|weil|porque|parce que|(?:as|so) (?:they|it|the|there|we|i))\b"
RESTART = re.compile(
    r"\b(?:it|its|it's|this|that|they|he|she|must|es|ist|c'est|è|é|to|jest|это|here|more like"
    r"|try|check|i think|i'd say|i believe|i guess|i bet"
    r"|the (?:plate|sign|car|road|place|photo|picture|language|text)\w*)\b",
    re.IGNORECASE,
)
CONJUNCTION = re.compile(
    r"\b(?:or|and|nor|oder|und|o|y|ou|et|e|noch|ni|lub|i|или|и)\b\s*$", re.IGNORECASE
)
LINKS = (
    r"(?:is|was|it|its|would|be|can|could|that|seems|looks|ist|es|est|è|é|jest|also|certainly|just|simply"
    rf"|really|{SURE}|{LIKELY}|{MAYBE})"
)
WH = re.compile(
    r"^\W*(?:so |and |but )?(?:who|what|where|when|why|how|which|whose|are you|do you know)\b",
    re.IGNORECASE,
)
ABOUT = re.compile(r"^\W*(?:and |so )?(?:what|how) about\b", re.IGNORECASE)
TAG = re.compile(
    r",\s*(?:is(?:n't| it not) it|is it|right|no|correct|don't you think|or|eh|oder|verdad"
    r"|n'est-ce pas|nicht wahr)\s*\?\s*$",
    re.IGNORECASE,
)
NEGATED_AUX = re.compile(
    r"^\W*(?:so |and |but )?(?:(?:is|are|was|could|can|would|does|do|must|might)n['’]?t"
    r"|can't|(?:is|could|can|would) (?:it|this|that) not)\b",
    re.IGNORECASE,
)
PERSONAL = re.compile(
    r"\b(?:i am|i'm|im|we are|we're)\s+(?:an?\s+|from\s+)|\b(?:i|we)\s+"
    r"(?:live|come|work|grew|study|speak)\b|\bmy\s+(?:\w+\s+)?(?:friend|wife|husband|mother|father|boss|colleague|aunt|uncle|neighbou?r|"
    r"girlfriend|boyfriend|teacher|family|passport)\b|\bgreetings\b|\bi was born\b",
    re.IGNORECASE,
)
BARE_DENIAL = re.compile(
    r"^\W*(?:(?:no|nope|nah|nein|never|wrong|non|nee|nie|нет|definitely not|not at all|no way"
    r"|not likely|unlikely|impossible|i doubt it|i do(?:n't| not) think so"
    r"|(?:it |that )?can(?:'t|not) be|(?:no,? )?it(?:'s| is) not|it isn't"
    r"|that(?:'s| is) (?:wrong|not it))\W*)+$",
    re.IGNORECASE,
)
